/** The microphone of the page, in a real browser with a real recogniser: what is said is heard, interrupts, and is answered. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { expect, type Page, test } from "@playwright/test";
import { python, ROOT, TOKEN, useLanguage } from "./studio";

interface Ready {
  readonly url: string;
  readonly avatar_id: string;
}

const folder = process.env.SCREENS_DIR;
const QUESTION = path.join(tmpdir(), "studio-e2e-question.wav");
const WORDS = "Hello. What is your name?";
const HAS_FLITE = spawnable("flite");

function spawnable(program: string): boolean {
  return (process.env.PATH ?? "").split(path.delimiter).some((place) => existsSync(path.join(place, program)));
}

if (HAS_FLITE && !existsSync(QUESTION)) {
  // Four seconds of silence first: the session's ears are opened by a click.
  const spoken = `${QUESTION}.spoken.wav`;
  execFileSync("flite", ["-voice", "slt", "-t", WORDS, "-o", spoken]);
  execFileSync("ffmpeg", ["-v", "error", "-y", "-i", spoken, "-af", "adelay=4000,apad=pad_dur=3", "-ar", "48000", "-ac", "1", QUESTION]);
}

test.use({
  permissions: ["microphone"],
  launchOptions: {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--autoplay-policy=no-user-gesture-required",
      "--disable-features=WebRtcHideLocalIpsWithMdns",
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-audio-capture=${QUESTION}%noloop`,
    ],
  },
});

let child: ChildProcess;
let ready: Ready;
let data: string;

test.beforeAll(async () => {
  data = mkdtempSync(path.join(tmpdir(), "studio-desk-"));
  child = spawn(python(), ["-m", "tests.fakes.live_studio", data], { cwd: ROOT, env: { ...process.env, STUDIO_TOKEN: TOKEN, OMP_NUM_THREADS: "1" }, stdio: ["pipe", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve, reject) => {
    if (child.stdout !== null) readline.createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the studio ended (${code})`)));
  });
  ready = JSON.parse(line) as Ready;
});

test.afterAll(async () => {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin?.end();
  await ended;
  rmSync(data, { recursive: true, force: true });
});

async function end(page: Page): Promise<void> {
  await page.getByRole("button", { name: "End", exact: true }).first().click();
  await expect(page.locator("[data-live=idle]")).toBeVisible();
}

async function shot(page: Page, name: string): Promise<void> {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `desk-${name}.png`), fullPage: true });
}

test("what is said into the microphone is shown, interrupts the avatar, and is answered", async ({ page }) => {
  test.skip(!HAS_FLITE, "flite is not installed");
  await useLanguage(page, "en");
  await page.goto(`${ready.url}/#token=${TOKEN}`);
  await expect(page.locator("#main")).toBeVisible();
  await page.goto(`${ready.url}/#/live`);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(page.locator("[data-live=live]")).toBeVisible({ timeout: 60_000 });
  await page.getByLabel("Words to speak").fill("I go on and on until somebody says something to me. ".repeat(12));
  await page.getByRole("button", { name: "Speak", exact: true }).click();
  await expect(page.locator("[data-outcome=speaking]")).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Speak to it" }).click();
  await expect(page.locator("[data-microphone=on]")).toBeVisible();
  await expect(page.locator("[data-outcome=interrupted]")).toBeVisible({ timeout: 40_000 });
  const heard = page.locator("[data-heard=true]").first();
  await expect(heard).toBeVisible({ timeout: 40_000 });
  expect((await heard.innerText()).trim()).not.toBe("");
  // The question that was heard is a turn as one that was typed: it is listed with its answer.
  await expect(page.locator(".answer").first()).toBeVisible({ timeout: 30_000 });
  await shot(page, "microphone");
  await page.getByRole("button", { name: "Microphone off" }).click();
  await expect(page.getByRole("button", { name: "Speak to it" })).toBeVisible();
  await end(page);
});
