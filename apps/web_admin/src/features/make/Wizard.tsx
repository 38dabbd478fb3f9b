import { Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";
import { queries } from "../../api/queries";
import type { Job, Take } from "../../api/types";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { MatteStep } from "./MatteStep";
import { PreviewStep } from "./PreviewStep";
import { ReportStep } from "./ReportStep";
import { ResultStep } from "./ResultStep";
import { StepBar } from "./StepBar";
import { currentStep, isStep, openSteps, type Step, trainingOf } from "./steps";
import { TrainStep } from "./TrainStep";

interface StepsProps {
  readonly take: Take;
  readonly jobs: readonly Job[];
}

function Steps({ take, jobs }: StepsProps) {
  const [params, setParams] = useSearchParams();
  const training = trainingOf(jobs, take.id);
  const open = openSteps(take, training);
  const asked = params.get("step");
  const step: Step = isStep(asked) && open.has(asked) ? asked : currentStep(take, training);
  const go = (next: Step) => setParams({ step: next });
  return (
    <Stack gap="lg">
      <StepBar step={step} open={open} onStep={go} />
      {step === "report" && <ReportStep take={take} onNext={() => go("matte")} />}
      {step === "matte" && <MatteStep take={take} onNext={() => go(take.preview_avatar_id === null ? "train" : "preview")} />}
      {step === "preview" && take.preview_avatar_id !== null && (
        <PreviewStep avatarId={take.preview_avatar_id} onNext={() => go("train")} />
      )}
      {step === "train" && <TrainStep take={take} training={training} onDone={() => go("result")} />}
      {step === "result" && training !== null && <ResultStep take={take} training={training} onAgain={() => go("train")} />}
    </Stack>
  );
}

/** From an uploaded take to an avatar. All it knows is kept by the studio: leaving and coming back loses nothing. */
export function Wizard() {
  const { t } = useTranslation();
  const { takeId = "" } = useParams();
  const take = useQuery(queries.take(takeId));
  const jobs = useQuery(queries.trainings());
  return (
    <>
      <PageHead title={take.data?.name ?? t("make.title")} lead={t("make.wizardLead")} />
      <Loaded query={take}>
        {(found) => <Loaded query={jobs}>{(known) => <Steps take={found} jobs={known} />}</Loaded>}
      </Loaded>
    </>
  );
}
