import { Code, Container, Loader, Progress, Stack, Text, Title } from "@mantine/core";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { SetupStep } from "../../electron/bridge";
import { Frame } from "./Frame";

const STEPS = ["python", "packages", "start"] as const;

/** What is seen until the studio answers: at the first start, the steps of making its environment. */
export function Starting() {
  const { t } = useTranslation();
  const [step, setStep] = useState<SetupStep | null>(null);
  useEffect(() => window.studio?.onSetup(setStep), []);
  const at = step === null ? -1 : STEPS.findIndex((name) => name === step.step);
  return (
    <Frame>
      <Container size="sm" py={80} component="main">
        <Stack className="panel" gap="md" p={32} role="status">
          <Title order={1} size="h3">
            {t("start.title")}
          </Title>
          <Text c="dimmed" size="sm">
            {step === null ? t("start.short") : t("start.first")}
          </Text>
          {step === null ? (
            <Loader aria-label={t("common.loading")} />
          ) : (
            <>
              <Stack component="ol" gap="xs" m={0} pl="lg">
                {STEPS.map((name, index) => (
                  <Text key={name} component="li" size="sm" fw={index === at ? 700 : 400} c={index > at ? "dimmed" : undefined} aria-current={index === at ? "step" : undefined}>
                    {t(`start.step.${name}`)}
                  </Text>
                ))}
              </Stack>
              <Progress value={(100 * (Math.max(at, 0) + (step.share ?? 0))) / STEPS.length} animated aria-label={t("start.title")} />
              <Code lang="en">{step.line}</Code>
            </>
          )}
        </Stack>
      </Container>
    </Frame>
  );
}
