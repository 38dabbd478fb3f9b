/** The real control API, started for a test on a free port with a data folder of its own, and ended with it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { test as base, expect, type Page } from "@playwright/test";
import { parseReadyLine } from "../../electron/ready_line";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
export const TOKEN = "e2e-token-0123456789";
const LANGUAGE_KEY = "studio.language";

export function python(): string {
  const own = path.join(ROOT, ".venv/bin/python");
  return process.env.STUDIO_PYTHON ?? (existsSync(own) ? own : "python3");
}

export class Studio {
  url = "";
  private child: ChildProcess | null = null;
  readonly errors: string[] = [];

  constructor(
    readonly data: string,
    private port = 0,
  ) {}

  /** Starts it; after a stop on the same port again, as a restart on the user's machine would be. */
  async start(): Promise<void> {
    const child = spawn(
      python(),
      ["-m", "apps.control_api", "--port", String(this.port), "--data-dir", this.data, "--stdin-lifeline"],
      { cwd: ROOT, env: { ...process.env, STUDIO_TOKEN: TOKEN, OMP_NUM_THREADS: "2" }, stdio: ["pipe", "pipe", "pipe"] },
    );
    this.child = child;
    readline.createInterface({ input: child.stderr }).on("line", (line) => this.errors.push(line));
    const line = await new Promise<string>((resolve, reject) => {
      readline.createInterface({ input: child.stdout }).once("line", resolve);
      child.once("exit", (code) => reject(new Error(`the control API ended (${code}):\n${this.errors.slice(-20).join("\n")}`)));
    });
    const ready = parseReadyLine(line);
    if (ready === null) throw new Error(`not a ready line: ${line}`);
    this.port = ready.port;
    this.url = ready.url;
  }

  async stop(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.stdin?.end();
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await ended;
    clearTimeout(timer);
  }

  async call<Answer>(method: string, route: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.url}/api/v1${route}`, {
      method,
      headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
    return (response.status === 204 ? undefined : await response.json()) as Answer;
  }
}

/** A talking head before a green screen, made by the studio itself; kept between runs, as it takes a while. */
export function demoTake(seconds: number): string {
  const file = path.join(tmpdir(), `studio-e2e-take-${seconds}.mp4`);
  if (!existsSync(file)) {
    const code = "import sys; from lipsync.dataset.demo_take import make_demo_take; make_demo_take(sys.argv[1], seconds=float(sys.argv[2]), seed=7)";
    execFileSync(python(), ["-c", code, `${file}.making.mp4`, String(seconds)], { cwd: ROOT, stdio: "inherit" });
    execFileSync("mv", [`${file}.making.mp4`, file]);
  }
  return file;
}

export async function useLanguage(page: Page, language: "zh-CN" | "en"): Promise<void> {
  await page.addInitScript(([key, value]) => localStorage.setItem(key as string, value as string), [LANGUAGE_KEY, language]);
}

/** Opens a page of the studio, signed in by the address as the start script does. */
export async function open(page: Page, studio: Studio, route = "/"): Promise<void> {
  await page.goto(`${studio.url}/#token=${TOKEN}`);
  await expect(page.locator("#main")).toBeVisible();
  if (route !== "/") await page.goto(`${studio.url}/#${route}`);
}

export const test = base.extend<object, { studio: Studio }>({
  studio: [
    async ({}, use) => {
      // A folder that is given is kept: pictures of pages with takes and avatars in them need one.
      const kept = process.env.STUDIO_E2E_DATA;
      const data = kept ?? mkdtempSync(path.join(tmpdir(), "studio-e2e-"));
      const studio = new Studio(data);
      await studio.start();
      await use(studio);
      await studio.stop();
      if (kept === undefined) rmSync(data, { recursive: true, force: true });
    },
    { scope: "worker", timeout: 60_000 },
  ],
});

export { expect };
