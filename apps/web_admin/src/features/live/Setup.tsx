import { Button, Group, Select, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Avatar, Background, SessionCreate, Voice } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { serviceName } from "../settings/service_names";
import { voiceName } from "../voices/voice_name";
import { BackgroundChoice, CALM, isComplete } from "./BackgroundChoice";
import { live } from "./live_connection";
import { Preflight, usePreflight } from "./Preflight";

const AUTO = "";
const NOBODY = "";
const REPLIES = ["rules", "ollama", "openai", "echo"] as const;
type Reply = NonNullable<NonNullable<SessionCreate["reply"]>["backend"]>;

interface SetupProps {
  readonly avatars: readonly Avatar[];
  readonly voices: readonly Voice[];
  readonly first: string | null;
}

/** Who is live, with which voice, before what; and the changes of these while people watch. */
export function Setup({ avatars, voices, first }: SetupProps) {
  const { t, i18n } = useTranslation();
  const client = useQueryClient();
  const state = useSyncExternalStore(live.subscribe, live.state);
  const capabilities = useQuery(queries.capabilities());
  const [avatarId, setAvatarId] = useState(first ?? avatars[0]?.id ?? "");
  const [voiceId, setVoiceId] = useState(AUTO);
  const [background, setBackground] = useState<Background>(CALM);
  const [reply, setReply] = useState<Reply>("rules");
  const recognisers = useQuery(queries.recognisers());
  const [wantedEar, setEar] = useState<string | null>(null);
  const ear = wantedEar ?? recognisers.data?.find((entry) => entry.problem == null)?.name ?? NOBODY;
  const running = state.name === "opening" || state.name === "connecting" || state.name === "live";
  const preflight = usePreflight(avatars.find((avatar) => avatar.id === avatarId));
  const session = "session" in state ? state.session : null;
  const start = async () => {
    await live.close();
    await live.open({
      avatar_id: avatarId,
      voice_id: voiceId === AUTO ? null : voiceId,
      transport: "webrtc",
      reply: { backend: reply },
      ...(ear === NOBODY ? {} : { listen: { backend: ear, language: "auto", act: "chat", enabled: false } }),
      background,
      mark: { language: i18n.language === "en" ? "en" : "zh" },
    });
    await client.invalidateQueries({ queryKey: ["sessions"] });
  };
  const stop = async () => {
    await live.close();
    await client.invalidateQueries({ queryKey: ["sessions"] });
  };
  const swap = useMutation({
    mutationFn: () =>
      must(
        api().POST("/api/v1/live/sessions/{session_id}:swap", {
          params: { path: { session_id: session?.id ?? "" } },
          body: { avatar_id: avatarId, background, ...(voiceId === AUTO ? {} : { voice_id: voiceId }) },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["sessions"] }),
  });
  const complete = avatarId !== "" && isComplete(background);
  const known = capabilities.data?.reply_backends;
  const earName = (name: string) => (name === "local" ? t("floor.microphone.local") : serviceName(name, i18n.language));
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
        data={[
          { value: AUTO, label: t("live.voiceAuto") },
          ...voices.filter((voice) => voice.language !== "auto" || !voice.builtin).map((voice) => ({ value: voice.id, label: voiceName(voice, t), disabled: voice.state !== "ready" })),
        ]}
      />
      <BackgroundChoice value={background} onChange={setBackground} />
      <Select
        label={t("floor.reply")}
        value={reply}
        allowDeselect={false}
        disabled={running}
        onChange={(value) => setReply(REPLIES.find((name) => name === value) ?? "rules")}
        data={REPLIES.filter((name) => known === undefined || known.includes(name)).map((name) => ({ value: name, label: t(`floor.replies.${name}`) }))}
      />
      <Select
        label={t("floor.microphone.ear")}
        value={ear}
        allowDeselect={false}
        disabled={running}
        onChange={(value) => setEar(value ?? NOBODY)}
        data={[
          { value: NOBODY, label: t("floor.microphone.nobody") },
          ...(recognisers.data ?? []).map((entry) => ({
            value: entry.name,
            label: `${earName(entry.name)}${entry.problem == null ? "" : ` · ${t("floor.outputs.unavailable")}`}`,
            disabled: entry.problem != null,
          })),
        ]}
      />
      {!running && <Preflight lines={preflight} />}
      <Group gap="sm">
        {state.name === "live" && (
          <Button disabled={!complete} loading={swap.isPending} onClick={() => swap.mutate()}>
            {t("floor.swap")}
          </Button>
        )}
        <Button variant={state.name === "live" ? "default" : "filled"} disabled={!complete} loading={state.name === "opening"} onClick={() => void start()}>
          {running ? t("live.restart") : t("live.start")}
        </Button>
        {running && (
          <Button variant="default" onClick={() => void stop()}>
            {t("live.stop")}
          </Button>
        )}
      </Group>
      {swap.isError && <ErrorNote error={swap.error} />}
      {running && (
        <Text size="sm" c="dimmed" role={swap.isSuccess ? "status" : undefined}>
          {swap.isSuccess ? t("floor.changed") : t("floor.swapHint")}
        </Text>
      )}
    </Stack>
  );
}
