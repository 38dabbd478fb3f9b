import { Button, Checkbox, Group, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { RoomMessage } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { Tag, type Tone } from "../../components/Tag";

const TONES: Record<RoomMessage["state"], Tone> = { received: "idle", answering: "ok", skipped: "warning" };

/** What people in a platform's room wrote, and what became of it; one can be put in by hand. */
export function Messages({ sessionId }: { sessionId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const messages = useQuery({ ...queries.messages(sessionId), refetchInterval: 4000 });
  const [author, setAuthor] = useState("");
  const [text, setText] = useState("");
  const [urgent, setUrgent] = useState(false);
  const ingest = useMutation({
    mutationFn: () =>
      must(
        api().POST("/api/v1/messages:ingest", {
          body: {
            session_id: sessionId,
            messages: [{ platform: "page", platform_id: crypto.randomUUID(), author: author.trim(), text: text.trim(), priority: urgent ? 0 : 1 }],
          },
        }),
      ),
    onSuccess: () => setText(""),
    onSettled: () => client.invalidateQueries({ queryKey: ["messages"] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    ingest.mutate();
  };
  return (
    <Stack gap="sm">
      <Loaded query={messages}>
        {(rows) =>
          rows.length === 0 ? (
            <Text size="sm" c="dimmed">
              {t("floor.room.noMessages")}
            </Text>
          ) : (
            <Stack gap={6} component="ul" p={0} m={0} style={{ listStyle: "none", maxHeight: 240, overflowY: "auto" }} tabIndex={0} aria-label={t("floor.room.messages")}>
              {rows.map((row) => (
                <Group key={row.id} component="li" justify="space-between" wrap="nowrap" data-message={row.state}>
                  <Text size="sm">
                    {row.author !== "" && <b>{row.author} </b>}
                    {row.text}
                  </Text>
                  <Tag tone={TONES[row.state]}>{t(`floor.room.state.${row.state}`)}</Tag>
                </Group>
              ))}
            </Stack>
          )
        }
      </Loaded>
      <form onSubmit={submit}>
        <Stack gap="xs">
          <Group align="flex-end" wrap="nowrap">
            <TextInput w={120} label={t("floor.room.author")} maxLength={120} value={author} onChange={(event) => setAuthor(event.currentTarget.value)} />
            <TextInput flex={1} label={t("floor.room.message")} maxLength={2000} value={text} onChange={(event) => setText(event.currentTarget.value)} />
          </Group>
          <Group justify="space-between">
            <Checkbox label={t("floor.room.urgent")} checked={urgent} onChange={(event) => setUrgent(event.currentTarget.checked)} />
            <Button type="submit" size="xs" disabled={text.trim() === ""} loading={ingest.isPending}>
              {t("floor.room.send")}
            </Button>
          </Group>
        </Stack>
      </form>
      {ingest.isError && <ErrorNote error={ingest.error} />}
    </Stack>
  );
}
