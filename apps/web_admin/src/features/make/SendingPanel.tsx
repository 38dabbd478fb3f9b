import { Button, Group, Progress, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useFormat } from "../../i18n/format";
import type { Sending } from "./use_sending";

/** How far the upload is, how fast it goes and how long it still takes; then that the check is at work. */
export function SendingPanel({ sending }: { sending: Sending }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { sent, pace } = sending;
  const share = sent === null || sent.total === 0 ? 0 : sent.bytes / sent.total;
  const checking = share >= 1;
  return (
    <Stack className="panel" gap="sm" role="status">
      <Group justify="space-between">
        <Text fw={600}>{checking ? t("upload.checking") : t("upload.sending")}</Text>
        <Text size="sm" style={{ fontVariantNumeric: "tabular-nums" }}>
          {sent === null ? "" : `${format.bytes(sent.bytes)} / ${format.bytes(sent.total)}`}
        </Text>
      </Group>
      <Progress value={share * 100} animated={checking} aria-label={t("upload.sending")} />
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          {checking
            ? t("upload.checkingHint")
            : pace === null || pace.secondsLeft === null
              ? t("upload.measuring")
              : t("upload.pace", { speed: `${format.bytes(pace.speed)}/s`, left: format.duration(pace.secondsLeft) })}
        </Text>
        <Button size="xs" variant="default" onClick={sending.stop}>
          {t("common.cancel")}
        </Button>
      </Group>
    </Stack>
  );
}
