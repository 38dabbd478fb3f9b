import { METRICS } from "../make/Metrics";

/** Which way a figure is better: up, down, or towards a value. */
const BETTER: Record<(typeof METRICS)[number], "up" | "down" | number> = {
  lip_gap_corr: "up",
  gap_std_ratio: 1,
  lag_ms: 0,
  sharpness: 1,
  psnr: "up",
  jitter: "down",
  seam: "down",
  closure_recall: "up",
  silence_motion_ratio: 1,
};

export interface Compared {
  readonly name: (typeof METRICS)[number];
  readonly left: number | null;
  readonly right: number | null;
  readonly better: "left" | "right" | null;
}

type Figures = Readonly<Record<string, unknown>>;

function figure(metrics: Figures, name: string): number | null {
  const value = metrics[name];
  return typeof value === "number" ? value : null;
}

/** Two versions' figures side by side, and which of them is better where both were measured. */
export function compareFigures(left: Figures, right: Figures): Compared[] {
  return METRICS.flatMap((name): Compared[] => {
    const [a, b] = [figure(left, name), figure(right, name)];
    if (a === null && b === null) return [];
    if (a === null || b === null || a === b) return [{ name, left: a, right: b, better: null }];
    const way = BETTER[name];
    const ahead = way === "up" ? a > b : way === "down" ? a < b : Math.abs(a - way) < Math.abs(b - way);
    return [{ name, left: a, right: b, better: ahead ? "left" : "right" }];
  });
}

interface Linked {
  readonly id: string;
  readonly parent_id: string | null;
}

/** A version and those it was made from, newest first; ends at one that is gone. */
export function lineageOf<Row extends Linked>(row: Row, all: readonly Row[]): Row[] {
  const byId = new Map(all.map((entry) => [entry.id, entry]));
  const chain: Row[] = [];
  let at: Row | undefined = row;
  while (at !== undefined && !chain.includes(at)) {
    chain.push(at);
    at = at.parent_id === null ? undefined : byId.get(at.parent_id);
  }
  return chain;
}
