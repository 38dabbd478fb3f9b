import { Group, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";

interface PageHeadProps {
  readonly title: string;
  readonly lead?: string;
  readonly children?: ReactNode;
}

/** A page's heading, which is also the window's title; actions stand to the right. */
export function PageHead({ title, lead, children }: PageHeadProps) {
  useEffect(() => {
    document.title = `${title} · LiveTalking Studio`;
  }, [title]);
  return (
    <Group justify="space-between" align="flex-start" mb="lg" gap="md">
      <div>
        <Title order={1} size="h2">
          {title}
        </Title>
        {lead !== undefined && (
          <Text c="dimmed" mt={4}>
            {lead}
          </Text>
        )}
      </div>
      <Group gap="sm">{children}</Group>
    </Group>
  );
}
