import { ActionIcon, Button, Group, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { address } from "../../api/connection";
import { queries } from "../../api/queries";
import type { Recording } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorNote } from "../../components/ErrorNote";
import { Icon } from "../../components/Icon";
import { Loaded } from "../../components/Loaded";
import { Tag, type Tone } from "../../components/Tag";
import { useFormat } from "../../i18n/format";

const TONES: Record<Recording["state"], Tone> = { recording: "error", ready: "ok", failed: "warning" };

/** Begins and ends the recording of a session. */
export function RecordButton({ sessionId }: { sessionId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const recordings = useQuery(queries.recordings());
  const running = recordings.data?.some((row) => row.session_id === sessionId && row.state === "recording") ?? false;
  const toggle = useMutation({
    mutationFn: () =>
      must(
        api().POST("/api/v1/live/sessions/{session_id}:record", {
          params: { path: { session_id: sessionId } },
          body: { action: running ? "stop" : "start" },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: ["recordings"] }),
  });
  return (
    <>
      <Button variant={running ? "filled" : "default"} color={running ? "red.9" : undefined} leftSection={<Icon name="record" size={16} />} loading={toggle.isPending} aria-pressed={running} onClick={() => toggle.mutate()}>
        {running ? t("floor.record.stop") : t("floor.record.start")}
      </Button>
      {toggle.isError && <ErrorNote error={toggle.error} />}
    </>
  );
}

function RecordingRow({ row, onDelete }: { row: Recording; onDelete: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const size = row.size_bytes === null ? "" : ` · ${format.bytes(row.size_bytes)}`;
  return (
    <Group component="li" justify="space-between" wrap="nowrap" data-recording={row.state}>
      <div>
        <Text size="sm" fw={600}>
          {format.when(row.created_at)}
        </Text>
        <Text size="sm" c="dimmed">
          {row.seconds === null ? "" : format.duration(row.seconds)}
          {size}
        </Text>
        {row.error !== null && (
          <Text size="sm" c="dimmed" lang="en">
            {row.error}
          </Text>
        )}
      </div>
      <Group gap="xs" wrap="nowrap">
        <Tag tone={TONES[row.state]}>{t(`floor.recordState.${row.state}`)}</Tag>
        {typeof row.file_url === "string" && (
          <Button size="xs" variant="default" component="a" href={address(row.file_url)} download>
            {t("floor.record.download")}
          </Button>
        )}
        {row.state !== "recording" && (
          <ActionIcon variant="default" aria-label={`${t("common.delete")}: ${t("floor.record.film", { when: format.when(row.created_at) })}`} onClick={onDelete}>
            <Icon name="error" size={16} />
          </ActionIcon>
        )}
      </Group>
    </Group>
  );
}

/** Films of broadcasts, to take along or to delete. */
export function Recordings() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const recordings = useQuery(queries.recordings());
  const [asking, setAsking] = useState<string | null>(null);
  const remove = useMutation({
    mutationFn: (id: string) => must(api().DELETE("/api/v1/live/recordings/{recording_id}", { params: { path: { recording_id: id } } })),
    onSettled: () => {
      setAsking(null);
      void client.invalidateQueries({ queryKey: ["recordings"] });
    },
  });
  return (
    <Stack className="panel" gap="sm" component="section">
      <Title order={2} size="h5">
        {t("floor.record.title")}
      </Title>
      {remove.isError && <ErrorNote error={remove.error} />}
      <Loaded query={recordings}>
        {(rows) =>
          rows.length === 0 ? (
            <Text size="sm" c="dimmed">
              {t("floor.record.none")}
            </Text>
          ) : (
            <Stack gap="sm" component="ul" p={0} m={0} style={{ listStyle: "none", maxHeight: 320, overflowY: "auto" }} tabIndex={0} aria-label={t("floor.record.title")}>
              {rows.map((row) => (
                <RecordingRow key={row.id} row={row} onDelete={() => setAsking(row.id)} />
              ))}
            </Stack>
          )
        }
      </Loaded>
      <Confirm
        opened={asking !== null}
        title={t("floor.record.delete")}
        consequence={t("floor.record.deleteText")}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => asking !== null && remove.mutate(asking)}
        onClose={() => setAsking(null)}
      />
    </Stack>
  );
}
