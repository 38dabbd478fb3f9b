import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { auditList } from "../../api/lists";
import type { AuditEvent } from "../../api/types";
import { Empty } from "../../components/Empty";
import { ErrorNote } from "../../components/ErrorNote";
import { Note } from "../../components/Note";
import { PageHead } from "../../components/PageHead";
import { TableSkeleton } from "../../components/TableSkeleton";
import { Tag } from "../../components/Tag";
import { type Column, VirtualTable } from "../../components/VirtualTable";
import { useFormat } from "../../i18n/format";

const PAUSE_MS = 300;

function useColumns(): readonly Column<AuditEvent>[] {
  const { t } = useTranslation();
  const format = useFormat();
  return [
    { key: "at", head: t("audit.at"), track: "minmax(170px, 1fr)", cell: (row) => format.when(row.at) },
    { key: "actor", head: t("audit.actor"), track: "110px", cell: (row) => <span lang="en">{row.actor}</span> },
    {
      key: "action",
      head: t("audit.action"),
      track: "minmax(260px, 2fr)",
      cell: (row) => (
        <span className="mono" lang="en" title={row.action}>
          {row.action}
        </span>
      ),
    },
    {
      key: "object",
      head: t("audit.object"),
      track: "minmax(220px, 1.6fr)",
      cell: (row) => (
        <span className="mono" lang="en" title={row.object_id ?? ""}>
          {row.object_kind} {row.object_id ?? ""}
        </span>
      ),
    },
    { key: "result", head: t("audit.result"), track: "90px", cell: (row) => <Tag tone={row.result < 400 ? "ok" : "error"}>{row.result}</Tag> },
  ];
}

/** Recomputes every seal, so that an auditor need not believe the page. */
function Verify() {
  const { t } = useTranslation();
  const verify = useMutation({ mutationFn: () => must(api().GET("/api/v1/audit/verify")) });
  return (
    <Stack gap="sm" align="flex-start">
      <Button variant="default" loading={verify.isPending} onClick={() => verify.mutate()}>
        {t("audit.verify")}
      </Button>
      {verify.isError && <ErrorNote error={verify.error} />}
      {verify.data !== undefined && (
        <Note
          tone={verify.data.ok ? "ok" : "error"}
          title={verify.data.ok ? t("audit.sealed", { count: verify.data.rows }) : t("audit.broken", { row: verify.data.broken_at ?? 0 })}
        />
      )}
    </Stack>
  );
}

/** Who did what: sealed line by line, so that nothing can be taken out unseen. */
export function Audit() {
  const { t } = useTranslation();
  const [object, setObject] = useState("");
  const [wanted] = useDebouncedValue(object.trim(), PAUSE_MS);
  const events = useInfiniteQuery(auditList({ action: null, objectId: wanted === "" ? null : wanted }));
  const rows = useMemo(() => events.data?.pages.flatMap((page) => page.items) ?? [], [events.data]);
  const columns = useColumns();
  const { fetchNextPage } = events;
  const more = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  return (
    <>
      <PageHead title={t("audit.title")} lead={t("audit.lead")} />
      <Stack>
        <Group align="flex-end" justify="space-between">
          <TextInput w={360} maxLength={64} label={t("audit.find")} description={t("audit.findHint")} value={object} onChange={(event) => setObject(event.currentTarget.value)} />
          <Verify />
        </Group>
        {events.isError && <ErrorNote error={events.error} onRetry={() => void events.refetch()} />}
        {events.isPending && <TableSkeleton />}
        {events.isSuccess && rows.length === 0 && <Empty icon="audit" title={t("audit.emptyTitle")} text={t("audit.emptyText")} />}
        {rows.length > 0 && (
          <VirtualTable
            label={t("audit.title")}
            columns={columns}
            rows={rows}
            keyOf={(row) => row.id}
            hasMore={events.hasNextPage}
            loadingMore={events.isFetchingNextPage}
            onMore={more}
            rowHeight={46}
            minWidth={900}
          />
        )}
        <Text size="sm" c="dimmed">
          {t("audit.note")}
        </Text>
      </Stack>
    </>
  );
}
