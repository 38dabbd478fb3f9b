import { Button, Group, Stack, Table, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Model } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { JobProgress } from "../../components/JobProgress";
import { Tag } from "../../components/Tag";
import { useFormat } from "../../i18n/format";
import { evaluationOf, type Judged } from "./judged";
import { useFigureName } from "./figure_name";

function Figures({ rows, name }: { rows: readonly Judged[]; name: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const figureName = useFigureName();
  const cell = (value: number | null) => (value === null ? "–" : format.number(value, 3));
  return (
    <Table verticalSpacing={6} aria-label={t("library.evaluationOf", { name })}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t("library.figure")}</Table.Th>
          <Table.Th>{t("library.measured")}</Table.Th>
          <Table.Th>{t("library.real")}</Table.Th>
          <Table.Th>{t("library.bounds")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Table.Tr key={row.name} data-judged={row.name}>
            <Table.Th scope="row" fw={500}>
              {figureName(row.name)}
            </Table.Th>
            <Table.Td fw={row.within ? 400 : 700}>
              {cell(row.value)} {!row.within && <Tag tone="error">{t("library.short")}</Tag>}
            </Table.Td>
            <Table.Td>{cell(row.real)}</Table.Td>
            <Table.Td c="dimmed">
              {[row.least === null ? "" : `≥ ${format.number(row.least, 3)}`, row.most === null ? "" : `≤ ${format.number(row.most, 3)}`].filter((text) => text !== "").join(t("common.comma"))}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** Measures a version anew on a part of the take it never saw, and shows each figure beside the recording's own. */
export function Evaluation({ model }: { model: Model }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const start = useMutation({
    mutationFn: () => must(api().POST("/api/v1/models/{model_id}:evaluate", { params: { path: { model_id: model.id } } })),
    onSuccess: (job) => client.setQueryData(["jobs", job.id], job),
  });
  const job = useQuery({ ...queries.job(start.data?.id ?? ""), enabled: start.data !== undefined });
  const running = job.data?.state === "queued" || job.data?.state === "running";
  const found = evaluationOf(model.evaluation);
  const name = `${model.name} · ${model.version}`;
  return (
    <Stack gap="sm">
      <Group gap="sm">
        <Button size="xs" variant="default" loading={start.isPending} disabled={running} aria-label={`${t("library.evaluate")}: ${name}`} onClick={() => start.mutate()}>
          {t("library.evaluate")}
        </Button>
        {found !== null && (
          <>
            <Tag tone={found.passed ? "ok" : "warning"}>{t(found.passed ? "library.passed" : "library.fellShort")}</Tag>
            <Text size="sm" c="dimmed">
              {format.when(found.at)}
            </Text>
          </>
        )}
      </Group>
      {start.isError && <ErrorNote error={start.error} />}
      {job.data !== undefined && job.data.state !== "succeeded" && <JobProgress job={job.data} title={t("library.evaluate")} />}
      {found !== null && (
        <details>
          <summary className="more">{t("library.evaluation")}</summary>
          <Figures rows={found.rows} name={name} />
        </details>
      )}
    </Stack>
  );
}
