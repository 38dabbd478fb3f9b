import type { Job, Take } from "../../api/types";

export const STEPS = ["report", "matte", "preview", "train", "result"] as const;
export type Step = (typeof STEPS)[number];

/** The newest training that works on this take. */
export function trainingOf(jobs: readonly Job[], takeId: string): Job | null {
  const own = jobs.filter((job) => job.kind === "avatars:train" && job.request.take_id === takeId);
  return own.sort((a, b) => b.created_at.localeCompare(a.created_at))[0] ?? null;
}

/** Steps that can be opened now. */
export function openSteps(take: Take, training: Job | null): ReadonlySet<Step> {
  const open = new Set<Step>(["report"]);
  if (take.state === "prepared") {
    open.add("matte").add("train");
    if (take.preview_avatar_id !== null) open.add("preview");
  }
  if (training?.state === "succeeded") open.add("result");
  return open;
}

/** Where somebody who comes back goes on. */
export function currentStep(take: Take, training: Job | null): Step {
  if (training?.state === "succeeded") return "result";
  if (training !== null && take.state === "prepared") return "train";
  return "report";
}

export function isStep(value: string | null): value is Step {
  return STEPS.some((step) => step === value);
}
