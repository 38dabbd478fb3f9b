import { describe, expect, it } from "vitest";
import type { Job } from "../../src/api/types";
import { withJob } from "../../src/api/lists";
import { push } from "../../src/features/live/history";
import { withHeard } from "../../src/features/live/microphone";
import { foreignHost, outputOf } from "../../src/features/live/Outputs";
import { ProgrammeBook } from "../../src/features/live/programmes";
import { SpokenLines } from "../../src/features/live/spoken";
import { changeOf } from "../../src/features/settings/ServiceForm";
import { makeJob } from "./make";

describe("programmes", () => {
  it("are known by the script they say until they end, whoever began them", () => {
    const book = new ProgrammeBook();
    book.began("s", "p");
    expect(book.state().s).toEqual({ playlistId: "p", scriptId: null });
    book.hear("s", "programme", { script_id: "a" });
    expect(book.state().s).toEqual({ playlistId: "p", scriptId: "a" });
    book.hear("other", "programme", { script_id: "b" });
    expect(book.state().other).toEqual({ playlistId: null, scriptId: "b" });
    book.hear("s", "programme", { script_id: "" });
    book.hear("other", "session_state", { state: "live" });
    expect(Object.keys(book.state())).toEqual(["other"]);
    book.hear("other", "session_state", { state: "closed" });
    expect(book.state()).toEqual({});
  });
});

describe("words spoken", () => {
  it("hold questions that came through the microphone or from the room, with their answers", () => {
    const spoken = new SpokenLines();
    spoken.hear("s", "transcript", { utterance: 1, text: "what is", final: false });
    spoken.hear("s", "transcript", { utterance: 1, text: "what is your name", final: true });
    spoken.hear("s", "turn_reply", { turn: 4, text: "I am", final: false });
    spoken.hear("s", "turn_reply", { turn: 4, text: "I am Ada.", final: true });
    spoken.hear("s", "turn_reply", { turn: 5, text: "Yes.", final: true });
    expect(spoken.state().lines.map((line) => [line.turn, line.text, spoken.state().answers[line.id]])).toEqual([
      [5, "", "Yes."],
      [4, "what is your name", "I am Ada."],
    ]);
    spoken.add("s", 5, "is it in stock", true);
    expect(spoken.state().lines.map((line) => line.text)).toEqual(["is it in stock", "what is your name"]);
  });

  it("keep their outcome whichever comes first, and the answer to a question", () => {
    const spoken = new SpokenLines();
    spoken.hear("s", "turn_first_frame", { turn: 1 });
    spoken.add("s", 1, "hello", true);
    spoken.hear("s", "turn_reply", { turn: 1, text: "good day" });
    expect(spoken.state().outcomes["s/1"]).toBe("speaking");
    spoken.hear("s", "turn_ended", { turn: 1, outcome: "spoken" });
    spoken.hear("other", "turn_ended", { turn: 1, outcome: "failed" });
    expect(spoken.state().outcomes["s/1"]).toBe("spoken");
    expect(spoken.state().answers["s/1"]).toBe("good day");
  });
});

it("replaces a guess by the words that were meant", () => {
  const guess = withHeard([], { utterance: 1, text: "hel", final: false });
  const final = withHeard(guess, { utterance: 1, text: "hello", final: true });
  expect(withHeard(final, { utterance: 2, text: "wor" })).toEqual([
    { utterance: 2, text: "wor", final: false },
    { utterance: 1, text: "hello", final: true },
  ]);
  expect(withHeard(final, { text: "no number" })).toBe(final);
});

it("asks before anything leaves this machine", () => {
  expect(foreignHost("rtmp://live.example.com/app")).toBe("live.example.com");
  expect(foreignHost("rtmps://a.b:443/app")).toBe("a.b");
  for (const local of ["rtmp://127.0.0.1/app", "http://localhost:8080/whip", "http://[::1]/x", "nonsense", ""]) expect(foreignHost(local), local).toBeNull();
  const draft = { kind: "rtmp", url: " rtmp://a.b/app ", secret: "k", device: "", confirmed: true } as const;
  expect(outputOf(draft)).toEqual({ kind: "rtmp", url: "rtmp://a.b/app", key: "k", confirm_host: "a.b" });
  expect(outputOf({ ...draft, confirmed: false })).toMatchObject({ confirm_host: null });
  expect(outputOf({ ...draft, kind: "sound", device: "3" })).toEqual({ kind: "sound", device: 3 });
});

describe("a list of jobs", () => {
  const pages = (...items: Job[][]) => ({ pages: items.map((rows) => ({ items: rows, next_cursor: null })), pageParams: items.map(() => null) });
  const all = { state: null, kind: null };
  const a = makeJob({ id: "a", state: "queued" });
  const b = makeJob({ id: "b", state: "queued" });
  it("takes a change where the job stands, a new one on top, and drops what no longer fits", () => {
    const known = pages([a], [b]);
    const running = { ...b, state: "running" as const };
    expect(withJob(known, running, all).pages[1]?.items[0]?.state).toBe("running");
    expect(withJob(known, running, { ...all, state: "queued" }).pages[1]?.items).toEqual([]);
    const fresh = makeJob({ id: "c", created_at: "2026-02-01T00:00:00Z" });
    expect(withJob(known, fresh, all).pages[0]?.items.map((job) => job.id)).toEqual(["c", "a"]);
    expect(withJob(known, fresh, { ...all, kind: "other" })).toBe(known);
  });
  it("does not put an old job on top that lies further down", () => {
    expect(withJob(pages([a]), makeJob({ id: "old", created_at: "2020-01-01T00:00:00Z" }), all)).toEqual(pages([a]));
  });
});

it("keeps a minute and a half of a figure", () => {
  let history = push({ xs: [], ys: [] }, 1);
  for (let index = 0; index < 120; index += 1) history = push(history, null);
  expect(history.xs).toHaveLength(90);
  expect(history.xs.at(-1)).toBe(120);
});

it("takes an emptied setting back and sends numbers as numbers", () => {
  const field = { name: "x", kind: "text", choices: [], value: null, is_set: false, by_owner: false } as const;
  expect(changeOf({ ...field, choices: [] }, "  ")).toBeNull();
  expect(changeOf({ ...field, kind: "number", choices: [] }, "3")).toBe(3);
});
