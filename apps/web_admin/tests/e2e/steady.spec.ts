/** What must not be lost or pile up: the page over a restart, memory over many page changes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PAGES } from "./pages";
import { expect, open, Studio, test, TOKEN, useLanguage } from "./studio";

test("the page says that the studio is away, and goes on by itself when it is back", async ({ page }) => {
  const data = mkdtempSync(path.join(tmpdir(), "studio-restart-"));
  const own = new Studio(data);
  await own.start();
  await useLanguage(page, "en");
  await page.goto(`${own.url}/#token=${TOKEN}`);
  await expect(page.getByRole("link", { name: "Make my digital human" })).toBeVisible();
  await own.stop();
  await expect(page.getByText("The studio does not answer")).toBeVisible({ timeout: 20_000 });
  await own.start();
  await expect(page.getByText("The studio does not answer")).toBeHidden({ timeout: 30_000 });
  await own.stop();
  rmSync(data, { recursive: true, force: true });
});

test("a hundred page changes leave no listeners, nodes or memory behind", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await open(page, studio);
  const routes = PAGES.map(([, route]) => route).filter((route) => !route.includes("?"));
  const visit = async (times: number) => {
    for (let turn = 0; turn < times; turn += 1) {
      await page.evaluate((route) => {
        window.location.hash = route;
      }, routes[turn % routes.length] ?? "/");
      await expect(page.locator("h1")).toBeVisible();
    }
  };
  const protocol = await page.context().newCDPSession(page);
  await protocol.send("Performance.enable");
  const measure = async () => {
    await protocol.send("HeapProfiler.collectGarbage");
    const { metrics } = await protocol.send("Performance.getMetrics");
    const of = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? 0;
    return { listeners: of("JSEventListeners"), nodes: of("Nodes"), heap: of("JSHeapUsedSize") };
  };
  await visit(routes.length * 2);
  const before = await measure();
  await visit(routes.length * 10);
  const after = await measure();
  test.info().annotations.push({ type: "growth", description: JSON.stringify({ before, after }) });
  expect(after.listeners).toBeLessThan(before.listeners * 1.2 + 50);
  expect(after.nodes).toBeLessThan(before.nodes * 1.3 + 500);
  expect(after.heap).toBeLessThan(before.heap * 1.3 + 4e6);
});
