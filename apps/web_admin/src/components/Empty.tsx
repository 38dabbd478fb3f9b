import { Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

interface EmptyProps {
  readonly icon: IconName;
  readonly title: string;
  readonly text: string;
  readonly children?: ReactNode;
}

/** Says that there is nothing yet, why, and what to do about it. */
export function Empty({ icon, title, text, children }: EmptyProps) {
  return (
    <Stack className="panel" align="center" gap="xs" py={56} ta="center">
      <Text c="dimmed" component="span">
        <Icon name={icon} size={40} />
      </Text>
      <Title order={2} size="h4">
        {title}
      </Title>
      <Text c="dimmed" size="sm" maw={460} mb="sm">
        {text}
      </Text>
      {children}
    </Stack>
  );
}
