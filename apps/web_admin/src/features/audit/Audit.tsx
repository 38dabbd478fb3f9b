import { Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import type { AuditEvent } from "../../api/types";
import { Empty } from "../../components/Empty";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { Tag } from "../../components/Tag";
import { useFormat } from "../../i18n/format";

function AuditTable({ rows }: { rows: readonly AuditEvent[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Table.ScrollContainer minWidth={720} className="panel" p={0} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": t("audit.title") } }}>
      <Table verticalSpacing="xs" horizontalSpacing="md">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("audit.at")}</Table.Th>
            <Table.Th>{t("audit.actor")}</Table.Th>
            <Table.Th>{t("audit.action")}</Table.Th>
            <Table.Th>{t("audit.object")}</Table.Th>
            <Table.Th>{t("audit.result")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td>{format.when(row.at)}</Table.Td>
              <Table.Td lang="en">{row.actor}</Table.Td>
              <Table.Td lang="en" className="mono">
                {row.action}
              </Table.Td>
              <Table.Td>
                <Text span className="mono" lang="en">
                  {row.object_kind} {row.object_id ?? ""}
                </Text>
              </Table.Td>
              <Table.Td>
                <Tag tone={row.result < 400 ? "ok" : "error"}>{row.result}</Tag>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** Who did what: sealed line by line, so that nothing can be taken out unseen. */
export function Audit() {
  const { t } = useTranslation();
  const events = useQuery({ ...queries.audit(), staleTime: 0 });
  return (
    <>
      <PageHead title={t("audit.title")} lead={t("audit.lead")} />
      <Loaded query={events}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="audit" title={t("audit.emptyTitle")} text={t("audit.emptyText")} />
          ) : (
            <AuditTable rows={rows} />
          )
        }
      </Loaded>
    </>
  );
}
