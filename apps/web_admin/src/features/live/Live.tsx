import { Button, Group, Select, Stack, Text, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { queries } from "../../api/queries";
import type { Avatar, Background, Session, Voice } from "../../api/types";
import { Empty } from "../../components/Empty";
import { LinkButton } from "../../components/LinkButton";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { BackgroundChoice, CALM, isComplete } from "./BackgroundChoice";
import { live } from "./live_connection";
import { OpenSessions } from "./OpenSessions";
import { voiceName } from "../voices/voice_name";
import { SayBox } from "./SayBox";
import { Stage } from "./Stage";
import { StatsPanel } from "./StatsPanel";

const AUTO = "";

function usableAvatars(avatars: readonly Avatar[]): Avatar[] {
  return avatars.filter((avatar) => avatar.state === "ready" || avatar.state === "preview");
}

interface SetupProps {
  readonly avatars: readonly Avatar[];
  readonly voices: readonly Voice[];
  readonly first: string | null;
}

function Setup({ avatars, voices, first }: SetupProps) {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const state = useSyncExternalStore(live.subscribe, live.state);
  const [avatarId, setAvatarId] = useState(first ?? avatars[0]?.id ?? "");
  const [voiceId, setVoiceId] = useState(AUTO);
  const [background, setBackground] = useState<Background>(CALM);
  const running = state.name === "opening" || state.name === "connecting" || state.name === "live";
  const start = async () => {
    await live.close();
    await live.open({
      avatar_id: avatarId,
      voice_id: voiceId === AUTO ? null : voiceId,
      transport: "webrtc",
      background,
      mark: { language: i18n.language === "en" ? "en" : "zh" },
    });
    await client.invalidateQueries({ queryKey: ["sessions"] });
  };
  const stop = async () => {
    await live.close();
    await client.invalidateQueries({ queryKey: ["sessions"] });
  };
  return (
    <Stack className="panel" gap="sm">
      <Title order={2} size="h5">
        {t("live.setup")}
      </Title>
      <Select
        label={t("live.avatar")}
        value={avatarId}
        onChange={(value) => value !== null && setAvatarId(value)}
        allowDeselect={false}
        data={avatars.map((avatar) => ({ value: avatar.id, label: `${avatar.name} · ${t(`avatarState.${avatar.state}`)}` }))}
      />
      <Select
        label={t("live.voice")}
        value={voiceId}
        onChange={(value) => setVoiceId(value ?? AUTO)}
        allowDeselect={false}
        data={[{ value: AUTO, label: t("live.voiceAuto") }, ...voices.filter((voice) => voice.language !== "auto").map((voice) => ({ value: voice.id, label: voiceName(voice, t) }))]}
      />
      <BackgroundChoice value={background} onChange={setBackground} />
      <Group gap="sm">
        <Button disabled={avatarId === "" || !isComplete(background)} loading={state.name === "opening"} onClick={() => void start()}>
          {running ? t("live.restart") : t("live.start")}
        </Button>
        {running && (
          <Button variant="default" onClick={() => void stop()}>
            {t("live.stop")}
          </Button>
        )}
      </Group>
      {running && (
        <Text size="sm" c="dimmed">
          {t("live.restartHint")}
        </Text>
      )}
    </Stack>
  );
}

/** Joins the session named in the address, as the demo's link does. */
function useJoin(sessions: readonly Session[] | undefined, wanted: string | null): void {
  useEffect(() => {
    const found = sessions?.find((session) => session.id === wanted);
    if (found !== undefined && live.state().name === "idle") void live.join(found);
  }, [sessions, wanted]);
}

export function Live() {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const state = useSyncExternalStore(live.subscribe, live.state);
  const avatars = useQuery(queries.avatars());
  const voices = useQuery(queries.voices());
  const sessions = useQuery(queries.sessions());
  useJoin(sessions.data, params.get("session"));
  const sessionId = state.name === "live" ? state.session.id : null;
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
                {sessionId !== null && <StatsPanel connection={live} sessionId={sessionId} />}
              </Stack>
              <Stack>
                {sessionId !== null && (
                  <div className="panel">
                    <SayBox connection={live} sessionId={sessionId} canChat />
                  </div>
                )}
                <Setup avatars={usableAvatars(all)} voices={voices.data ?? []} first={params.get("avatar")} />
                <OpenSessions sessions={sessions.data ?? []} avatars={all} current={sessionId} />
              </Stack>
            </div>
          )
        }
      </Loaded>
    </>
  );
}
