/** Figures over the last minute and a half, one point a second, kept while the page shows them. */
import { useEffect, useState } from "react";

const KEPT = 90;

export interface History {
  readonly xs: readonly number[];
  readonly ys: readonly (number | null)[];
}
const EMPTY: History = { xs: [], ys: [] };

export function push(history: History, value: number | null): History {
  const x = (history.xs.at(-1) ?? -1) + 1;
  return { xs: [...history.xs, x].slice(-KEPT), ys: [...history.ys, value].slice(-KEPT) };
}

/** A figure's course: `stamp` says that there is a new reading, even of the same value. */
export function useHistory(value: number | null | undefined, stamp: number): History {
  const [history, setHistory] = useState<History>(EMPTY);
  useEffect(() => {
    if (stamp > 0 && value !== undefined) setHistory((known) => push(known, value));
  }, [value, stamp]);
  return history;
}
