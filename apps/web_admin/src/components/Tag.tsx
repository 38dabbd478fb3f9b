import type { ReactNode } from "react";

export type Tone = "ok" | "warning" | "error" | "info" | "idle";

/** A word of state in its colour. */
export function Tag({ tone, children }: { tone: Tone; children: ReactNode }) {
  return <span className={`tag tone-${tone}`}>{children}</span>;
}
