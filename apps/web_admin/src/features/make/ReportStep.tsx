import { Button, Group, Stack, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import type { Take } from "../../api/types";
import { FindingList } from "../../components/FindingList";
import { JobProgress } from "../../components/JobProgress";
import { LinkButton } from "../../components/LinkButton";
import { Note } from "../../components/Note";

function Preparing({ jobId }: { jobId: string }) {
  const { t } = useTranslation();
  const job = useQuery(queries.job(jobId));
  return job.data === undefined || job.data.state === "succeeded" ? null : <JobProgress job={job.data} title={t("report.preparing")} />;
}

/** What the check found, while the take is being prepared. */
export function ReportStep({ take, onNext }: { take: Take; onNext: () => void }) {
  const { t } = useTranslation();
  const worst = take.report.findings.some((finding) => finding.severity === "warning") ? "warning" : "ok";
  return (
    <Stack gap="lg">
      {take.job_id !== null && take.state !== "rejected" && <Preparing jobId={take.job_id} />}
      {take.duplicate_of !== null && <Note tone="warning" title={t("report.duplicate")} />}
      <Stack className="panel" gap="sm" component="section">
        <Title order={2} size="h4">
          {t("report.title")}
        </Title>
        <Note
          tone={take.report.ok ? worst : "error"}
          title={take.report.ok ? t(`report.verdict.${worst}`) : t("report.verdict.error")}
        />
        <FindingList findings={take.report.findings} />
      </Stack>
      <Group justify="flex-end">
        {take.report.ok ? (
          <Button size="md" disabled={take.state !== "prepared"} onClick={onNext}>
            {take.state === "prepared" ? t("report.next") : t("report.wait")}
          </Button>
        ) : (
          <LinkButton to="/make">{t("report.again")}</LinkButton>
        )}
      </Group>
    </Stack>
  );
}
