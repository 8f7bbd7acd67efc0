// The page for everybody: on a phone, in the dark, without a mouse, without motion.

import assert from "node:assert/strict";
import { test } from "node:test";

import { MARKDOWN, PLACES } from "./answers.js";
import { ask, barriers, PHONE, picture, screenshot } from "./browser.js";
import { stage } from "./stage.js";

const { mock, open } = stage();

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { ...PHONE, colorScheme: "light" }],
  ["phone-dark", { ...PHONE, colorScheme: "dark" }],
]) {
  test(`no barriers and nothing cut off: ${name}`, async () => {
    const page = await open({ ...options, expected: /status of 400/ });
    assert.deepEqual(await barriers(page), []);
    await screenshot(page, `${name}-welcome`);
    await page.setInputFiles("#pictures", picture("figures.png"));
    await page.locator(".tray li").waitFor();
    assert.deepEqual(await barriers(page), []);
    mock.answer = { text: PLACES, reasoning: "Hm." };
    await ask(page, "Where?");
    await screenshot(page, `${name}-places`);
    mock.answer = { text: MARKDOWN };
    await ask(page, "What?");
    await screenshot(page, `${name}-markdown`);
    mock.answer = { status: 400, error: "No." };
    await ask(page, "Why?");
    assert.deepEqual(await barriers(page), []);
    await page.getByRole("button", { name: "Settings" }).click();
    assert.deepEqual(await barriers(page), []);
    await screenshot(page, `${name}-settings`);
    await page.keyboard.press("Escape");
    const { width, scrollWidth } = await page.evaluate(() => ({
      width: innerWidth,
      scrollWidth: document.documentElement.scrollWidth,
    }));
    assert.ok(scrollWidth <= width, `${scrollWidth} of ${width}`);
    const small = await page
      .locator("button:visible, summary:visible, select:visible")
      .evaluateAll((targets) =>
        targets.filter((target) => target.getBoundingClientRect().height < 40).map((target) => target.outerHTML),
      );
    assert.deepEqual(small, []);
  });
}

test("the switch turns light to dark and back, and is remembered", async () => {
  const page = await open({ colorScheme: "light" });
  const lightness = () =>
    page.evaluate(() => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d");
      canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
      canvas.fillRect(0, 0, 1, 1);
      return canvas.getImageData(0, 0, 1, 1).data[0];
    });
  const control = page.getByRole("button", { name: "Dark" });
  assert.ok((await lightness()) > 200);
  await control.click();
  assert.ok((await lightness()) < 50);
  assert.equal(await control.getAttribute("aria-pressed"), "true");
  await page.reload();
  assert.ok((await lightness()) < 50);
  await control.click();
  assert.ok((await lightness()) > 200);
});

test("whoever wants less motion gets none", async () => {
  mock.answer = { endless: true };
  const page = await open({ reducedMotion: "reduce" });
  await page.locator("#question").fill("Go on");
  await page.keyboard.press("Enter");
  await page.getByText("more more").waitFor();
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
});
