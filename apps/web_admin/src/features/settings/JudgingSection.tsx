import { Button, Group, NumberInput, Stack, Table, Text } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { SettingsValues } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { METRICS } from "../make/Metrics";
import { useSettings } from "./use_settings";

type Bounds = Readonly<Record<string, number>>;

function without(bounds: Bounds, name: string): Bounds {
  return Object.fromEntries(Object.entries(bounds).filter(([key]) => key !== name));
}

interface LimitsProps {
  readonly values: SettingsValues;
  readonly change: ReturnType<typeof useSettings>["change"];
}

function Limits({ values, change }: LimitsProps) {
  const { t } = useTranslation();
  const [low, setLow] = useState<Bounds>(values.minimum_metrics);
  const [high, setHigh] = useState<Bounds>(values.maximum_metrics);
  const cell = (name: string, bounds: Bounds, set: (next: Bounds) => void, label: string) => (
    <NumberInput
      aria-label={label}
      placeholder={t("settings.judging.none")}
      hideControls
      decimalScale={3}
      value={bounds[name] ?? ""}
      onChange={(value) => set(value === "" ? without(bounds, name) : { ...bounds, [name]: Number(value) })}
    />
  );
  return (
    <Stack className="panel" gap="md">
      <Text size="sm" c="dimmed">
        {t("settings.judging.lead")}
      </Text>
      <Table verticalSpacing={6} maw={640}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("models.metrics")}</Table.Th>
            <Table.Th>{t("settings.judging.at_least")}</Table.Th>
            <Table.Th>{t("settings.judging.at_most")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {METRICS.map((name) => {
            const metric = t(`metric.${name}`);
            return (
              <Table.Tr key={name}>
                <Table.Th scope="row" fw={500}>
                  {metric}
                </Table.Th>
                <Table.Td>{cell(name, low, setLow, `${metric}: ${t("settings.judging.at_least")}`)}</Table.Td>
                <Table.Td>{cell(name, high, setHigh, `${metric}: ${t("settings.judging.at_most")}`)}</Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
      {change.isError && <ErrorNote error={change.error} />}
      <Group>
        <Button loading={change.isPending} onClick={() => change.mutate({ minimum_metrics: { ...low }, maximum_metrics: { ...high } })}>
          {t("settings.save")}
        </Button>
        <Button variant="default" onClick={() => change.mutate({ minimum_metrics: null, maximum_metrics: null })}>
          {t("settings.reset")}
        </Button>
        {change.isSuccess && (
          <Text size="sm" role="status">
            {t("settings.saved")}
          </Text>
        )}
      </Group>
    </Stack>
  );
}

/** Outside which figures a new version waits for a decision. */
export function JudgingSection() {
  const { query, change } = useSettings();
  return (
    <Loaded query={query}>
      {(values) => <Limits key={JSON.stringify([values.minimum_metrics, values.maximum_metrics])} values={values} change={change} />}
    </Loaded>
  );
}
