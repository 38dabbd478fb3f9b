import { expect, test, TOKEN, useLanguage } from "./studio";

test("a wrong token is refused, the right one lets in", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await page.goto(studio.url);
  await page.getByLabel("Token", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("token");
  await page.getByLabel("Token", { exact: true }).fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("link", { name: "Make my digital human" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("link", { name: "Make my digital human" })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
});

test("the token in the address is taken out of it", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await page.goto(`${studio.url}/#token=${TOKEN}`);
  await expect(page.getByRole("link", { name: "Make my digital human" })).toBeVisible();
  expect(page.url()).not.toContain(TOKEN);
  await page.goBack().catch(() => undefined);
  expect(page.url()).not.toContain(TOKEN);
});

test("a stale token in the address leads to the form", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await page.goto(`${studio.url}/#token=stale`);
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
});

test("a link with the token works in a tab that shows the form", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await page.goto(studio.url);
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await page.goto(`${studio.url}/#token=${TOKEN}`);
  await expect(page.getByRole("link", { name: "Make my digital human" })).toBeVisible();
  expect(page.url()).not.toContain(TOKEN);
});
