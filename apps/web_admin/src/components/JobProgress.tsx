import { Button, Group, Progress, Stack, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../api/client";
import { toApiError } from "../api/errors";
import { applyToLists } from "../api/lists";
import type { Job } from "../api/types";
import { useFormat } from "../i18n/format";
import { useStageName } from "../i18n/stage";
import { ErrorNote } from "./ErrorNote";
import { Tag, type Tone } from "./Tag";

const TONES: Record<Job["state"], Tone> = { queued: "idle", running: "info", succeeded: "ok", failed: "error", cancelled: "warning" };

export function JobTag({ state }: { state: Job["state"] }) {
  const { t } = useTranslation();
  return <Tag tone={TONES[state]}>{t(`jobState.${state}`)}</Tag>;
}

/** Cancels or retries a job, whichever its state allows. In a row of a table, where there is no room, `onError` shows what failed. */
export function JobActions({ job, onError }: { job: Job; onError?: (error: unknown) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const params = { path: { job_id: job.id } };
  const keep = (changed: Job) => {
    client.setQueryData(["jobs", job.id], changed);
    applyToLists(client, changed);
    void client.invalidateQueries({ queryKey: ["jobs"], exact: true });
  };
  const cancel = useMutation({ mutationFn: () => must(api().POST("/api/v1/jobs/{job_id}:cancel", { params })), onSuccess: keep, onError });
  const retry = useMutation({ mutationFn: () => must(api().POST("/api/v1/jobs/{job_id}:retry", { params })), onSuccess: keep, onError });
  const active = job.state === "queued" || job.state === "running";
  const ended = job.state === "failed" || job.state === "cancelled";
  return (
    <Group gap="xs">
      {active && (
        <Button size="xs" variant="default" loading={cancel.isPending || job.cancel_requested} onClick={() => cancel.mutate()}>
          {t("jobs.cancel")}
        </Button>
      )}
      {ended && (
        <Button size="xs" variant="default" loading={retry.isPending} onClick={() => retry.mutate()}>
          {t("common.retry")}
        </Button>
      )}
      {cancel.isError && onError === undefined && <ErrorNote error={cancel.error} />}
      {retry.isError && onError === undefined && <ErrorNote error={retry.error} />}
    </Group>
  );
}

/** Where a job is: its stage, share done and time left; and why it failed, if it did. */
export function JobProgress({ job, title }: { job: Job; title: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const stageName = useStageName();
  const active = job.state === "queued" || job.state === "running";
  return (
    <Stack className="panel" gap="sm" data-job={job.id} data-state={job.state}>
      <Group justify="space-between">
        <Group gap="sm">
          <Text fw={600}>{title}</Text>
          <JobTag state={job.state} />
        </Group>
        <JobActions job={job} />
      </Group>
      {active && (
        <>
          <Progress value={job.progress * 100} animated={job.state === "running"} aria-label={title} />
          <Group justify="space-between">
            <Text size="sm" c="dimmed">
              {job.state === "queued" ? t("jobs.waiting") : stageName(job.stage)}
            </Text>
            <Text size="sm" c="dimmed" style={{ fontVariantNumeric: "tabular-nums" }}>
              {format.percent(job.progress)}
              {job.eta_s !== null && ` · ${t("jobs.left", { left: format.duration(job.eta_s) })}`}
            </Text>
          </Group>
        </>
      )}
      {job.state === "failed" && <ErrorNote error={toApiError(0, job.error)} />}
    </Stack>
  );
}
