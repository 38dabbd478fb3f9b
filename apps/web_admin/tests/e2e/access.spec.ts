/** Tokens with roles, made and ended in the page; a person who is not known; each with the real studio. */
import { expect, open, test, useLanguage } from "./studio";

test("a token is made, shown once, does what its role may, and is ended", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await open(page, studio, "/settings?section=access");
  await expect(page.getByText("Owner", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("For whom").fill("Ada");
  await page.getByRole("combobox", { name: "Role" }).click();
  await page.getByRole("option", { name: "Auditor" }).click();
  await page.getByLabel(/Ends after days/).fill("7");
  await page.getByRole("button", { name: "Make it" }).click();
  const secret = (await page.locator("[data-secret]").innerText()).trim();
  const ask = (route: string) => fetch(`${studio.url}/api/v1${route}`, { headers: { Authorization: `Bearer ${secret}` } }).then(({ status }) => status);
  expect(await ask("/audit/events")).toBe(200);
  expect(await ask("/avatars")).toBe(403);
  await page.getByRole("button", { name: "I have noted it" }).click();
  const row = page.locator("[data-token=Ada]");
  await expect(row).toContainText("Auditor");
  expect(await page.content()).not.toContain(secret);
  await row.getByRole("button", { name: "End it: Ada" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
  await expect(row).toHaveCount(0);
  expect(await ask("/audit/events")).toBe(401);
});

test("a person nobody knows is said to be unknown", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await open(page, studio, "/settings?section=persons");
  await page.getByLabel("Name of the person").fill("Nobody At All");
  await page.getByRole("button", { name: "What is held of this person?" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(page.getByRole("button", { name: "Delete all of it…" })).toHaveCount(0);
});
