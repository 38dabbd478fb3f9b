import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";

const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));

/** The system's own Chromium: no browser is ever downloaded. */
export default defineConfig({
  testDir: "tests/e2e",
  workers: 1,
  forbidOnly: true,
  // Sound and pictures in real time on a shared machine: one more try, reported as flaky, not as passed unseen.
  retries: process.env.CI === undefined ? 0 : 1,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    viewport: { width: 1280, height: 800 },
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: chromium,
      args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-features=WebRtcHideLocalIpsWithMdns"],
    },
  },
  projects: [
    { name: "e2e", testMatch: /.*\.spec\.ts/ },
    { name: "screens", testMatch: /screens\.shots\.ts/ },
  ],
});
