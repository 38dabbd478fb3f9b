import { describe, expect, it } from "vitest";
import { compareFigures, lineageOf } from "../../src/features/models/compare";
import { isWorthTelling } from "../../src/app/use_shell";
import { makeJob } from "./make";
import { evaluationOf } from "../../src/features/models/judged";

it("says which of two versions is better, by what each figure means", () => {
  const rows = compareFigures({ psnr: 27, jitter: 1.2, lag_ms: -40, sharpness: 1.1, seam: 3 }, { psnr: 26, jitter: 1.1, lag_ms: 20, sharpness: 0.8, other: 1 });
  const better = Object.fromEntries(rows.map((row) => [row.name, row.better]));
  expect(better).toEqual({ psnr: "left", jitter: "right", lag_ms: "right", sharpness: "left", seam: null });
  expect(compareFigures({}, {})).toEqual([]);
  expect(compareFigures({ psnr: 1 }, { psnr: 1 })[0]?.better).toBeNull();
});

it("follows a version back to those it was made from, and never in a circle", () => {
  const a = { id: "a", parent_id: "b" };
  const b = { id: "b", parent_id: "gone" };
  expect(lineageOf(a, [a, b])).toEqual([a, b]);
  const loop = { id: "x", parent_id: "y" };
  const back = { id: "y", parent_id: "x" };
  expect(lineageOf(loop, [loop, back])).toEqual([loop, back]);
});

it("tells of a job's end only where it ran long and nobody looks", () => {
  const ended = makeJob({ state: "succeeded", started_at: "2026-01-01T00:00:00Z", finished_at: "2026-01-01T00:01:00Z" });
  expect(isWorthTelling(ended, true)).toBe(true);
  expect(isWorthTelling(ended, false)).toBe(false);
  expect(isWorthTelling({ ...ended, finished_at: "2026-01-01T00:00:01Z" }, true)).toBe(false);
  expect(isWorthTelling(makeJob({ state: "running" }), true)).toBe(false);
});

describe("evaluation", () => {
  it("holds each figure against its own bounds, and reads what an older version kept of it", () => {
    expect(evaluationOf({})).toBeNull();
    const found = evaluationOf({
      at: "2026-01-01T00:00:00Z",
      passed: false,
      figures: { psnr: { value: 30, real: null, least: 31, most: null }, lag_ms: { value: 0, real: 0, least: -80, most: 80 }, seam: { value: 1.2 }, odd: 3 },
    });
    expect(found?.passed).toBe(false);
    expect(found?.rows.map((row) => [row.name, row.within, row.real])).toEqual([
      ["psnr", false, null],
      ["lag_ms", true, 0],
      ["seam", true, null],
    ]);
  });
});
