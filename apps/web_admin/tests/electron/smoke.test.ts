/** The shell in a real Electron, where its binary is: it starts, isolates the page and shows it. Skips loudly elsewhere. */
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const names: Partial<Record<NodeJS.Platform, string>> = { win32: "electron.exe", darwin: "Electron.app/Contents/MacOS/Electron" };
const binary = process.env.ELECTRON_BINARY ?? path.join(root, "node_modules/electron/dist", names[process.platform] ?? "electron");
const built = existsSync(path.join(root, "dist/electron/main.js")) && existsSync(path.join(root, "dist/renderer/index.html"));
const possible = existsSync(binary) && built;

if (!possible) {
  const why = built ? `there is no Electron at ${binary}` : "the page and the shell are not built";
  if (process.env.REQUIRE_ELECTRON === "1") throw new Error(`REQUIRE_ELECTRON=1, but ${why}`);
  process.stderr.write(`\n*** SKIPPED: the desktop shell was NOT run in a real Electron: ${why} ***\n\n`);
}

describe.skipIf(!possible)("real Electron", () => {
  it("starts, isolates the page and shows it", { timeout: 120_000 }, async () => {
    const { _electron } = await import("@playwright/test");
    const shell = await _electron.launch({ executablePath: binary, args: [root, "--no-sandbox"], timeout: 90_000 });
    try {
      expect(await shell.evaluate(() => process.versions.electron)).toMatch(/^\d+\./);
      const page = await shell.firstWindow();
      await page.waitForSelector("h1", { timeout: 60_000 });
      expect(await page.evaluate(() => [typeof Reflect.get(window, "studio"), "require" in window, "process" in window])).toEqual(["object", false, false]);
      expect(page.url()).toMatch(/^app:\/\/studio\//);
    } finally {
      await shell.close();
    }
  });
});
