import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { TryOut } from "./TryOut";

/** The avatar talks at once, before any training. */
export function PreviewStep({ avatarId, onNext }: { avatarId: string; onNext: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="live-grid">
      <TryOut avatarId={avatarId} />
      <Stack className="panel" gap="md">
        <Title order={2} size="h4">
          {t("preview.title")}
        </Title>
        <Text size="sm" c="dimmed">
          {t("preview.lead")}
        </Text>
        <Group justify="flex-end">
          <Button size="md" onClick={onNext}>
            {t("preview.next")}
          </Button>
        </Group>
      </Stack>
    </div>
  );
}
