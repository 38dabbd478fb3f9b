/** A picture of every page in both languages and both themes; `npm run screens DIR` writes them. */
import path from "node:path";
import { PAGES } from "./pages";
import { expect, open, test, useLanguage } from "./studio";

const folder = process.env.SCREENS_DIR ?? "test-results/screens";

interface Listed {
  readonly items: readonly { readonly id: string; readonly state: string }[];
}

for (const language of ["zh-CN", "en"] as const) {
  for (const scheme of ["light", "dark"] as const) {
    test(`${language} ${scheme}`, async ({ page, studio }) => {
      test.setTimeout(300_000);
      await useLanguage(page, language);
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      const shot = async (name: string) => {
        await page.setViewportSize({ width: 1280, height: 800 });
        const height = await page.evaluate(() => document.documentElement.scrollHeight);
        await page.setViewportSize({ width: 1280, height: Math.max(800, height) });
        await page.screenshot({ path: path.join(folder, `${name}.${language}.${scheme}.png`) });
      };
      await page.goto(studio.url);
      await expect(page.locator("h1")).toBeVisible();
      await shot("login");
      await open(page, studio);
      const takes = await studio.call<Listed>("GET", "/takes");
      const take = takes.items.find((item) => item.state === "prepared");
      const steps = take === undefined ? [] : ["report", "matte", "preview", "train", "result"].map((step) => [`make-${step}`, `/make/${take.id}?step=${step}`] as const);
      for (const [name, route] of [...PAGES, ...steps]) {
        await page.goto(`${studio.url}/#${route}`);
        await expect(page.locator("h1")).toBeVisible();
        await expect(page.locator('[role="status"][aria-label]')).toHaveCount(0);
        await page.waitForLoadState("networkidle").catch(() => undefined);
        await shot(name);
      }
    });
  }
}
