import type { ReadyLine } from "./ready_line";

/** How the Python child is. `final`: the supervisor has given up restarting it. */
export type Status =
  | { readonly state: "stopped" }
  | { readonly state: "starting"; readonly attempt: number }
  | ({ readonly state: "ready" } & ReadyLine)
  | { readonly state: "crashed"; readonly reason: string; readonly lastLines: readonly string[]; readonly final: boolean }
  | { readonly state: "stopping" };
