import { Button, Group, SegmentedControl, Stack, Text, Textarea } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type KeyboardEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useEvents } from "../../app/EventsProvider";
import { ErrorNote } from "../../components/ErrorNote";
import { Icon } from "../../components/Icon";
import { Tag, type Tone } from "../../components/Tag";
import type { LiveConnection } from "./live_connection";

type Outcome = "waiting" | "speaking" | "spoken" | "interrupted" | "failed";

interface Line {
  /** Session and turn: turns are counted anew in each session. */
  readonly id: string;
  readonly turn: number;
  readonly text: string;
}

const TONES: Record<Outcome, Tone> = { waiting: "idle", speaking: "info", spoken: "ok", interrupted: "warning", failed: "error" };
const KEPT = 30;

function outcomeOf(name: string, data: Readonly<Record<string, unknown>>): Outcome | null {
  if (name === "turn_first_frame") return "speaking";
  if (name !== "turn_ended") return null;
  const { outcome } = data;
  return outcome === "spoken" || outcome === "interrupted" ? outcome : "failed";
}

interface SayBoxProps {
  readonly connection: LiveConnection;
  readonly sessionId: string | null;
  readonly canChat: boolean;
}

/** Words for the avatar to speak or to answer, what became of them, and the key that stops it. */
export function SayBox({ connection, sessionId, canChat }: SayBoxProps) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [mode, setMode] = useState<"say" | "chat">("say");
  const [lines, setLines] = useState<readonly Line[]>([]);
  // By line, apart from the lines: the first frame is often told before the request that asked for it is answered.
  const [outcomes, setOutcomes] = useState<Readonly<Record<string, Outcome>>>({});
  const say = useMutation({
    mutationFn: (words: string) => connection.say(words, mode, false),
    onSuccess: (turn, words) => {
      setLines((known) => [{ id: `${sessionId}/${turn}`, turn, text: words }, ...known].slice(0, KEPT));
      setText("");
    },
  });
  const interrupt = useMutation({ mutationFn: () => connection.interrupt() });

  useEvents((event) => {
    if (event.type !== "live" || event.session_id !== sessionId) return;
    const data = event.data ?? {};
    const outcome = outcomeOf(event.name, data);
    const { turn } = data;
    if (outcome === null || typeof turn !== "number") return;
    setOutcomes((known) => ({ ...known, [`${sessionId}/${turn}`]: outcome }));
  });

  const ready = sessionId !== null && text.trim() !== "";
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && ready) say.mutate(text.trim());
    if (event.key === "Escape" && sessionId !== null) interrupt.mutate();
  };
  return (
    <Stack gap="sm">
      {canChat && (
        <SegmentedControl
          value={mode}
          onChange={(value) => setMode(value === "chat" ? "chat" : "say")}
          aria-label={t("live.mode")}
          data={[
            { value: "say", label: t("live.modeSay") },
            { value: "chat", label: t("live.modeChat") },
          ]}
        />
      )}
      <Textarea
        label={mode === "say" ? t("live.sayLabel") : t("live.chatLabel")}
        description={t("live.keys")}
        placeholder={t("live.placeholder")}
        autosize
        minRows={3}
        maxRows={8}
        maxLength={10_000}
        value={text}
        disabled={sessionId === null}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKey}
      />
      <Group gap="sm">
        <Button leftSection={<Icon name="play" size={16} />} disabled={!ready} loading={say.isPending} onClick={() => say.mutate(text.trim())}>
          {mode === "say" ? t("live.say") : t("live.chat")}
        </Button>
        <Button variant="default" leftSection={<Icon name="stop" size={16} />} disabled={sessionId === null} onClick={() => interrupt.mutate()}>
          {t("live.interrupt")}
        </Button>
      </Group>
      {say.isError && <ErrorNote error={say.error} />}
      {interrupt.isError && <ErrorNote error={interrupt.error} />}
      <Stack gap={6} component="ol" p={0} m={0} style={{ listStyle: "none" }} aria-label={t("live.history")}>
        {lines.map((line) => {
          const outcome = outcomes[line.id] ?? "waiting";
          return (
            <Group key={line.id} component="li" gap="sm" wrap="nowrap" justify="space-between" data-turn={line.turn} data-outcome={outcome}>
              <Text size="sm" lineClamp={2}>
                {line.text}
              </Text>
              <Tag tone={TONES[outcome]}>{t(`outcome.${outcome}`)}</Tag>
            </Group>
          );
        })}
      </Stack>
    </Stack>
  );
}
