/** The wiring of the main process and the preload, with Electron's package replaced by a stub that records. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import * as electron from "./electron_stub";

beforeAll(async () => {
  process.env.STUDIO_TEST_LOGS = mkdtempSync(path.join(tmpdir(), "studio-logs-"));
  process.env.STUDIO_HOME = "/no/such/studio";
  await import("../../electron/main");
  await import("../../electron/preload");
  await vi.waitUntil(() => electron.windows.length === 1);
});

const trusted = { senderFrame: { url: "app://studio/", parent: null } };
const window = () => electron.windows[0] as electron.BrowserWindow;

describe("main", () => {
  it("isolates the page", () => {
    expect(window().options.webPreferences).toMatchObject({ contextIsolation: true, sandbox: true, nodeIntegration: false });
    expect(window().loaded).toBe("app://studio/");
  });

  it("answers only our own page", async () => {
    const connection = electron.handlers.get("studio:connection");
    expect(() => connection?.({ senderFrame: { url: "https://evil.example/", parent: null } })).toThrow("Refused");
    const answer = connection?.(trusted) as Promise<unknown>;
    void answer.catch(() => undefined);
    expect(answer).toBeInstanceOf(Promise);
  });

  it("keeps the window on our page and opens known sites outside", () => {
    let prevented = 0;
    const event = (url: string) => ({ url, preventDefault: () => (prevented += 1) });
    window().contentEvents.get("will-navigate")?.(event("https://evil.example/"));
    window().contentEvents.get("will-navigate")?.(event("app://studio/#/live"));
    expect(prevented).toBe(1);
    expect(window().openHandler?.({ url: "https://github.com/" })).toEqual({ action: "deny" });
    window().openHandler?.({ url: "https://evil.example/" });
    expect(electron.state.opened).toEqual(["https://github.com/"]);
  });

  it("asks the policy for permissions", () => {
    const answers: boolean[] = [];
    const ask = (permission: string, details: object) => electron.permission.request?.(null, permission, (ok: boolean) => answers.push(ok), details);
    ask("media", { requestingUrl: "app://studio/", mediaTypes: ["audio"] });
    ask("media", { requestingUrl: "https://evil.example/", mediaTypes: ["audio"] });
    expect(answers).toEqual([true, false]);
    expect(electron.permission.check?.(null, "geolocation", "app://studio", {})).toBe(false);
  });

  it("serves nothing outside the page's folder", async () => {
    const serve = electron.protocolHandlers.get("app");
    const response = (await serve?.(new Request("app://studio/..%2f..%2fpackage.json"))) as Response;
    expect(response.status).toBe(404);
  });

  it("follows what the page tells it: hot keys while live, notices, and nothing malformed", () => {
    const tell = electron.handlers.get("studio:state");
    tell?.(trusted, { live: true, training: false, language: "en" });
    expect([...electron.shortcuts.keys()]).toHaveLength(2);
    electron.shortcuts.get("CommandOrControl+Alt+I")?.();
    expect(window().sent.at(-1)).toEqual(["studio:hotkey", "interrupt"]);
    expect(() => tell?.(trusted, { live: "yes" })).toThrow("Refused");
    expect(() => tell?.({ senderFrame: { url: "https://evil.example/", parent: null } }, { live: false, training: false, language: "en" })).toThrow("Refused");
    electron.handlers.get("studio:notify")?.(trusted, { title: "Training", body: "Done" });
    expect(electron.notices).toEqual([{ title: "Training", body: "Done" }]);
  });

  it("asks before it ends a broadcast, and stays when told to", async () => {
    let prevented = 0;
    electron.appEvents.get("before-quit")?.({ preventDefault: () => (prevented += 1) });
    expect(prevented).toBe(1);
    expect(electron.asked.at(-1)?.detail).toContain("ends the broadcast");
    await Promise.resolve();
    expect(electron.state.quits).toBe(0);
    electron.handlers.get("studio:state")?.(trusted, { live: false, training: false, language: "en" });
    expect(electron.shortcuts.size).toBe(0);
  });

  it("waits for the child before it quits", async () => {
    let prevented = 0;
    electron.appEvents.get("before-quit")?.({ preventDefault: () => (prevented += 1) });
    expect(prevented).toBe(1);
    await expect.poll(() => electron.state.quits).toBe(1);
    electron.appEvents.get("before-quit")?.({ preventDefault: () => (prevented += 1) });
    expect(prevented).toBe(1);
  });
});

describe("preload", () => {
  it("passes on the words of the bridge and no more", async () => {
    const bridge = electron.exposed.get("studio") as Record<string, (...args: unknown[]) => unknown>;
    expect(Object.keys(bridge).sort()).toEqual([
      "checkUpdate",
      "connection",
      "installUpdate",
      "notify",
      "onHotkey",
      "onSetup",
      "onStatus",
      "onUpdate",
      "restart",
      "tellState",
    ]);
    await bridge.connection?.();
    expect(electron.invoked).toEqual(["studio:connection"]);
    const off = bridge.onStatus?.(() => undefined) as () => void;
    expect(electron.listeners.get("studio:status")?.size).toBe(1);
    off();
    expect(electron.listeners.get("studio:status")?.size).toBe(0);
  });
});
