import { Skeleton, Stack } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ErrorNote } from "./ErrorNote";

interface LoadedProps<Data> {
  readonly query: UseQueryResult<Data>;
  readonly children: (data: Data) => ReactNode;
}

/** What a query brought; before that a placeholder of its shape, and after a failure the reason with a way to try again. */
export function Loaded<Data>({ query, children }: LoadedProps<Data>) {
  const { t } = useTranslation();
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <ErrorNote error={query.error} onRetry={() => void query.refetch()} />;
  return (
    <Stack gap="sm" role="status" aria-label={t("common.loading")}>
      <Skeleton h={28} w="40%" />
      <Skeleton h={64} />
      <Skeleton h={64} />
    </Stack>
  );
}
