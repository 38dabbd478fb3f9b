/** A browser that may send no UDP still sees and hears the session, in the page as it is, over a WebSocket. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { expect, test } from "@playwright/test";
import { python, ROOT, TOKEN } from "./studio";

const folder = process.env.SCREENS_DIR;

interface Ready {
  readonly url: string;
  readonly avatar_id: string;
}

test.use({
  launchOptions: {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--autoplay-policy=no-user-gesture-required",
      "--webrtc-ip-handling-policy=disable_non_proxied_udp",
      "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    ],
  },
});

async function start(data: string): Promise<{ child: ChildProcess; ready: Ready }> {
  const child = spawn(python(), ["-m", "tests.fakes.live_studio", data], {
    cwd: ROOT,
    env: { ...process.env, STUDIO_TOKEN: TOKEN, OMP_NUM_THREADS: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const line = await new Promise<string>((resolve, reject) => {
    readline.createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the studio ended (${code})`)));
  });
  return { child, ready: JSON.parse(line) as Ready };
}

test("picture and sound come over a WebSocket where UDP is blocked", async ({ page }) => {
  test.setTimeout(180_000);
  const data = mkdtempSync(path.join(tmpdir(), "studio-fallback-"));
  const { child, ready } = await start(data);
  const call = async (method: string, route: string, body?: unknown): Promise<unknown> => {
    const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };
    const response = await fetch(`${ready.url}/api/v1${route}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? null : await response.json();
  };
  try {
    const session = (await call("POST", "/live/sessions", { avatar_id: ready.avatar_id })) as { id: string };
    await page.goto(`${ready.url}/#/live?session=${session.id}&token=${TOKEN}`);
    await expect(page.locator("[data-live=live]")).toBeVisible({ timeout: 30_000 });
    await expect(page.getByRole("note").filter({ hasText: /UDP/ })).toBeVisible();
    const video = page.locator(".stage video");
    await expect.poll(() => video.evaluate((v: HTMLVideoElement) => v.currentTime), { timeout: 20_000 }).toBeGreaterThan(1);
    expect(await video.evaluate((v: HTMLVideoElement) => [v.videoWidth, v.videoHeight, v.srcObject])).toEqual([256, 256, null]);

    // The bar turns white with the sound: when does it here, after the words were sent?
    const seen = page.evaluate(async () => {
      const element = document.querySelector<HTMLVideoElement>(".stage video");
      const context = new OffscreenCanvas(256, 256).getContext("2d", { willReadFrequently: true });
      if (element === null || context === null) throw new Error("no video");
      const audio = new AudioContext();
      const analyser = audio.createAnalyser();
      audio.createMediaElementSource(element).connect(analyser);
      const block = new Float32Array(analyser.fftSize);
      const began = performance.now();
      let white: number | null = null;
      let loud: number | null = null;
      const behind: number[] = [];
      while (performance.now() - began < 15_000 && (white === null || loud === null)) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        context.drawImage(element, 0, 0);
        const { data: pixels } = context.getImageData(88, 172, 8, 8);
        const at = performance.timeOrigin + performance.now();
        if ((pixels[1] ?? 0) > 200 && (pixels[0] ?? 0) > 200) white ??= at;
        analyser.getFloatTimeDomainData(block);
        if (block.some((value) => Math.abs(value) > 0.02)) loud ??= at;
        behind.push(element.buffered.end(element.buffered.length - 1) - element.currentTime);
      }
      return { white, loud, behind: behind.reduce((sum, value) => sum + value, 0) / behind.length };
    });
    await page.waitForTimeout(500);
    const said = Date.now();
    await call("POST", `/live/sessions/${session.id}:say`, { text: "Aaah, this is heard over a WebSocket." });
    const { white, loud, behind } = await seen;
    expect(white).not.toBeNull();
    expect(loud).not.toBeNull();
    test.info().annotations.push({
      type: "latency",
      description: `words to white bar ${Math.round((white ?? 0) - said)} ms, to sound ${Math.round((loud ?? 0) - said)} ms; ${Math.round(behind * 1000)} ms behind`,
    });
    if (folder !== undefined) {
      mkdirSync(folder, { recursive: true });
      await page.screenshot({ path: path.join(folder, "fallback.png") });
    }

    // A page that stood still for a while catches up instead of staying late.
    await video.evaluate((v: HTMLVideoElement) => v.pause());
    await page.waitForTimeout(3000);
    await video.evaluate((v: HTMLVideoElement) => v.play());
    await expect
      .poll(() => video.evaluate((v: HTMLVideoElement) => v.buffered.end(v.buffered.length - 1) - v.currentTime), { timeout: 10_000 })
      .toBeLessThan(1.3);
    const frames = () => video.evaluate((v: HTMLVideoElement) => v.getVideoPlaybackQuality().totalVideoFrames);
    const before = await frames();
    await expect.poll(frames, { timeout: 10_000 }).toBeGreaterThan(before + 20);

    const stats = (await call("GET", `/live/sessions/${session.id}/stats`)) as { state: string; clients: number };
    expect(stats).toMatchObject({ state: "live", clients: 1 });
  } finally {
    child.stdin?.end();
    await new Promise((resolve) => child.once("exit", resolve));
    rmSync(data, { recursive: true, force: true });
  }
});
