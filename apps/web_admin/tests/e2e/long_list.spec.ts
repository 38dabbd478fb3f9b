/** Ten thousand tasks in the real database: all can be reached, and only those in sight are in the page. */
import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, open, python, ROOT, test, useLanguage } from "./studio";

const ROWS = 10_000;
const INSERT = `
import sys
from datetime import timedelta
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import JobRow
database, start = Database("sqlite:///" + sys.argv[1]), now() - timedelta(days=30)
with database.write() as session:
    session.add_all(
        JobRow(kind="inference:video", state=("succeeded", "failed")[i % 10 == 0], progress=1.0, created_at=start + timedelta(seconds=i))
        for i in range(${ROWS})
    )
database.close()
`;

test("ten thousand tasks scroll, filter and open", async ({ page, studio }) => {
  execFileSync(python(), ["-c", INSERT, path.join(studio.data, "meta.db")], { cwd: ROOT });
  await useLanguage(page, "en");
  await open(page, studio, "/tasks");
  const table = page.getByRole("table", { name: "Tasks" });
  await expect(table.locator("[data-row]").first()).toBeVisible();
  const scroller = page.getByRole("region", { name: "Tasks" });
  const seen = new Set<string>();
  let most = 0;
  await expect
    .poll(
      async () => {
        const rows = await scroller.evaluate((box) => {
          box.scrollTop = box.scrollHeight;
          return [...box.querySelectorAll("[data-row]")].map((row) => row.getAttribute("data-row") ?? "");
        });
        for (const row of rows) seen.add(row);
        most = Math.max(most, rows.length);
        return table.getAttribute("aria-rowcount");
      },
      { timeout: 60_000, intervals: [60] },
    )
    .toBe(String(ROWS + 1));
  expect(most).toBeLessThan(80);
  expect(seen.size).toBeGreaterThan(500);
  await scroller.evaluate((box) => {
    box.scrollTop = box.scrollHeight;
  });
  await expect(table.locator(`[aria-rowindex="${ROWS + 1}"]`)).toBeVisible();

  // How it scrolls, for whoever reads the report; a busy machine may not fail the test.
  const frames = await scroller.evaluate(async (box) => {
    const times: number[] = [];
    let last = performance.now();
    for (let step = 0; step < 60; step += 1) {
      box.scrollTop = (box.scrollHeight * step) / 60;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      times.push(now - last);
      last = now;
    }
    return times.sort((a, b) => a - b);
  });
  test.info().annotations.push({ type: "frame", description: `median ${frames[30]?.toFixed(1)} ms, p95 ${frames[56]?.toFixed(1)} ms, ${most} rows in the page` });

  await page.getByRole("combobox", { name: "State" }).click();
  await page.getByRole("option", { name: "Failed" }).click();
  await expect(table.locator("[data-row]").first()).toContainText("Failed");
  await expect(table.getByText("Done", { exact: true })).toHaveCount(1); // the column's head alone
  await table.getByRole("button", { name: "Details" }).first().click();
  await expect(page.getByRole("dialog")).toContainText("Nothing has been said yet");
});
