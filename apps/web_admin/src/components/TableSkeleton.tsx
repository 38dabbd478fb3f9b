import { Skeleton, Stack } from "@mantine/core";
import { useTranslation } from "react-i18next";

/** The shape of a table while its first rows are on their way. */
export function TableSkeleton() {
  const { t } = useTranslation();
  return (
    <Stack className="panel" gap="xs" role="status" aria-label={t("common.loading")}>
      {Array.from({ length: 8 }, (_, index) => (
        <Skeleton key={index} h={32} />
      ))}
    </Stack>
  );
}
