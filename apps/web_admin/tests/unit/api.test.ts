import { QueryClient } from "@tanstack/react-query";
import { afterEach, describe, expect, it, vi } from "vitest";
import { api, must } from "../../src/api/client";
import { address, getConnection, signIn, signOut, splitToken, startConnection } from "../../src/api/connection";
import { ApiError, toApiError } from "../../src/api/errors";
import { applyEvent } from "../../src/api/events";
import { PaceMeter } from "../../src/api/speed";
import { makeJob } from "./make";

afterEach(() => {
  signOut();
  vi.unstubAllGlobals();
  window.location.hash = "";
});

describe("token in the address", () => {
  it.each([
    ["#token=abc-_~.1", { token: "abc-_~.1", rest: "#/" }],
    ["#/live?session=s&token=abc", { token: "abc", rest: "#/live?session=s" }],
    ["#/live?token=abc", { token: "abc", rest: "#/live" }],
    ["#/live?session=s", null],
    ["#token=", null],
    ["#token=a b", null],
    ["", null],
  ])("%s", (hash, split) => expect(splitToken(hash)).toEqual(split));

  it("is taken out and kept for the tab", async () => {
    window.location.hash = "#token=secret";
    await startConnection();
    expect(window.location.hash).toBe("#/");
    expect(getConnection()).toEqual({ base: window.location.origin, token: "secret" });
    expect(sessionStorage.getItem("studio.token")).toBe("secret");
    expect(localStorage.length).toBe(0);
  });

  it("turns a path into an address of the studio", () => {
    signIn("x");
    expect(address("/api/v1/takes/1/video?sig=a")).toBe(`${window.location.origin}/api/v1/takes/1/video?sig=a`);
  });
});

describe("client", () => {
  const answer = (status: number, body: unknown) =>
    vi.stubGlobal("fetch", vi.fn(() => Promise.resolve(new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } }))));

  it("sends the token", async () => {
    signIn("secret");
    answer(200, { status: "ok", version: "1" });
    await must(api().GET("/api/v1/health"));
    const request = vi.mocked(globalThis.fetch).mock.calls[0]?.[0] as Request;
    expect(request.headers.get("authorization")).toBe("Bearer secret");
  });

  it("throws the studio's error with its reasons", async () => {
    signIn("secret");
    const reason = { code: "no_face", severity: "error", message: { "zh-CN": "没有人脸", en: "No face" }, remedy: { "zh-CN": "", en: "" } };
    answer(422, { code: "invalid_input", message: "m", remedy: "r", detail: { reasons: [reason, "noise"] } });
    const error = await must(api().GET("/api/v1/takes")).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 422, code: "invalid_input", remedy: "r" });
    expect((error as ApiError).reasons).toEqual([reason]);
  });

  it("signs out when the token is refused", async () => {
    signIn("old");
    answer(401, { code: "unauthorised", message: "m" });
    await must(api().GET("/api/v1/takes")).catch(() => undefined);
    expect(getConnection()).toBeNull();
  });

  it("calls no answer offline", async () => {
    signIn("secret");
    vi.stubGlobal("fetch", vi.fn(() => Promise.reject(new TypeError("failed"))));
    await expect(must(api().GET("/api/v1/takes"))).rejects.toMatchObject({ status: 0, code: "offline" });
  });

  it.each([[500, "<html>", "internal"], [0, null, "offline"], [409, { code: 7 }, "internal"]])("reads a strange body (%s)", (status, body, code) =>
    expect(toApiError(status, body).code).toBe(code),
  );
});

describe("events", () => {
  const head = { seq: 5, at: "2026-01-01T00:00:00Z" };

  it("change the job and the list, and refresh what the job worked on when it ends", () => {
    const client = new QueryClient();
    client.setQueryData(["jobs"], [makeJob()]);
    client.setQueryData(["jobs", "j1"], makeJob());
    client.setQueryData(["avatars"], []);
    applyEvent(client, { ...head, type: "job", job: makeJob({ progress: 0.7 }) });
    expect(client.getQueryData(["jobs"])).toEqual([makeJob({ progress: 0.7 })]);
    expect(client.getQueryState(["avatars"])?.isInvalidated).toBe(false);
    applyEvent(client, { ...head, type: "job", job: makeJob({ state: "succeeded" }) });
    expect(client.getQueryData(["jobs", "j1"])).toMatchObject({ state: "succeeded" });
    expect(client.getQueryState(["avatars"])?.isInvalidated).toBe(true);
  });

  it("put a new job on top", () => {
    const client = new QueryClient();
    client.setQueryData(["jobs"], [makeJob()]);
    applyEvent(client, { ...head, type: "job", job: makeJob({ id: "j2" }) });
    expect(client.getQueryData<{ id: string }[]>(["jobs"])?.map((job) => job.id)).toEqual(["j2", "j1"]);
  });

  it("add lines to a log that is shown, and to no other", () => {
    const client = new QueryClient();
    client.setQueryData(["logs", "j1"], []);
    applyEvent(client, { ...head, type: "job_log", job_id: "j1", level: "info", line: "hello" });
    applyEvent(client, { ...head, type: "job_log", job_id: "j2", level: "info", line: "hello" });
    expect(client.getQueryData(["logs", "j1"])).toEqual([{ id: -5, at: head.at, level: "info", line: "hello" }]);
    expect(client.getQueryData(["logs", "j2"])).toBeUndefined();
  });

  it("refresh what a system event names", () => {
    const client = new QueryClient();
    client.setQueryData(["takes"], []);
    applyEvent(client, { ...head, type: "system", name: "take_changed", data: {} });
    expect(client.getQueryState(["takes"])?.isInvalidated).toBe(true);
  });
});

describe("pace of an upload", () => {
  it("is measured over the last seconds", () => {
    const meter = new PaceMeter();
    expect(meter.add(0, 1000, 0)).toEqual({ speed: 0, secondsLeft: null });
    expect(meter.add(100, 1000, 1000)).toEqual({ speed: 100, secondsLeft: 9 });
    for (let second = 2; second <= 8; second += 1) meter.add(100 + (second - 1) * 50, 1000, second * 1000);
    expect(meter.add(500, 1000, 9000).speed).toBeCloseTo(50);
  });
});
