import { Button, Drawer, Group, Select, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { api, must } from "../../api/client";
import { address } from "../../api/connection";
import { jobList } from "../../api/lists";
import { queries } from "../../api/queries";
import type { Job } from "../../api/types";
import { Empty } from "../../components/Empty";
import { ErrorNote } from "../../components/ErrorNote";
import { JobActions, JobProgress, JobTag } from "../../components/JobProgress";
import { LogView } from "../../components/LogView";
import { PageHead } from "../../components/PageHead";
import { TableSkeleton } from "../../components/TableSkeleton";
import { type Column, VirtualTable } from "../../components/VirtualTable";
import { useFormat } from "../../i18n/format";
import { useKindName, useStageName } from "../../i18n/stage";

const STATES = ["queued", "running", "succeeded", "failed", "cancelled"] as const;
const PRIORITIES = ["urgent", "normal", "background"] as const;
const ALL = "";

function PriorityCell({ job, onError }: { job: Job; onError: (error: unknown) => void }) {
  const { t } = useTranslation();
  const move = useMutation({
    mutationFn: (priority: Job["priority"]) => must(api().PATCH("/api/v1/jobs/{job_id}", { params: { path: { job_id: job.id } }, body: { priority } })),
    onError,
  });
  if (job.state !== "queued") return <Text size="sm">{t(`priority.${job.priority}`)}</Text>;
  return (
    <Select
      size="xs"
      aria-label={t("tasks.priority")}
      value={job.priority}
      allowDeselect={false}
      disabled={move.isPending}
      onChange={(value) => {
        const found = PRIORITIES.find((name) => name === value);
        if (found !== undefined) move.mutate(found);
      }}
      data={PRIORITIES.map((name) => ({ value: name, label: t(`priority.${name}`) }))}
    />
  );
}

function useColumns(onOpen: (id: string) => void, onError: (error: unknown) => void): readonly Column<Job>[] {
  const { t } = useTranslation();
  const format = useFormat();
  const kindName = useKindName();
  const stageName = useStageName();
  return [
    { key: "kind", head: t("tasks.kind"), track: "minmax(130px, 1.2fr)", cell: (job) => <b>{kindName(job.kind)}</b> },
    { key: "state", head: t("tasks.state"), track: "100px", cell: (job) => <JobTag state={job.state} /> },
    {
      key: "progress",
      head: t("tasks.progress"),
      track: "minmax(120px, 1fr)",
      cell: (job) => (job.state === "running" ? `${format.percent(job.progress)} · ${stageName(job.stage)}` : format.percent(job.progress)),
    },
    { key: "priority", head: t("tasks.priority"), track: "116px", cell: (job) => <PriorityCell job={job} onError={onError} /> },
    { key: "created", head: t("tasks.created"), track: "190px", cell: (job) => format.when(job.created_at) },
    {
      key: "actions",
      head: t("tasks.actions"),
      track: "250px",
      end: true,
      cell: (job) => (
        <Group gap="xs" justify="flex-end" wrap="nowrap">
          {typeof job.file_url === "string" && (
            <Button size="xs" variant="default" component="a" href={address(job.file_url)} download>
              {t("jobs.file")}
            </Button>
          )}
          <JobActions job={job} onError={onError} />
          <Button size="xs" variant="default" onClick={() => onOpen(job.id)}>
            {t("jobs.details")}
          </Button>
        </Group>
      ),
    },
  ];
}

function JobDrawer({ id, onClose }: { id: string | null; onClose: () => void }) {
  const { t } = useTranslation();
  const kindName = useKindName();
  const job = useQuery({ ...queries.job(id ?? ""), enabled: id !== null });
  const found = id === null ? undefined : job.data;
  return (
    <Drawer
      opened={id !== null}
      onClose={onClose}
      position="right"
      size="lg"
      title={found === undefined ? "" : kindName(found.kind)}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      {job.isError && <ErrorNote error={job.error} />}
      {found !== undefined && (
        <Stack>
          <JobProgress job={found} title={kindName(found.kind)} />
          <LogView jobId={found.id} height={520} />
        </Stack>
      )}
    </Drawer>
  );
}

function Filters({ state, kind, onChange }: { state: string; kind: string; onChange: (name: "state" | "kind", value: string) => void }) {
  const { t } = useTranslation();
  const kindName = useKindName();
  const capabilities = useQuery(queries.capabilities());
  const kinds = capabilities.data?.job_kinds ?? [];
  return (
    <>
      <Select
        aria-label={t("tasks.kind")}
        value={kind}
        allowDeselect={false}
        onChange={(value) => onChange("kind", value ?? ALL)}
        data={[{ value: ALL, label: t("tasks.allKinds") }, ...kinds.map((name) => ({ value: name, label: kindName(name) }))]}
      />
      <Select
        aria-label={t("tasks.state")}
        value={state}
        allowDeselect={false}
        onChange={(value) => onChange("state", value ?? ALL)}
        data={[{ value: ALL, label: t("tasks.all") }, ...STATES.map((name) => ({ value: name, label: t(`jobState.${name}`) }))]}
      />
    </>
  );
}

/** Everything the studio has done and is doing, each with its log; as many rows as there are. */
export function Tasks() {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const state = STATES.find((name) => name === params.get("state")) ?? null;
  const kind = params.get("kind");
  const jobs = useInfiniteQuery(jobList({ state, kind }));
  const [error, setError] = useState<unknown>(null);
  const rows = useMemo(() => jobs.data?.pages.flatMap((page) => page.items) ?? [], [jobs.data]);
  const open = (id: string | null) => {
    if (id === null) params.delete("job");
    else params.set("job", id);
    setParams(params, { replace: true });
  };
  const columns = useColumns(open, setError);
  const { fetchNextPage } = jobs;
  const more = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const change = (name: "state" | "kind", value: string) => {
    if (value === ALL) params.delete(name);
    else params.set(name, value);
    setParams(params, { replace: true });
  };
  return (
    <>
      <PageHead title={t("tasks.title")} lead={t("tasks.lead")}>
        <Filters state={state ?? ALL} kind={kind ?? ALL} onChange={change} />
      </PageHead>
      <Stack>
        {error !== null && <ErrorNote error={error} />}
        {jobs.isError && <ErrorNote error={jobs.error} onRetry={() => void jobs.refetch()} />}
        {jobs.isPending && <TableSkeleton />}
        {jobs.isSuccess && rows.length === 0 && <Empty icon="tasks" title={t("tasks.emptyTitle")} text={t("tasks.emptyText")} />}
        {rows.length > 0 && (
          <VirtualTable
            label={t("tasks.title")}
            columns={columns}
            rows={rows}
            keyOf={(job) => job.id}
            hasMore={jobs.hasNextPage}
            loadingMore={jobs.isFetchingNextPage}
            onMore={more}
            minWidth={1000}
          />
        )}
      </Stack>
      <JobDrawer id={params.get("job")} onClose={() => open(null)} />
    </>
  );
}
