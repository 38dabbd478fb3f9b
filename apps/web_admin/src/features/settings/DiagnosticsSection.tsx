import { Button, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { download } from "../../api/download";
import { ErrorNote } from "../../components/ErrorNote";
import { Checks } from "../home/Checks";

/** A file for whoever helps, and the checks of this machine. */
export function DiagnosticsSection() {
  const { t } = useTranslation();
  const make = useMutation({ mutationFn: () => download("/api/v1/system/diagnostics", "studio-diagnostics.zip") });
  return (
    <Stack gap="lg">
      <Stack className="panel" gap="md">
        <Text size="sm" c="dimmed">
          {t("settings.diagnostics.lead")}
        </Text>
        <Button w="fit-content" loading={make.isPending} onClick={() => make.mutate()}>
          {t("settings.diagnostics.make")}
        </Button>
        {make.isError && <ErrorNote error={make.error} />}
      </Stack>
      <Checks />
    </Stack>
  );
}
