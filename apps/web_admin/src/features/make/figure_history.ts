import { useEffect, useState } from "react";
import type { Job } from "../../api/types";

export interface Curve {
  readonly xs: readonly number[];
  readonly ys: readonly number[];
}

const KEPT = 2000;
const curves = new Map<string, Curve>();
const EMPTY: Curve = { xs: [], ys: [] };

/** Adds what a job says now to what it said before. The share done stands for time, so that a restart joins on. */
export function extend(curve: Curve, progress: number, value: number): Curve {
  const last = curve.xs.at(-1);
  if (last !== undefined && progress * 100 <= last) return curve;
  return { xs: [...curve.xs, progress * 100].slice(-KEPT), ys: [...curve.ys, value].slice(-KEPT) };
}

/** A figure of a job over the course of it, kept while the page is open. */
export function useFigureHistory(job: Job, name: string): Curve {
  const key = `${job.id}/${name}`;
  const [curve, setCurve] = useState<Curve>(() => curves.get(key) ?? EMPTY);
  const value = job.figures[name];
  useEffect(() => {
    if (typeof value !== "number") return;
    const next = extend(curves.get(key) ?? EMPTY, job.progress, value);
    curves.set(key, next);
    setCurve(next);
  }, [key, value, job.progress]);
  return curve;
}
