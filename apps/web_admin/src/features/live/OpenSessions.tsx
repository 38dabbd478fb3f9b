import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { Avatar, Session } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { useFormat } from "../../i18n/format";
import { endSession, live } from "./live_connection";

interface OpenSessionsProps {
  readonly sessions: readonly Session[];
  readonly avatars: readonly Avatar[];
  readonly current: string | null;
}

/** Sessions that are open but not in this page: after a reload, or started by another program. */
export function OpenSessions({ sessions, avatars, current }: OpenSessionsProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const end = useMutation({
    mutationFn: endSession,
    onSettled: () => client.invalidateQueries({ queryKey: ["sessions"] }),
  });
  const others = sessions.filter((session) => session.id !== current && (session.state === "ready" || session.state === "live"));
  if (others.length === 0) return null;
  return (
    <Stack className="panel" gap="sm">
      <Title order={2} size="h5">
        {t("live.others")}
      </Title>
      {others.map((session) => (
        <Group key={session.id} justify="space-between" wrap="nowrap">
          <div>
            <Text size="sm" fw={600}>
              {avatars.find((avatar) => avatar.id === session.avatar_id)?.name ?? session.avatar_id}
            </Text>
            <Text size="sm" c="dimmed">
              {format.when(session.created_at)}
            </Text>
          </div>
          <Group gap="xs" wrap="nowrap">
            <Button size="xs" onClick={() => void live.join(session)}>
              {t("live.join")}
            </Button>
            <Button size="xs" variant="default" onClick={() => end.mutate(session.id)}>
              {t("live.end")}
            </Button>
          </Group>
        </Group>
      ))}
      {end.isError && <ErrorNote error={end.error} />}
    </Stack>
  );
}
