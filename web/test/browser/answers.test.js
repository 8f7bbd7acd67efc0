// How an answer is shown.

import assert from "node:assert/strict";
import { test } from "node:test";

import { MARKDOWN } from "./answers.js";
import { answered, ask } from "./browser.js";
import { stage } from "./stage.js";

const { mock, open } = stage();

test("markdown becomes elements, and nothing of it markup", async () => {
  mock.answer = { text: MARKDOWN };
  const page = await open();
  const answer = await ask(page, "What is there?");
  assert.equal(await answer.locator("h3").textContent(), "Findings");
  assert.equal(await answer.locator("p strong").textContent(), "Three");
  assert.match(
    await answer.locator(".prose p").first().textContent(),
    /grün ★ 🟢.*\[not\]\(javascript:alert\(1\)\) <img src=x onerror=alert\(1\)>/,
  );
  assert.equal(await answer.locator(".prose img, .prose script").count(), 0);
  const links = answer.locator("a");
  assert.equal(await links.count(), 1);
  assert.equal(await links.getAttribute("href"), "https://example.org/");
  assert.match(await links.getAttribute("rel"), /noopener.*noreferrer/);
  assert.equal(await answer.locator("ol li ul li").textContent(), "inner");
  assert.equal(await answer.locator("td.align-right").textContent(), "0.1");
  assert.match(await answer.locator("pre code").textContent(), /^print\(/);
});

test("thinking is folded away, beside the answer", async () => {
  mock.answer = { reasoning: "Let me *think*.", text: "Done." };
  const page = await open();
  const answer = await ask(page, "Why?");
  const thoughts = answer.locator(".thinking .prose");
  assert.ok(!(await thoughts.isVisible()));
  await answer.getByText("Thinking").click();
  assert.equal(await thoughts.textContent(), "Let me think.");
  assert.equal(await answer.locator(".body").textContent(), "Done.");
  mock.answer = { text: "No thoughts." };
  const next = await ask(page, "And now?");
  assert.ok(!(await next.locator(".thinking").isVisible()));
  assert.deepEqual(mock.requests[1].messages[1], { role: "assistant", content: "Done." });
});

test("copying puts the answer on the clipboard, as it was written", async () => {
  mock.answer = { text: MARKDOWN };
  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  const answer = await ask(page, "What?");
  await answer.getByRole("button", { name: "Copy the answer" }).click();
  await page.getByRole("button", { name: "Copy the answer" }).getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), MARKDOWN);
  await answer.getByRole("button", { name: "Copy this code" }).click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith("print("));
});

test("reading further up is not disturbed by an answer that grows", async () => {
  mock.answer = { text: "A line.\n\n".repeat(200), pieces: 200, pause: 10 };
  const page = await open();
  await page.locator("#question").fill("Tell me");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.documentElement.scrollTop > 200);
  await page.mouse.move(600, 300);
  do {
    await page.mouse.wheel(0, -10_000);
  } while ((await page.evaluate(() => document.documentElement.scrollTop)) > 0);
  await answered(page);
  assert.equal(await page.evaluate(() => document.documentElement.scrollTop), 0);
});
