import { Group, Stack, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { queries } from "../../api/queries";
import type { Avatar, Session } from "../../api/types";
import { useEvents } from "../../app/EventsProvider";
import { Empty } from "../../components/Empty";
import { LinkButton } from "../../components/LinkButton";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { Actions } from "./Actions";
import { live } from "./live_connection";
import { MicrophoneButtons, Transcript } from "./MicrophonePanel";
import { OpenSessions } from "./OpenSessions";
import { Outputs } from "./Outputs";
import { programmes } from "./programmes";
import { RecordButton, Recordings } from "./Record";
import { Room } from "./Room";
import { SayBox } from "./SayBox";
import { Setup } from "./Setup";
import { Stage } from "./Stage";
import { StatsPanel } from "./StatsPanel";
import { useInterruptKey } from "./use_interrupt_key";

function usableAvatars(avatars: readonly Avatar[]): Avatar[] {
  return avatars.filter((avatar) => avatar.state === "ready" || avatar.state === "preview");
}

/** Joins the session named in the address, as the demo's link does. */
function useJoin(sessions: readonly Session[] | undefined, wanted: string | null): void {
  useEffect(() => {
    const found = sessions?.find((session) => session.id === wanted);
    if (found !== undefined && live.state().name === "idle") void live.join(found);
  }, [sessions, wanted]);
}

/** What is done with a session: words, the room, the outputs. All stay as they are while another one is looked at. */
function Desk({ sessionId }: { sessionId: string }) {
  const { t } = useTranslation();
  return (
    <Tabs className="panel" defaultValue="speak">
      <Tabs.List mb="md">
        {(["speak", "room", "outputs"] as const).map((name) => (
          <Tabs.Tab key={name} value={name}>
            {t(`floor.tabs.${name}`)}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      <Tabs.Panel value="speak">
        <SayBox connection={live} sessionId={sessionId} canChat />
      </Tabs.Panel>
      <Tabs.Panel value="room">
        <Room connection={live} sessionId={sessionId} />
      </Tabs.Panel>
      <Tabs.Panel value="outputs" keepMounted={false}>
        <Outputs sessionId={sessionId} />
      </Tabs.Panel>
    </Tabs>
  );
}

function Controls({ session }: { session: Session }) {
  return (
    <Stack className="panel" gap="sm" p="md">
      <Group gap="sm" align="flex-start">
        <MicrophoneButtons sessionId={session.id} />
        <RecordButton sessionId={session.id} />
      </Group>
      <Actions avatarId={session.avatar_id} sessionId={session.id} />
    </Stack>
  );
}

export function Live() {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const state = useSyncExternalStore(live.subscribe, live.state);
  const avatars = useQuery(queries.avatars());
  const voices = useQuery(queries.voices());
  const sessions = useQuery(queries.sessions());
  useJoin(sessions.data, params.get("session"));
  const session = state.name === "live" ? state.session : null;
  useInterruptKey(live, session !== null);
  useEvents((event) => {
    if (event.type === "live") programmes.hear(event.session_id, event.name, event.data ?? {});
  });
  return (
    <>
      <PageHead title={t("live.title")} lead={t("live.lead")} />
      <Loaded query={avatars}>
        {(all) =>
          usableAvatars(all).length === 0 ? (
            <Empty icon="live" title={t("live.emptyTitle")} text={t("live.emptyText")}>
              <LinkButton to="/make">{t("home.make")}</LinkButton>
            </Empty>
          ) : (
            <div className="live-grid">
              <Stack>
                <Stage state={state}>
                  <Text>{t("live.idle")}</Text>
                </Stage>
                {session !== null && (
                  <>
                    <Controls session={session} />
                    <Transcript sessionId={session.id} />
                    <StatsPanel connection={live} sessionId={session.id} />
                  </>
                )}
              </Stack>
              <Stack>
                {session !== null && <Desk key={session.id} sessionId={session.id} />}
                <Setup avatars={usableAvatars(all)} voices={voices.data ?? []} first={params.get("avatar")} />
                <OpenSessions sessions={sessions.data ?? []} avatars={all} current={session?.id ?? null} />
                <Recordings />
              </Stack>
            </div>
          )
        }
      </Loaded>
    </>
  );
}
