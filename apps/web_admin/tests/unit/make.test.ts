import { describe, expect, it } from "vitest";
import { EMPTY_CONSENT, endOf, isConsentComplete, keepConsent, keptConsent, toConsent } from "../../src/features/make/consent";
import { extend } from "../../src/features/make/figure_history";
import { momentAt } from "../../src/features/make/ContactSheet";
import { lengthOf } from "../../src/features/make/length";
import { currentStep, openSteps, trainingOf } from "../../src/features/make/steps";
import { actsFor } from "../../src/features/models/acts";
import { makeJob, makeModel, makeTake } from "./make";

describe("consent", () => {
  const complete = { person: " A ", purpose: "News ", scope: ["train", "live"], until: "", agreed: true } as const;
  it("is complete with a name, training and the agreement", () => {
    expect(isConsentComplete(complete)).toBe(true);
    expect(isConsentComplete({ ...complete, person: " " })).toBe(false);
    expect(isConsentComplete({ ...complete, scope: ["live"] })).toBe(false);
    expect(isConsentComplete({ ...complete, agreed: false })).toBe(false);
    expect(isConsentComplete({ ...complete, purpose: "" })).toBe(false);
    expect(isConsentComplete({ ...complete, until: "2020-01-01" })).toBe(false);
    expect(toConsent(complete, "s")).toEqual({
      person: "A",
      purpose: "News",
      scope: ["train", "live"],
      until: null,
      statement: "s",
      statement_version: "2",
      agreed: true,
    });
    const end = toConsent({ ...complete, until: "2199-05-01" }, "s").until;
    expect(new Date(end ?? 0).getTime()).toBe(new Date("2199-05-01T23:59:59").getTime());
    expect(endOf("no day")).toBeUndefined();
  });
  it("is remembered without the agreement", () => {
    keepConsent(complete);
    expect(keptConsent()).toEqual({ ...complete, agreed: false });
    sessionStorage.setItem("studio.consent", '{"person": 3, "scope": []}');
    expect(keptConsent()).toEqual(EMPTY_CONSENT);
  });
});

describe("steps", () => {
  const prepared = makeTake({ preview_avatar_id: "a1" });
  it("open as the take comes on", () => {
    expect([...openSteps(makeTake({ state: "preparing" }), null)]).toEqual(["report"]);
    expect(openSteps(makeTake({ state: "rejected" }), makeJob({ state: "succeeded" })).has("train")).toBe(false);
    expect([...openSteps(prepared, null)]).toEqual(["report", "matte", "train", "preview"]);
    expect(openSteps(makeTake(), null).has("preview")).toBe(false);
    expect(openSteps(prepared, makeJob({ state: "succeeded" })).has("result")).toBe(true);
  });
  it("go on where somebody left", () => {
    expect(currentStep(prepared, null)).toBe("report");
    expect(currentStep(prepared, makeJob())).toBe("train");
    expect(currentStep(prepared, makeJob({ state: "failed" }))).toBe("train");
    expect(currentStep(prepared, makeJob({ state: "succeeded" }))).toBe("result");
  });
  it("follow the newest training of this take", () => {
    const jobs = [
      makeJob({ id: "old" }),
      makeJob({ id: "new", created_at: "2026-01-02T00:00:00Z" }),
      makeJob({ id: "other", created_at: "2026-01-03T00:00:00Z", request: { take_id: "t2" } }),
      makeJob({ id: "film", created_at: "2026-01-04T00:00:00Z", kind: "inference:video" }),
    ];
    expect(trainingOf(jobs, "t1")?.id).toBe("new");
    expect(trainingOf(jobs, "t9")).toBeNull();
  });
});

it("reads the length of a take from its report", () => {
  expect(lengthOf(makeTake({ report: { ok: true, findings: [], info: { video: { duration: 71.2 } } } }))).toBe(71.2);
  expect(lengthOf(makeTake())).toBe(10);
});

it("draws a curve that only moves forward", () => {
  let curve = extend({ xs: [], ys: [] }, 0.1, 5);
  curve = extend(curve, 0.1, 4);
  curve = extend(curve, 0.2, 3);
  expect(curve).toEqual({ xs: [10, 20], ys: [5, 3] });
});

it("offers what a version's state allows", () => {
  expect(actsFor(makeModel({ state: "in_review" }))).toEqual(["approve", "reject"]);
  expect(actsFor(makeModel({ live: true }))).toEqual([]);
  expect(actsFor(makeModel({ live: true, parent_id: "m0" }))).toEqual(["rollback"]);
  expect(actsFor(makeModel({}))).toEqual(["promote"]);
  expect(actsFor(makeModel({ state: "retired" }))).toEqual([]);
});

describe("contact sheet", () => {
  it("knows the moment of every place", () => {
    expect(momentAt(0, 0, 120)).toBe(5);
    expect(momentAt(0.99, 0.2, 120)).toBe(55);
    expect(momentAt(0.01, 0.51, 120)).toBe(65);
    expect(momentAt(1, 1, 120)).toBe(115);
    expect(momentAt(-1, 2, 120)).toBe(65);
  });
});
