import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { TryOut } from "./TryOut";

/** The avatar talks at once, before any training. */
export function PreviewStep({ avatarId, onNext }: { avatarId: string; onNext: () => void }) {
  const { t } = useTranslation();
  return (
    <Stack>
      <TryOut avatarId={avatarId}>
        <Title order={2} size="h4">
          {t("preview.title")}
        </Title>
        <Text size="sm" c="dimmed">
          {t("preview.lead")}
        </Text>
      </TryOut>
      <Group justify="flex-end">
        <Button size="md" onClick={onNext}>
          {t("preview.next")}
        </Button>
      </Group>
    </Stack>
  );
}
