/** Every page in both languages and both themes: it opens, says nothing in the other language, and axe finds nothing. */
import { AxeBuilder } from "@axe-core/playwright";
import { PAGES } from "./pages";
import { expect, open, test, useLanguage } from "./studio";

const LATIN_NAMES = /LiveTalking Studio|English|中文|Ctrl \+ Enter|Esc|lipbank|data\/token|MP4|MOV|MKV|WebM|token/g;

// Contrast depends on the theme and texts on the language, so each is seen once with each kind of check.
for (const [language, scheme] of [
  ["zh-CN", "dark"],
  ["en", "light"],
] as const) {
  test(`pages in ${language}, ${scheme}: no violation, no mixed text`, async ({ page, studio }) => {
    const failures: string[] = [];
    page.on("pageerror", (error) => failures.push(error.message));
    page.on("console", (message) => message.type() === "error" && failures.push(message.text()));
    await useLanguage(page, language);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await open(page, studio);
    for (const [name, route] of PAGES) {
      await page.goto(`${studio.url}/#${route}`);
      await expect(page.locator("h1")).toBeVisible();
      await expect(page.locator('[role="status"][aria-label]')).toHaveCount(0);
      const found = await new AxeBuilder({ page }).analyze();
      expect(found.violations.map((violation) => `${name}: ${violation.id} ${violation.nodes[0]?.target} ${violation.nodes[0]?.failureSummary}`)).toEqual([]);
      const text = await page.evaluate(() => {
        const copy = document.body.cloneNode(true) as HTMLElement;
        for (const node of copy.querySelectorAll("[lang], script, style")) node.remove();
        return copy.innerText;
      });
      if (language === "en") expect(text.replace(LATIN_NAMES, ""), name).not.toMatch(/[\u4e00-\u9fff]/);
    }
    expect(failures).toEqual([]);
  });
}

test("language and theme change without a reload", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await page.emulateMedia({ colorScheme: "light" });
  await open(page, studio);
  await page.evaluate(() => Object.assign(window, { stayed: true }));
  await page.getByRole("button", { name: "中文" }).click();
  await expect(page.getByRole("link", { name: "制作我的数字人" })).toBeVisible();
  await expect(page.locator("html")).toHaveAttribute("lang", "zh-CN");
  await page.getByRole("button", { name: "深色主题" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", "dark");
  expect(await page.evaluate(() => "stayed" in window)).toBe(true);
});

test("the keyboard alone reaches the first step", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await open(page, studio);
  const make = page.getByRole("link", { name: "Make my digital human" });
  await expect(make).toBeVisible();
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    if (await make.evaluate((element) => element === document.activeElement)) break;
  }
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "New avatar" })).toBeVisible();
});
