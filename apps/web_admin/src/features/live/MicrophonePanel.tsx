import { Button, Group, Progress, Stack, Text } from "@mantine/core";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useEvents } from "../../app/EventsProvider";
import { ErrorNote } from "../../components/ErrorNote";
import { Icon } from "../../components/Icon";
import { Tag } from "../../components/Tag";
import { followLevel } from "../settings/MicrophoneTest";
import { live } from "./live_connection";
import { type Heard, Microphone, withHeard } from "./microphone";

/** The page's one microphone: it outlives page changes, as its connection does. */
const microphone = new Microphone(live);

function Level({ stream, muted }: { stream: MediaStream; muted: boolean }) {
  const { t } = useTranslation();
  const [level, setLevel] = useState(0);
  useEffect(() => followLevel(stream, setLevel), [stream]);
  return <Progress w={120} value={muted ? 0 : level * 100} aria-label={t("floor.microphone.level")} transitionDuration={80} />;
}

/** Opens, mutes and shuts the microphone of a session; F8 held down talks while it is muted. */
export function MicrophoneButtons({ sessionId }: { sessionId: string }) {
  const { t } = useTranslation();
  const state = useSyncExternalStore(microphone.subscribe, microphone.state);
  useEffect(() => {
    const hold = (muted: boolean) => void microphone.mute(muted).catch(() => undefined); // the session has just ended
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "F8" || event.repeat) return;
      event.preventDefault();
      hold(event.type === "keyup");
    };
    window.addEventListener("keydown", onKey);
    window.addEventListener("keyup", onKey);
    const off = window.studio?.onHotkey((key) => {
      const now = microphone.state();
      if (key === "talk" && now.name === "on") hold(!now.muted);
    });
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener("keyup", onKey);
      off?.();
    };
  }, []);
  if (state.name !== "on") {
    return (
      <>
        <Button variant="default" leftSection={<Icon name="voices" size={16} />} loading={state.name === "asking"} onClick={() => void microphone.start(sessionId)}>
          {t("floor.microphone.start")}
        </Button>
        {state.name === "failed" && <ErrorNote error={state.error} />}
      </>
    );
  }
  return (
    <Group gap="xs" data-microphone={state.muted ? "muted" : "on"}>
      <Button variant={state.muted ? "default" : "filled"} leftSection={<Icon name="voices" size={16} />} aria-pressed={!state.muted} onClick={() => void microphone.mute(!state.muted)}>
        {state.muted ? t("floor.microphone.unmute") : t("floor.microphone.mute")}
      </Button>
      <Button variant="default" onClick={() => void microphone.stop()}>
        {t("floor.microphone.stop")}
      </Button>
      <Level stream={state.stream} muted={state.muted} />
    </Group>
  );
}

/** What the studio understood, the words that are still being spoken last. */
export function Transcript({ sessionId }: { sessionId: string }) {
  const { t } = useTranslation();
  const [heard, setHeard] = useState<readonly Heard[]>([]);
  const [speaking, setSpeaking] = useState(false);
  useEvents((event) => {
    if (event.type !== "live" || event.session_id !== sessionId) return;
    if (event.name === "user_speech_started") setSpeaking(true);
    if (event.name === "user_speech_ended") setSpeaking(false);
    if (event.name === "transcript") setHeard((known) => withHeard(known, event.data ?? {}));
  });
  if (heard.length === 0 && !speaking) return null;
  return (
    <Stack className="panel" gap="xs">
      <Group gap="sm">
        <Text fw={600} size="sm">
          {t("floor.microphone.heard")}
        </Text>
        {speaking && <Tag tone="info">{t("floor.microphone.hears")}</Tag>}
      </Group>
      <Stack gap={4} role="log" aria-label={t("floor.microphone.heard")}>
        {heard.map((row) => (
          <Text key={row.utterance} size="sm" c={row.final ? undefined : "dimmed"} data-heard={row.final}>
            {row.text}
          </Text>
        ))}
      </Stack>
    </Stack>
  );
}
