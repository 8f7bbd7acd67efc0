// Asking, with all that belongs to a question, and what can go wrong.

import assert from "node:assert/strict";
import { test } from "node:test";

import { answered, ask, drop, picture, screenshot } from "./browser.js";
import { stage } from "./stage.js";

const { mock, open } = stage();

test("an answer can be stopped, by button and by key, and asked for again", async () => {
  mock.answer = { endless: true };
  const page = await open();
  for (const stop of [() => page.getByRole("button", { name: "Stop" }).click(), () => page.keyboard.press("Escape")]) {
    const closed = mock.closedEarly;
    await page.locator("#question").fill("Go on");
    await page.keyboard.press("Enter");
    await page.locator(".answer").last().getByText("more more").waitFor();
    await stop();
    const answer = await answered(page);
    assert.match(await answer.locator(".note").textContent(), /Stopped/);
    assert.match(await answer.locator(".body").textContent(), /^more more/);
    while (mock.closedEarly === closed) {
      await page.waitForTimeout(10);
    }
  }
  mock.answer = { text: "Short." };
  await page.getByRole("button", { name: "Ask again" }).click();
  const answer = await answered(page);
  assert.equal(await answer.locator(".body").textContent(), "Short.");
  assert.equal(await page.locator(".answer").count(), 2);
  assert.equal(mock.requests.at(-1).messages.at(-1).content[0].text, "Go on");
  assert.equal(new Set(mock.sessions).size, 1);
});

test("what goes wrong is said, and can be tried again", async () => {
  const page = await open({ expected: /status of 400|ERR_|Failed to load/ });
  const cases = [
    [{ status: 400, error: "The picture has 0 bytes." }, "The picture has 0 bytes."],
    [{ text: "Half an answer", breakAfter: 3, error: "The model ran out of memory." }, "The model ran out of memory."],
    [{ text: "Half an answer", breakAfter: 3 }, "The server cannot be reached. Is it still running?"],
  ];
  for (const [answer, message] of cases) {
    mock.answer = answer;
    const shown = await ask(page, "Try");
    assert.equal(await shown.locator(".error").textContent(), message);
    assert.ok((await page.locator("#announcer").textContent()).includes(message));
  }
  mock.answer = { text: "Now it works." };
  await page.getByRole("button", { name: "Ask again" }).click();
  assert.equal(await (await answered(page)).locator(".body").textContent(), "Now it works.");
});

test("a server that takes no large pictures is understood", async () => {
  mock.answer = { deaf: true };
  const page = await open({ expected: /ERR_|Failed to load/ });
  await page.setInputFiles("#pictures", { name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(3_000_000) });
  await page.locator(".tray li").waitFor();
  const answer = await ask(page, "What?");
  assert.match(await answer.locator(".error").textContent(), /broke while 4 MB were being sent.*smaller pictures/);
});

test("a key is asked for, kept for the tab, and sent", async () => {
  mock.answer = { key: "secret", text: "In." };
  const page = await open({ expected: /status of 401/ });
  assert.match(await page.locator("#notice").textContent(), /wants an API key/);
  const refused = await ask(page, "Hello");
  await refused.getByRole("button", { name: "Enter the key" }).click();
  await page.keyboard.type("secret");
  await page.keyboard.press("Enter");
  await page.getByText("mock", { exact: true }).waitFor();
  assert.ok(await page.locator("#notice").isHidden());
  await page.getByRole("button", { name: "Ask again" }).click();
  assert.equal(await (await answered(page)).locator(".body").textContent(), "In.");
  const kept = await page.evaluate(() => [JSON.stringify(localStorage), sessionStorage.getItem("qvl.key")]);
  assert.ok(!kept[0].includes("secret"));
  assert.equal(kept[1], "secret");
});

test("settings go with the question, and stay", async () => {
  mock.answer = { text: "Yes." };
  const page = await open();
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("System text").fill("Be brief.");
  await page.getByLabel("Temperature").fill("3");
  await page.getByLabel("Largest picture, in tokens").fill("256");
  await page.getByLabel("Thinking").selectOption("off");
  await page.getByRole("button", { name: "Save" }).click();
  assert.ok(await page.locator("#settings").isVisible(), "a temperature of 3 is not saved");
  await page.getByLabel("Temperature").fill("0.5");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#settings").waitFor({ state: "hidden" });
  await page.reload();
  await ask(page, "Ready?");
  const {
    messages,
    temperature,
    mm_processor_kwargs: processor,
    chat_template_kwargs: template,
    ...others
  } = mock.requests[0];
  assert.deepEqual(messages[0], { role: "system", content: "Be brief." });
  assert.deepEqual([temperature, processor, template], [0.5, { max_pixels: 262_144 }, { enable_thinking: false }]);
  assert.deepEqual(Object.keys(others).sort(), ["model", "stream", "stream_options"]);

  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Clear all" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await ask(page, "And now?");
  assert.deepEqual(Object.keys(mock.requests[1]).sort(), ["messages", "model", "stream", "stream_options"]);
});

test("pictures by paste, several at once, removed again; other files are refused", async () => {
  mock.answer = { text: "Seen." };
  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(40, 30);
    canvas.getContext("2d").fillRect(0, 0, 40, 30);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": await canvas.convertToBlob() })]);
  });
  await page.locator("#question").focus();
  await page.keyboard.press("Control+V");
  await page.locator(".tray li").waitFor();
  await page.setInputFiles("#pictures", [picture("figures.png"), picture("sign.jpg")]);
  await page.locator(".tray li").nth(2).waitFor();
  await page.getByRole("button", { name: "Remove figures.png" }).click();
  assert.equal(await page.locator(".tray li").count(), 2);
  await drop(page, picture("../draw.py"));
  assert.match(await page.locator("#notice").textContent(), /draw\.py is no picture that can be sent/);
  await screenshot(page, "tray");
  await ask(page, "What is it?");
  const types = mock.requests[0].messages[0].content.map((part) => part.image_url?.url.slice(0, 22) ?? part.type);
  assert.deepEqual(types, ["data:image/png;base64,", "data:image/jpeg;base64", "text"]);
});

test("an animated GIF goes as a video", async () => {
  mock.answer = {
    text: "It moves.",
    usage: { completion_tokens: 3, qvl: { images: [{ width: 64, height: 64, tokens: 8, grid_thw: [2, 4, 4] }] } },
  };
  const page = await open();
  await drop(page, picture("../../demo/calibration/clips/clip-0001.gif"));
  await page.locator(".tray li").waitFor();
  await ask(page, "Which way?");
  assert.match(mock.requests[0].messages[0].content[0].video_url.url, /^data:image\/gif;base64,/);
  assert.match(await page.locator(".question figcaption").textContent(), /seen as 64 × 64, 4 frames, 8\stokens/);
});

test("a new chat forgets the old one, also in mid-answer", async () => {
  mock.answer = { endless: true };
  const page = await open();
  await page.locator("#question").fill("Go on");
  await page.keyboard.press("Enter");
  await page.getByText("more more").waitFor();
  await page.getByRole("button", { name: "New chat" }).click();
  assert.equal(await page.locator(".turn").count(), 0);
  assert.ok(await page.locator("#welcome").isVisible());
  mock.answer = { text: "Fresh." };
  await ask(page, "Hello");
  assert.equal(mock.requests.at(-1).messages.length, 1);
  assert.equal(new Set(mock.sessions).size, 2);
});
