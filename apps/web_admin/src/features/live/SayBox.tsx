import { Button, Group, SegmentedControl, Stack, Text, Textarea } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type KeyboardEvent, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useEvents } from "../../app/EventsProvider";
import { ErrorNote } from "../../components/ErrorNote";
import { Icon } from "../../components/Icon";
import { Tag, type Tone } from "../../components/Tag";
import type { LiveConnection } from "./live_connection";
import { type Outcome, spoken } from "./spoken";

const TONES: Record<Outcome, Tone> = { waiting: "idle", speaking: "info", spoken: "ok", interrupted: "warning", failed: "error" };

interface SayBoxProps {
  readonly connection: LiveConnection;
  readonly sessionId: string | null;
  readonly canChat: boolean;
}

function History({ sessionId }: { sessionId: string | null }) {
  const { t } = useTranslation();
  const { lines, outcomes, answers } = useSyncExternalStore(spoken.subscribe, spoken.state);
  return (
    <Stack gap={8} component="ol" p={0} m={0} style={{ listStyle: "none", maxHeight: 320, overflowY: "auto" }} tabIndex={0} aria-label={t("live.history")}>
      {lines
        .filter((line) => line.sessionId === sessionId)
        .map((line) => {
          const outcome = outcomes[line.id] ?? "waiting";
          const answer = answers[line.id];
          return (
            <li key={line.id} data-turn={line.turn} data-outcome={outcome}>
              <Group gap="sm" wrap="nowrap" justify="space-between">
                <Text size="sm" lineClamp={2}>
                  {line.text === "" ? t("live.fromRoom") : line.text}
                </Text>
                <Tag tone={TONES[outcome]}>{t(`outcome.${outcome}`)}</Tag>
              </Group>
              {answer !== undefined && (
                <Text size="sm" c="dimmed" className="answer">
                  {answer}
                </Text>
              )}
            </li>
          );
        })}
    </Stack>
  );
}

/** Words for the avatar to speak or to answer, what became of them, and the key that stops it. */
export function SayBox({ connection, sessionId, canChat }: SayBoxProps) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [mode, setMode] = useState<"say" | "chat">("say");
  const say = useMutation({
    mutationFn: (words: string) => connection.say(words, mode, false),
    onSuccess: (turn, words) => {
      if (sessionId !== null) spoken.add(sessionId, turn, words, mode === "chat");
      setText("");
    },
  });
  const interrupt = useMutation({ mutationFn: () => connection.interrupt() });

  useEvents((event) => {
    if (event.type === "live") spoken.hear(event.session_id, event.name, event.data ?? {});
  });

  const ready = sessionId !== null && text.trim() !== "";
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && ready) say.mutate(text.trim());
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
      <History sessionId={sessionId} />
    </Stack>
  );
}
