/** The whole way in a real browser: consent, upload, report, cut-out, first words, training, result, live. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { demoTake, expect, open, test, useLanguage } from "./studio";
import { watch } from "./watch";

const SECONDS = 20;

/** Pictures of the way, for whoever wants to look (`SCREENS_DIR`). */
const folder = process.env.SCREENS_DIR;

test("a recording becomes an avatar that talks live", async ({ page, studio }) => {
  test.setTimeout(900_000);
  const take = demoTake(SECONDS);
  const shot = async (name: string) => {
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map((violation) => `${name}: ${violation.id} ${violation.nodes[0]?.target}`)).toEqual([]);
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `way-${name}.png`), fullPage: true });
  };
  await useLanguage(page, "en");
  await open(page, studio, "/make");

  await test.step("consent and upload", async () => {
    await page.getByLabel("Name of the person").fill("Demo Person");
    await page.getByLabel("What it is for").fill("Tests");
    await page.getByLabel("The person in the recording agrees").check();
    await page.getByLabel("Drop the video here").setInputFiles(take);
    await page.getByRole("button", { name: "Upload and check" }).click();
    await expect(page.getByRole("heading", { name: "What the check found" })).toBeVisible({ timeout: 90_000 });
    await expect(page.locator("[data-finding]").first()).toBeVisible();
    await shot("report");
  });

  await test.step("the report stays after a reload, and the preparing goes on", async () => {
    await page.reload();
    await expect(page.getByRole("heading", { name: "What the check found" })).toBeVisible();
    await expect(page.getByRole("button", { name: "Look at the cut-out" })).toBeEnabled({ timeout: 300_000 });
  });

  await test.step("cut-out", async () => {
    await page.getByRole("button", { name: "Look at the cut-out" }).click();
    const picture = page.locator("img[data-matte=keyed]");
    await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(100);
    await shot("matte");
    await page.getByText("Mask", { exact: true }).click();
    await expect(page.locator("img[data-matte=alpha]")).toBeVisible();
    await page.getByRole("button", { name: "Hear the first words" }).click();
  });

  await test.step("first words, without training", async () => {
    await page.getByRole("button", { name: "Let it talk" }).click();
    await expect(page.locator("[data-live=live]")).toBeVisible({ timeout: 60_000 });
    await page.getByLabel("Words to speak").fill("Hello. These are my first words, and nobody has trained me yet.");
    await page.getByRole("button", { name: "Speak", exact: true }).click();
    await expect(page.locator("[data-outcome=speaking]")).toBeVisible({ timeout: 20_000 });
    const speaking = await watch(page, 2000);
    expect(speaking.loudness).toBeGreaterThan(0.02);
    expect(speaking.brightness).toBeGreaterThan(10);
    await shot("preview");
    await page.getByRole("button", { name: "On to training" }).click();
  });

  await test.step("training", async () => {
    await page.getByLabel("Minutes of training").fill("1");
    await page.getByRole("button", { name: "Start training" }).click();
    await expect(page.locator("[data-job][data-state=running]")).toBeVisible({ timeout: 60_000 });
    await page.waitForTimeout(8000);
    await shot("train");
    await page.getByRole("button", { name: "Look at the result" }).click({ timeout: 600_000 });
    await expect(page.locator("[data-metric]").first()).toBeVisible();
    await shot("result");
    const approve = page.getByRole("button", { name: "Approve" });
    if (await approve.isVisible()) await approve.click();
    await page.getByRole("link", { name: "Go live" }).click();
  });

  await test.step("live: it speaks, is interrupted, and idles", async () => {
    await page.getByLabel("Background").first().click();
    await page.getByRole("option", { name: "Colour" }).click();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await expect(page.locator("[data-live=live]")).toBeVisible({ timeout: 60_000 });
    await page.waitForTimeout(1500);
    const idle = await watch(page, 3000);
    expect(idle.width).toBeGreaterThan(200);
    expect(idle.brightness).toBeGreaterThan(10);
    expect(idle.frames).toBeGreaterThan(30);
    expect(idle.loudness).toBeLessThan(0.02);

    await page.getByLabel("Words to speak").fill("大家好，欢迎来到直播间。今天我们来看看新的产品，它真的非常好用，希望大家都喜欢。");
    await page.getByRole("button", { name: "Speak", exact: true }).click();
    await expect(page.locator("[data-outcome=speaking]")).toBeVisible({ timeout: 20_000 });
    const speaking = await watch(page, 3000);
    expect(speaking.loudness).toBeGreaterThan(0.05);
    const { items } = await studio.call<{ items: { id: string }[] }>("GET", "/live/sessions");
    const stats = await studio.call<{ held: number; frames: number }>("GET", `/live/sessions/${items[0]?.id}/stats`);
    const held = stats.held / stats.frames;
    // Where a machine is so busy that pictures are repeated, the lips seen in a few seconds prove nothing.
    if (held < 0.1) expect(speaking.mouthShare).toBeGreaterThan(idle.mouthShare * 1.3);
    else test.info().annotations.push({ type: "not judged", description: `lips: ${Math.round(held * 100)} % of the pictures were repeated` });
    await shot("live");

    // Spoken anew: by the time the page was looked at, a short text may be over.
    await page.getByLabel("Words to speak").fill("This sentence is cut off long before it ends. ".repeat(8));
    await page.getByRole("button", { name: "Speak", exact: true }).click();
    const long = page.locator("[data-outcome]").filter({ hasText: "This sentence is cut off" });
    await expect(long).toHaveAttribute("data-outcome", "speaking", { timeout: 30_000 });
    await page.getByRole("button", { name: "Interrupt" }).click();
    await expect(long).toHaveAttribute("data-outcome", "interrupted");
    await page.waitForTimeout(500);
    expect((await watch(page, 1500)).loudness).toBeLessThan(0.02);
    await expect(page.locator("[data-figure=fps]")).not.toHaveText("–");
    await page.getByRole("button", { name: "End", exact: true }).first().click();
    await expect(page.locator("[data-live=idle]")).toBeVisible();
  });
});

test("what cannot be a take is refused with every reason, in both languages", async ({ page, studio }) => {
  await useLanguage(page, "en");
  await open(page, studio, "/make");
  await page.getByLabel("Name of the person").fill("Demo Person");
  await page.getByLabel("What it is for").fill("Tests");
  await page.getByLabel("The person in the recording agrees").check();
  await page.getByLabel("Drop the video here").setInputFiles({ name: "notes.mp4", mimeType: "video/mp4", buffer: Buffer.from("these are only words") });
  await page.getByRole("button", { name: "Upload and check" }).click();
  const finding = page.locator("[data-finding]").first();
  await expect(finding).toBeVisible({ timeout: 90_000 });
  const english = await finding.innerText();
  await page.getByRole("button", { name: "中文" }).click();
  await expect(finding).not.toHaveText(english);
  await expect(finding).toContainText(/[\u4e00-\u9fff]/);
});
