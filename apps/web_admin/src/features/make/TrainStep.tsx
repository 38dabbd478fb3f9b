import { Button, Group, NumberInput, Select, SimpleGrid, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Job, Take } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { JobProgress } from "../../components/JobProgress";
import { LogView } from "../../components/LogView";
import { useFormat } from "../../i18n/format";
import { useFigureHistory } from "./figure_history";

const Chart = lazy(async () => ({ default: (await import("../../components/Chart")).Chart }));
const DEFAULT_MINUTES = 5;

function LossCurve({ job }: { job: Job }) {
  const { t } = useTranslation();
  const format = useFormat();
  const curve = useFigureHistory(job, "loss");
  const last = curve.ys.at(-1);
  if (last === undefined) return null;
  return (
    <Stack className="panel" gap="xs">
      <Text fw={600} size="sm">
        {t("train.loss")} · {format.number(last, 4)}
      </Text>
      <Suspense fallback={null}>
        <Chart label={t("train.loss")} xs={curve.xs} ys={curve.ys} height={160} atLeast={0.001} />
      </Suspense>
      <Text size="sm" c="dimmed">
        {t("train.lossHint")}
      </Text>
    </Stack>
  );
}

function TrainForm({ take }: { take: Take }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const capabilities = useQuery(queries.capabilities());
  const engines = (capabilities.data?.engines ?? []).filter((engine) => engine.available && engine.trains);
  const [name, setName] = useState(take.name);
  const [engine, setEngine] = useState("lipbank");
  const [minutes, setMinutes] = useState<number | string>(DEFAULT_MINUTES);
  const train = useMutation({
    mutationFn: () =>
      must(
        api().POST("/api/v1/avatars:train", {
          body: { take_id: take.id, name: name.trim(), engine, minutes: Number(minutes) || DEFAULT_MINUTES },
        }),
      ),
    onSuccess: (job) => {
      client.setQueryData(["jobs", job.id], job);
      void client.invalidateQueries({ queryKey: ["trainings"] });
      return client.invalidateQueries({ queryKey: ["jobs"], exact: true });
    },
  });
  return (
    <Stack className="panel" gap="md" component="section">
      <Title order={2} size="h4">
        {t("train.title")}
      </Title>
      <Text size="sm" c="dimmed">
        {t("train.lead")}
      </Text>
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        <TextInput label={t("train.name")} required maxLength={120} value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Select
          label={t("train.engine")}
          value={engine}
          allowDeselect={false}
          onChange={(value) => value !== null && setEngine(value)}
          data={engines.length === 0 ? ["lipbank"] : engines.map((entry) => entry.name)}
        />
        <NumberInput label={t("train.minutes")} description={t("train.minutesHint")} min={1} max={240} clampBehavior="strict" value={minutes} onChange={setMinutes} hideControls inputWrapperOrder={["label", "input", "description"]} />
      </SimpleGrid>
      {train.isError && <ErrorNote error={train.error} />}
      <Group justify="flex-end">
        <Button size="md" loading={train.isPending} disabled={name.trim() === ""} onClick={() => train.mutate()}>
          {t("train.start")}
        </Button>
      </Group>
    </Stack>
  );
}

interface TrainStepProps {
  readonly take: Take;
  readonly training: Job | null;
  readonly onDone: () => void;
}

/** Starts the training and shows how it comes on. The page may be left: the work goes on. */
export function TrainStep({ take, training, onDone }: TrainStepProps) {
  const { t } = useTranslation();
  const active = training !== null && (training.state === "queued" || training.state === "running");
  return (
    <Stack gap="lg">
      {training !== null && <JobProgress job={training} title={t("train.job")} />}
      {active && (
        <Text size="sm" c="dimmed">
          {t("train.leave")}
        </Text>
      )}
      {training !== null && <LossCurve key={training.id} job={training} />}
      {training?.state === "succeeded" && (
        <Group justify="flex-end">
          <Button size="md" onClick={onDone}>
            {t("train.next")}
          </Button>
        </Group>
      )}
      {!active && <TrainForm take={take} />}
      {training !== null && <LogView jobId={training.id} />}
    </Stack>
  );
}
