// Boxes and points on pictures, and in words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PLACES } from "./answers.js";
import { ask, picture, screenshot } from "./browser.js";
import { stage } from "./stage.js";

const { mock, open } = stage();

test("boxes and points are drawn where they belong, listed, and shown alone on request", async () => {
  mock.answer = { text: PLACES };
  const page = await open();
  await page.setInputFiles("#pictures", picture("shapes.png"));
  const answer = await ask(page, "Where are they?");
  await screenshot(page, "places");
  assert.deepEqual(await answer.locator(".body .prose").allTextContents(), ["Here:", "That is all."]);
  assert.deepEqual(await answer.locator(".place-where").allTextContents(), [
    "box from 100, 200 to 300, 400",
    "box from 600, 0 to 900, 500",
    "point at 500, 750",
  ]);
  const places = await answer.locator(".plate").evaluate((plate) => {
    const frame = plate.querySelector("img").getBoundingClientRect();
    return [...plate.querySelectorAll("g .stroke")].map((shape) => {
      const { x, y, width, height } = shape.getBBox();
      const matrix = shape.getScreenCTM();
      const [from, to] = [new DOMPoint(x, y), new DOMPoint(x + width, y + height)].map((point) =>
        point.matrixTransform(matrix),
      );
      const across = (value) => Math.round((1000 * (value - frame.left)) / frame.width);
      const down = (value) => Math.round((1000 * (value - frame.top)) / frame.height);
      return [across(from.x), down(from.y), across(to.x), down(to.y)];
    });
  });
  assert.deepEqual(places, [
    [100, 200, 300, 400],
    [600, 0, 900, 500],
    [500, 750, 500, 750],
  ]);

  const star = answer.getByRole("button", { name: "star" });
  await star.click();
  assert.equal(await star.getAttribute("aria-pressed"), "true");
  assert.deepEqual(
    await answer.locator(".plate g:not(.hidden)").evaluateAll((shapes) => shapes.map((shape) => shape.dataset.kind)),
    ["point"],
  );
  await star.click();
  assert.equal(await answer.locator(".plate g:not(.hidden)").count(), 3);

  await answer.getByText("As written").click();
  assert.match(await answer.locator(".written code").textContent(), /^```json[^]*```$/);
});

test("labels stay within the picture", async () => {
  const corners = [
    [0, 0, 80, 60],
    [920, 0, 1000, 60],
    [0, 940, 80, 1000],
    [920, 940, 1000, 1000],
  ];
  mock.answer = { text: JSON.stringify(corners.map((box) => ({ bbox_2d: box, label: "a corner" }))) };
  const page = await open();
  await page.setInputFiles("#pictures", picture("figures.png"));
  const answer = await ask(page, "Where?");
  const outside = await answer.locator(".plate").evaluate((plate) => {
    const frame = plate.getBoundingClientRect();
    return [...plate.querySelectorAll(".place-label")].filter((label) => {
      const { left, right, top, bottom } = label.getBoundingClientRect();
      return left < frame.left || right > frame.right || top < frame.top || bottom > frame.bottom;
    }).length;
  });
  assert.equal(outside, 0);
});

test("with several pictures the named one is meant, and another can be chosen", async () => {
  mock.answer = { text: 'In picture 2: {"bbox_2d": [1, 2, 3, 4], "label": "x"}' };
  const page = await open();
  await page.setInputFiles("#pictures", [picture("figures.png"), picture("chart.png")]);
  const answer = await ask(page, "Where?");
  const shown = answer.locator(".plate img");
  assert.equal(await shown.getAttribute("alt"), "Picture 2, chart.png");
  await answer.getByLabel("Picture").selectOption("0");
  assert.equal(await shown.getAttribute("alt"), "Picture 1, figures.png");
});

test("screen readers hear the answer in sentences, places in words", async () => {
  mock.answer = { text: PLACES };
  const page = await open();
  await page.evaluate(() => {
    window.heard = [];
    const region = document.querySelector("#announcer");
    new MutationObserver((records) => {
      window.heard.push(...records.flatMap((record) => [...record.addedNodes].map((node) => node.textContent)));
    }).observe(region, { childList: true });
  });
  await ask(page, "Where?");
  const heard = (await page.evaluate(() => window.heard)).join(" ");
  const words =
    "Answering. Here: circle: box from 100, 200 to 300, 400. square: box from 600, 0 to 900, 500. star: point at 500, 750. That is all.";
  assert.equal(heard.replaceAll(/\s+/g, " "), words);
});
