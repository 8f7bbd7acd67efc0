// A headless Chromium with the page in it, and eyes on what the page must never do.

import { accessSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { delimiter, join } from "node:path";

import axe from "axe-core";
import { chromium } from "playwright-core";

/** A picture of the repository. */
export function picture(name) {
  return fileURLToPath(new URL(`../../../examples/pictures/${name}`, import.meta.url));
}

/** A phone, held upright. */
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

/** Starts the browser that `CHROMIUM` names, or the first on the `PATH`. */
export function startBrowser() {
  // As root, as in CI, Chromium's sandbox cannot be used.
  return chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
}

function chromiumPath() {
  if (process.env.CHROMIUM) {
    return process.env.CHROMIUM;
  }
  const folders = process.env.PATH.split(delimiter);
  const candidates = ["chromium", "chromium-browser", "google-chrome"].flatMap((name) =>
    folders.map((folder) => join(folder, name)),
  );
  const found = candidates.find((path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false;
    }
  });
  if (!found) {
    throw new Error("No Chromium on the PATH. Install one (Debian: apt-get install chromium) or name it in CHROMIUM.");
  }
  return found;
}

/**
 * Opens the page in a window of its own. `page.wrongs` collects console errors, exceptions and violations of the page's policy.
 * Refused requests that a test asks for are logged by the browser as errors, too: `expected` is a pattern of those.
 */
export async function openPage(browser, url, { expected, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.wrongs = [];
  const note = (text) => expected?.test(text) || page.wrongs.push(text);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && note(message.text()));
  page.on("pageerror", (error) => note(String(error)));
  await context.exposeFunction("violated", (text) => note(text));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.violated(`policy: ${event.violatedDirective} forbids ${event.blockedURI}`);
    });
  });
  await page.goto(url);
  await page.locator("#model:not(:empty), #notice:not([hidden])").first().waitFor();
  return page;
}

/** Types a question, sends it with the keyboard, and waits for the whole answer. */
export async function ask(page, question) {
  await page.locator("#question").fill(question);
  await page.keyboard.press("Enter");
  return answered(page);
}

/** The last answer, once it has ended. */
export async function answered(page) {
  const answer = page.locator(".answer").last();
  await answer.and(page.locator("[aria-busy=false]")).waitFor();
  return answer;
}

/** Drops a file on the page, as the browser sees it when a hand does. */
export async function drop(page, path) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await session.send("Input.dispatchDragEvent", { type, x: 300, y: 300, data });
  }
  await session.detach();
}

/** What axe finds wrong, by rule, at WCAG 2.2 AA and its own good practice. */
export async function barriers(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
}

/** Keeps a picture of the page, where `SCREENSHOTS` names a folder. */
export async function screenshot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) {
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: join(folder, `${name}.png`) });
  }
}
