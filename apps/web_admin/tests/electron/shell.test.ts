/** The shell's decisions as pure functions, and its parts with stand-ins for Electron and the update server. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { UpdateState } from "../../electron/bridge";
import { isSetUp, pythonIn, runCommand, setupPlan, shareOf } from "../../electron/first_run";
import { ACCELERATORS, Hotkeys } from "../../electron/hotkeys";
import { readChannel, readNotice, readPageState } from "../../electron/messages";
import { quitQuestion } from "../../electron/safe_quit";
import { apiArguments, placeOf, pythonOf } from "../../electron/shell_files";
import { trayItems, trayState } from "../../electron/tray";
import { feedOf, type Updater, Updates } from "../../electron/updates";

const idle = { live: false, training: false, language: "en" } as const;
const ready = { state: "ready", port: 1, pid: 2, url: "http://127.0.0.1:1" } as const;

describe("tray", () => {
  it("says how the studio is, and offers to interrupt only somebody live", () => {
    expect(trayState(ready, idle)).toBe("Ready");
    expect(trayState(ready, { ...idle, live: true, training: true })).toBe("Live · Training");
    expect(trayState({ state: "starting", attempt: 1 }, { ...idle, live: true })).toBe("Starting");
    expect(trayState({ state: "crashed", reason: "", lastLines: [], final: true }, { ...idle, language: "zh-CN" })).toBe("没有运行");
    const acts = (live: boolean) => trayItems(ready, { ...idle, live }).map((item) => item.act);
    expect(acts(false)).toEqual([null, "open", "quit"]);
    expect(acts(true)).toEqual([null, "open", "interrupt", "quit"]);
  });
});

describe("the end", () => {
  it("is asked about only where it costs something", () => {
    expect(quitQuestion(idle)).toBeNull();
    expect(quitQuestion({ ...idle, live: true })?.detail).toContain("ends the broadcast");
    const both = quitQuestion({ live: true, training: true, language: "zh-CN" });
    expect(both?.detail.split("\n")).toHaveLength(2);
    expect(both?.buttons).toEqual(["继续工作", "仍然退出"]);
  });
});

describe("hot keys", () => {
  it("are held only while somebody is live, and name those another program holds", () => {
    const held = new Map<string, () => void>();
    const heard: string[] = [];
    const taken = ACCELERATORS.talk;
    const shortcuts = {
      register: (key: string, act: () => void) => key !== taken && held.set(key, act) === held,
      unregister: (key: string) => void held.delete(key),
    };
    const keys = new Hotkeys(shortcuts, (key) => heard.push(key));
    expect(keys.follow(false)).toEqual([]);
    expect(keys.follow(true)).toEqual(["talk"]);
    keys.follow(true);
    held.get(ACCELERATORS.interrupt)?.();
    expect(heard).toEqual(["interrupt"]);
    keys.follow(false);
    expect(held.size).toBe(0);
  });
});

describe("messages of the page", () => {
  it("are taken only in their shape", () => {
    expect(readPageState({ ...idle, more: 1 })).toEqual(idle);
    for (const wrong of [null, "x", {}, { ...idle, live: 1 }, { ...idle, language: "fr" }]) expect(() => readPageState(wrong)).toThrow("Refused");
    expect(readNotice({ title: "a".repeat(999), body: "b" }).title).toHaveLength(300);
    expect(() => readNotice({ title: 1, body: "" })).toThrow("Refused");
    expect(() => readChannel("nightly")).toThrow("Refused");
  });
});

class FakeUpdater implements Updater {
  autoDownload = false;
  autoInstallOnAppQuit = false;
  allowPrerelease = false;
  allowDowngrade = true;
  channel: string | null = null;
  installed = 0;
  readonly listeners = new Map<string, (info: never) => void>();
  constructor(private readonly outcome: (updater: FakeUpdater) => void) {}
  on(event: string, listener: (info: never) => void) {
    this.listeners.set(event, listener);
  }
  tell(event: string, info: unknown) {
    this.listeners.get(event)?.(info as never);
  }
  checkForUpdates() {
    this.outcome(this);
    return Promise.resolve();
  }
  quitAndInstall() {
    this.installed += 1;
  }
}

describe("updates", () => {
  const follow = async (channel: "stable" | "beta" | "off", outcome: (updater: FakeUpdater) => void) => {
    const told: UpdateState[] = [];
    const updater = new FakeUpdater(outcome);
    const updates = new Updates(() => Promise.resolve(updater), (state) => told.push(state));
    await updates.follow(channel);
    updates.end();
    return { told, updater, updates };
  };

  it("fetch a new version and put it in place when the studio ends", async () => {
    const { told, updater, updates } = await follow("stable", (server) => {
      server.tell("update-available", { version: "2.0.0" });
      server.tell("download-progress", { percent: 50 });
      server.tell("update-downloaded", { version: "2.0.0" });
    });
    expect(told.map((state) => state.name)).toEqual(["checking", "available", "downloading", "ready"]);
    expect(told[2]).toEqual({ name: "downloading", share: 0.5 });
    expect(updater).toMatchObject({ autoInstallOnAppQuit: true, allowDowngrade: false, allowPrerelease: false, channel: "latest" });
    await updates.install();
    expect(updater.installed).toBe(1);
  });

  it("know the early ones, none, and none at all", async () => {
    expect(feedOf("beta")).toEqual({ channel: "beta", prerelease: true });
    expect((await follow("beta", (server) => server.tell("update-not-available", {}))).told.at(-1)).toEqual({ name: "none" });
    const off = await follow("off", () => undefined);
    expect(off.told).toEqual([{ name: "off" }]);
    await off.updates.install();
    expect(off.updater.installed).toBe(0);
  });

  it("say in one line why it could not be found out", async () => {
    const failed = await follow("stable", () => {
      throw new Error("net::ERR_NAME_NOT_RESOLVED\n    at somewhere");
    });
    expect(failed.told.at(-1)).toEqual({ name: "failed", reason: "net::ERR_NAME_NOT_RESOLVED" });
  });
});

describe("the first start", () => {
  const place = { studio: "/opt/studio", environment: "/home/u/python", uv: "/opt/uv", windows: false };

  it("makes an environment from the lock, PyTorch before it", () => {
    const plan = setupPlan(place, { version: "9.9", index: "https://index" });
    expect(plan.map((command) => command.step)).toEqual(["python", "packages", "packages"]);
    expect(plan[1]?.args).toContain("torch==9.9");
    expect(plan[2]?.args).toEqual(expect.arrayContaining(["--require-hashes", "--no-deps", "/opt/studio/requirements/base.txt"]));
    expect(pythonIn("/e", true)).toMatch(/Scripts.python\.exe$/);
  });

  it("wants the same PyTorch as the set-up script", () => {
    const at = (file: string) => readFileSync(fileURLToPath(new URL(file, import.meta.url)), "utf8");
    const wanted = /^TORCH=(.+)$/m.exec(at("../../../../scripts/setup.sh"))?.[1];
    expect(at("../../electron/main.ts")).toContain(`version: "${wanted}"`);
  });

  it("reads uv's progress", () => {
    expect(shareOf("Preparing packages... (12/80)")).toBe(0.15);
    expect(shareOf("Resolved 80 packages in 1s")).toBeNull();
    expect(shareOf("(3/0)")).toBeNull();
  });

  it("passes on what the tool says, and its last lines where it fails", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "studio-uv-"));
    const uv = path.join(folder, "uv");
    writeFileSync(uv, '#!/bin/sh\necho "Preparing packages... (1/4)" >&2\nif [ "$1" = venv ]; then exit 0; fi\necho "no space left" >&2\nexit 2\n');
    chmodSync(uv, 0o755);
    const told: (number | null)[] = [];
    await runCommand(uv, { step: "python", args: ["venv"] }, (step) => told.push(step.share));
    expect(told).toEqual([0.25]);
    await expect(runCommand(uv, { step: "packages", args: ["pip"] }, () => undefined)).rejects.toThrow(/ended with 2[^]*no space left/);
    await expect(runCommand(path.join(folder, "none"), { step: "packages", args: [] }, () => undefined)).rejects.toThrow("ENOENT");
  });

  it("is done once it was finished, not once it was begun", () => {
    const environment = mkdtempSync(path.join(tmpdir(), "studio-env-"));
    mkdirSync(path.join(environment, "bin"));
    writeFileSync(path.join(environment, "bin/python"), "");
    expect(isSetUp({ ...place, environment })).toBe(false);
    writeFileSync(path.join(environment, "studio-ready"), "");
    expect(isSetUp({ ...place, environment })).toBe(true);
    expect(pythonOf(environment)).toBe(path.join(environment, "bin/python"));
    expect(pythonOf("/none")).toBe("python3");
  });
});

describe("where things lie", () => {
  const folders = { here: "/s/apps/web_admin/dist/electron", resources: "/app/resources", userData: "/home/u/studio", packaged: true, platform: "linux", home: undefined } as const;
  it("is in the resources and the user's folder once installed, beside the sources before", () => {
    expect(placeOf(folders)).toEqual({ studio: "/app/resources/studio", environment: "/home/u/studio/python", uv: "/app/resources/uv/uv", windows: false });
    expect(placeOf({ ...folders, packaged: false })).toMatchObject({ studio: "/s", environment: "/s/.venv" });
    expect(apiArguments(folders)).toContain("/home/u/studio/data");
    expect(apiArguments({ ...folders, packaged: false })).not.toContain("--data-dir");
  });
});
