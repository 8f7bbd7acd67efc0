// A page with a server that says whatever a test wants.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";

import { openPage, startBrowser } from "./browser.js";
import { MockServer } from "./mock-server.js";

/**
 * Starts browser and server before the tests of a file and ends them after; each test gets a page of its own, which must have logged no
 * error and kept to its policy in the end.
 *
 * @returns {{mock: MockServer, open: (options?: object) => Promise<object>}} `open` opens the page
 */
export function stage() {
  const mock = new MockServer();
  let browser;
  let page;
  before(async () => {
    browser = await startBrowser();
    await mock.start();
  });
  after(async () => {
    await browser?.close();
    await mock.stop();
  });
  afterEach(async () => {
    const { wrongs } = page;
    await page.context().close();
    mock.forget();
    assert.deepEqual(wrongs, []);
  });
  const open = async (options) => {
    page = await openPage(browser, mock.url, options);
    return page;
  };
  return { mock, open };
}
