/** Whether the studio may end now, or somebody has to be asked first. */
import type { PageState } from "./bridge";
import { words } from "./words";

export interface QuitQuestion {
  readonly message: string;
  readonly detail: string;
  readonly buttons: readonly [string, string];
}

/** The question before an end that would cost something; null where nothing is at work. The first button stays. */
export function quitQuestion(page: PageState): QuitQuestion | null {
  const w = words(page.language);
  const detail = [page.live ? w.whileLive : "", page.training ? w.whileTraining : ""].filter((text) => text !== "").join("\n");
  return detail === "" ? null : { message: w.question, detail, buttons: [w.stay, w.quitNow] };
}
