// The page as qvl serve gives it out, with the demo model's own answers.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { answered, ask, barriers, drop, openPage, PHONE, picture, screenshot, startBrowser } from "./browser.js";

const DESCRIPTION = "A red circle, a green star and a blue square on a white background.";
const WHERE = "Where is the red circle? Answer with its box in JSON.";
const program = process.env.QVL ?? fileURLToPath(new URL("../../../target/debug/qvl", import.meta.url));

let browser;
let page;
let server;
let url;

before(async () => {
  browser = await startBrowser();
  server = spawn(program, ["serve", "--port", "0", "--max-body-mib", "2"], { stdio: ["ignore", "pipe", "pipe"] });
  url = await addressOf(server);
});

after(async () => {
  await browser?.close();
  if (server?.exitCode === null) {
    server.kill("SIGTERM");
    await once(server, "exit");
  }
});

afterEach(async () => {
  const { wrongs } = page;
  await page.context().close();
  assert.deepEqual(wrongs, []);
});

// The server says where it listens, once it does. The first start exports the demo model.
function addressOf(child) {
  return new Promise((resolve, reject) => {
    let said = "";
    const listen = (piece) => {
      said += piece;
      const found = /http:\/\/[\d.]+:\d+\/?/.exec(said);
      if (found) {
        resolve(found[0]);
      }
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${program} serve ended with ${code}: ${said}`)));
  });
}

async function open(options) {
  page = await openPage(browser, url, options);
}

// The whole answer can be there before the screen is drawn once. From here on the page gets each event some milliseconds after the
// one before; what the server sends as one event stays one.
function setEventsApart(milliseconds) {
  const fetch = window.fetch;
  window.fetch = async (...request) => {
    const response = await fetch(...request);
    let rest = "";
    const apart = new TransformStream({
      async transform(text, controller) {
        const events = (rest + text).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          controller.enqueue(`${event}\n\n`);
          await new Promise((resolve) => setTimeout(resolve, milliseconds));
        }
      },
      flush(controller) {
        controller.enqueue(rest);
      },
    });
    const body = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(apart)
      .pipeThrough(new TextEncoderStream());
    return new Response(body, response);
  };
}

test("a dropped picture is described, word by word", async () => {
  await open();
  await drop(page, picture("figures.png"));
  await page.locator(".tray img").waitFor();
  await page.evaluate(setEventsApart, 20);
  await page.evaluate(() => {
    window.lengths = new Set();
    new MutationObserver(() => {
      window.lengths.add(document.querySelector(".answer .body")?.textContent.length ?? 0);
    }).observe(document.querySelector("#log"), { subtree: true, childList: true, characterData: true });
  });
  const answer = await ask(page, "Describe the picture.");
  await screenshot(page, "serve-description");
  assert.equal(await answer.locator(".body").textContent(), DESCRIPTION);
  assert.ok((await page.evaluate(() => window.lengths.size)) > 3, "the answer arrived in pieces");
  assert.match(await page.locator(".question figcaption").textContent(), /480 × 360 seen as \d+ × \d+, \d+\stokens/);
  assert.match(
    await answer.locator(".figures").textContent(),
    /^\d+ tokens · .* a second · first after .* s · prompt of \d+/,
  );
});

test("a box is drawn where the thing is", async () => {
  await open();
  await drop(page, picture("figures.png"));
  await page.locator(".tray img").waitFor();
  const answer = await ask(page, WHERE);
  await screenshot(page, "serve-box");
  assert.equal(await answer.locator(".place-name").textContent(), "red circle");
  const { box, circle } = await answer.locator(".plate").evaluate(boxAndCircle);
  assert.ok(overlap(box, circle) >= 0.7, `${box} on ${circle}`);
});

test("a second question about the same picture", async () => {
  await open();
  await page.setInputFiles("#pictures", picture("figures.png"));
  await page.locator(".tray img").waitFor();
  await ask(page, "What colour is the circle?");
  const answer = await ask(page, "And the square?");
  assert.match(await answer.locator(".body").textContent(), /blue/i);
});

test("settings take effect: fewer tokens for the picture, and for the answer", async () => {
  await open();
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("Temperature").fill("0");
  await page.getByLabel("Top k").fill("1");
  await page.getByLabel("Seed").fill("7");
  await page.getByLabel("Thinking").selectOption("off");
  await page.getByLabel("Longest answer, in tokens").fill("3");
  await page.getByLabel("Largest picture, in tokens").fill("16");
  await page.getByRole("button", { name: "Save" }).click();
  await page.setInputFiles("#pictures", picture("figures.png"));
  await page.locator(".tray img").waitFor();
  const answer = await ask(page, "Describe the picture.");
  assert.match(await answer.locator(".note").textContent(), /greatest length/);
  assert.match(await answer.locator(".figures").textContent(), /^3 tokens/);
  const seen = /(\d+)\stokens/.exec(await page.locator(".seen-as").textContent());
  assert.ok(Number(seen[1]) <= 16, seen[0]);
});

test("a clip is seen as a video", async () => {
  await open();
  await drop(page, picture("../../demo/calibration/clips/clip-0001.gif"));
  await page.locator(".tray img").waitFor();
  const answer = await ask(page, "In which direction does the square move?");
  assert.match(await answer.locator(".body").textContent(), /^up/i);
  assert.match(await page.locator(".seen-as").textContent(), /\d+ frames/);
});

test("what is too large is refused with a sentence", async () => {
  await open({ expected: /ERR_|status of 4/ });
  await page.setInputFiles("#pictures", { name: "noise.png", mimeType: "image/png", buffer: Buffer.alloc(3_000_000) });
  await page.locator(".tray li").waitFor();
  const answer = await ask(page, "What is it?");
  assert.match(await answer.locator(".error").textContent(), /MB|MiB|bytes/);
});

test("everything with the keyboard alone", async () => {
  await open();
  const chooser = page.waitForEvent("filechooser");
  await tabTo("Add pictures");
  await page.keyboard.press("Enter");
  await (await chooser).setFiles(picture("figures.png"));
  await page.locator(".tray img").waitFor();
  // The question has the focus again.
  await page.keyboard.type(WHERE);
  await page.keyboard.press("Enter");
  await answered(page);
  await tabTo("red circle");
  await page.keyboard.press("Space");
  assert.equal(await page.locator(".place").getAttribute("aria-pressed"), "true");
  await tabTo("Ask again");
  await page.keyboard.press("Enter");
  await page.locator(".place[aria-pressed=false]").waitFor();
  await answered(page);
  await tabTo("Settings");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Answer in a few words.");
  await tabTo("Save");
  await page.keyboard.press("Enter");
  await page.locator("#settings").waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "open-settings");
  await tabTo("New chat");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "question");
  assert.equal(await page.locator(".turn").count(), 0);
});

// Presses Tab until something with that name has the focus; what has it must be seen to have it.
async function tabTo(name) {
  for (let presses = 0; presses < 60; presses += 1) {
    const focused = await page.evaluate(() => {
      const { activeElement } = document;
      const { outlineStyle } = getComputedStyle(activeElement);
      return {
        text: activeElement.textContent,
        outlined: outlineStyle !== "none",
        body: activeElement === document.body,
      };
    });
    if (!focused.body && focused.text.includes(name)) {
      assert.ok(focused.outlined, `the focus on ${name} can be seen`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab never reaches ${name}`);
}

for (const [name, options] of [
  ["phone", PHONE],
  ["dark", { colorScheme: "dark" }],
]) {
  test(`no barriers: ${name}`, async () => {
    await open(options);
    await page.setInputFiles("#pictures", picture("figures.png"));
    await page.locator(".tray img").waitFor();
    const answer = await ask(page, WHERE);
    assert.deepEqual(await barriers(page), []);
    const { box, circle } = await answer.locator(".plate").evaluate(boxAndCircle);
    assert.ok(overlap(box, circle) >= 0.7, `${box} on ${circle}`);
    await screenshot(page, `serve-${name}`);
  });
}

// In the page: the drawn box, and the box around the picture's red pixels, both in pixels of the window.
async function boxAndCircle(plate) {
  const image = plate.querySelector("img");
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, width, height);
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const [red, green, blue] = data.subarray(4 * pixel, 4 * pixel + 3);
    if (red > 150 && green < 90 && blue < 90) {
      const [x, y] = [pixel % width, Math.floor(pixel / width)];
      [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x + 1), Math.max(y1, y + 1)];
    }
  }
  const frame = image.getBoundingClientRect();
  const across = (x) => frame.left + (x / width) * frame.width;
  const down = (y) => frame.top + (y / height) * frame.height;
  const shape = plate.querySelector("[data-kind=box] .stroke");
  const { x, y, width: w, height: h } = shape.getBBox();
  const matrix = shape.getScreenCTM();
  const from = new DOMPoint(x, y).matrixTransform(matrix);
  const to = new DOMPoint(x + w, y + h).matrixTransform(matrix);
  return { box: [from.x, from.y, to.x, to.y], circle: [across(x0), down(y0), across(x1), down(y1)] };
}

// Intersection over union.
function overlap(a, b) {
  const area = ([x0, y0, x1, y1]) => Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0);
  const common = area([Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])]);
  return common / (area(a) + area(b) - common);
}
