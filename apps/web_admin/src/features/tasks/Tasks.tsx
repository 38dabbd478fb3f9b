import { Button, Drawer, Group, Select, Stack, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { address } from "../../api/connection";
import { queries } from "../../api/queries";
import type { Job } from "../../api/types";
import { Empty } from "../../components/Empty";
import { JobActions, JobProgress, JobTag } from "../../components/JobProgress";
import { Loaded } from "../../components/Loaded";
import { LogView } from "../../components/LogView";
import { PageHead } from "../../components/PageHead";
import { useFormat } from "../../i18n/format";
import { useKindName, useStageName } from "../../i18n/stage";

const STATES = ["all", "queued", "running", "succeeded", "failed", "cancelled"] as const;
type Filter = (typeof STATES)[number];

function JobRow({ job, onOpen }: { job: Job; onOpen: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const kindName = useKindName();
  const stageName = useStageName();
  return (
    <Table.Tr data-job={job.id}>
      <Table.Td>
        <Text size="sm" fw={600}>
          {kindName(job.kind)}
        </Text>
      </Table.Td>
      <Table.Td>
        <JobTag state={job.state} />
      </Table.Td>
      <Table.Td>
        {job.state === "running" ? `${format.percent(job.progress)} · ${stageName(job.stage)}` : format.percent(job.progress)}
      </Table.Td>
      <Table.Td>{format.when(job.created_at)}</Table.Td>
      <Table.Td>
        <Group gap="xs" justify="flex-end" wrap="nowrap">
          {typeof job.file_url === "string" && (
            <Button size="xs" variant="default" component="a" href={address(job.file_url)} download>
              {t("jobs.file")}
            </Button>
          )}
          <JobActions job={job} />
          <Button size="xs" variant="default" onClick={onOpen}>
            {t("jobs.details")}
          </Button>
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

function JobTable({ jobs, onOpen }: { jobs: readonly Job[]; onOpen: (id: string) => void }) {
  const { t } = useTranslation();
  return (
    <Table.ScrollContainer minWidth={720} className="panel" p={0} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": t("tasks.title") } }}>
      <Table verticalSpacing="sm" horizontalSpacing="md">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("tasks.kind")}</Table.Th>
            <Table.Th>{t("tasks.state")}</Table.Th>
            <Table.Th>{t("tasks.progress")}</Table.Th>
            <Table.Th>{t("tasks.created")}</Table.Th>
            <Table.Th ta="right">{t("tasks.actions")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {jobs.map((job) => (
            <JobRow key={job.id} job={job} onOpen={() => onOpen(job.id)} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** Everything the studio has done and is doing, each with its log. */
export function Tasks() {
  const { t } = useTranslation();
  const kindName = useKindName();
  const jobs = useQuery(queries.jobs());
  const [filter, setFilter] = useState<Filter>("all");
  const [openId, setOpenId] = useState<string | null>(null);
  const opened = jobs.data?.find((job) => job.id === openId);
  return (
    <>
      <PageHead title={t("tasks.title")} lead={t("tasks.lead")}>
        <Select
          aria-label={t("tasks.state")}
          value={filter}
          allowDeselect={false}
          onChange={(value) => setFilter(STATES.find((name) => name === value) ?? "all")}
          data={STATES.map((name) => ({ value: name, label: name === "all" ? t("tasks.all") : t(`jobState.${name}`) }))}
        />
      </PageHead>
      <Loaded query={jobs}>
        {(rows) => {
          const shown = rows.filter((job) => filter === "all" || job.state === filter);
          return shown.length === 0 ? (
            <Empty icon="tasks" title={t("tasks.emptyTitle")} text={t("tasks.emptyText")} />
          ) : (
            <JobTable jobs={shown} onOpen={setOpenId} />
          );
        }}
      </Loaded>
      <Drawer
        opened={opened !== undefined}
        onClose={() => setOpenId(null)}
        position="right"
        size="lg"
        title={opened === undefined ? "" : kindName(opened.kind)}
        closeButtonProps={{ "aria-label": t("common.close") }}
      >
        {opened !== undefined && (
          <Stack>
            <JobProgress job={opened} title={kindName(opened.kind)} />
            <LogView jobId={opened.id} height={520} />
          </Stack>
        )}
      </Drawer>
    </>
  );
}
