// A server that speaks the wire format of qvl serve, for answers that the demo model never gives: markdown, thinking, several boxes,
// errors before and in the midst of a stream, an answer without an end.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout as wait } from "node:timers/promises";

const PAGE = new URL("../../page/", import.meta.url);
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };

/** What qvl serve sends with the page. */
export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HELLO = { text: "Hello." };

/** A server on a free port. */
export class MockServer {
  /**
   * What it says next, to be set at any time: `{text, reasoning, usage}` in a number of `pieces` with a `pause` (in milliseconds) after
   * each, broken off after `breakAfter` of them, with an `error` or without; `endless`; a refusal with `status` and `error`, or, `deaf`, by
   * closing the connection; and the `key` that it wants.
   */
  answer = HELLO;
  /** The bodies of what it was asked. */
  requests = [];
  /** The conversations that they belong to. */
  sessions = [];
  /** How many streams were closed by the browser. */
  closedEarly = 0;

  #server = createServer((request, response) => {
    serve(this, request, response).catch((error) => response.destroy(error));
  });

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** As if nothing had been asked. */
  forget() {
    this.answer = HELLO;
    this.requests.length = 0;
    this.sessions.length = 0;
  }
}

async function serve(mock, request, response) {
  const { pathname } = new URL(request.url, mock.url);
  if (!pathname.startsWith("/v1/")) {
    return servePage(pathname, response);
  }
  if (mock.answer.key && request.headers.authorization !== `Bearer ${mock.answer.key}`) {
    return fail(response, 401, "The API key is missing or wrong.");
  }
  if (pathname === "/v1/models") {
    response.setHeader("Content-Type", "application/json");
    return response.end(JSON.stringify({ object: "list", data: [{ id: "mock", object: "model" }] }));
  }
  if (mock.answer.deaf) {
    return request.destroy();
  }
  mock.requests.push(JSON.parse(await textOf(request)));
  mock.sessions.push(request.headers["x-session-id"]);
  return mock.answer.status ? fail(response, mock.answer.status, mock.answer.error) : stream(mock, response);
}

async function servePage(pathname, response) {
  const name = pathname === "/" ? "index.html" : pathname.slice(1);
  const body = await readFile(new URL(name, PAGE)).catch(() => null);
  if (body === null) {
    response.statusCode = 404;
    return response.end();
  }
  response.setHeader("Content-Security-Policy", POLICY);
  response.setHeader("Content-Type", TYPES[name.split(".").at(-1)]);
  return response.end(body);
}

function fail(response, status, message) {
  response.statusCode = status;
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ error: { message, type: "invalid_request_error", param: null, code: null } }));
}

async function stream(mock, response) {
  const {
    text = "",
    reasoning = "",
    usage,
    error,
    breakAfter = Infinity,
    endless,
    pause = 0,
    pieces = 12,
  } = mock.answer;
  response.setHeader("Content-Type", "text/event-stream");
  response.on("close", () => (mock.closedEarly += response.writableFinished ? 0 : 1));
  await send(response, { choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });
  const deltas = [
    ...cut(reasoning, pieces).map((piece) => ({ reasoning_content: piece })),
    ...cut(text, pieces).map((content) => ({ content })),
  ];
  for (const [index, delta] of deltas.entries()) {
    if (index === breakAfter) {
      return error ? send(response, { error: { message: error } }).then(() => response.end()) : response.destroy();
    }
    await send(response, { choices: [{ index: 0, delta, finish_reason: null }] });
    await wait(pause);
  }
  while (endless && !response.destroyed) {
    await send(response, { choices: [{ index: 0, delta: { content: "more " }, finish_reason: null }] });
    await wait(10);
  }
  await send(response, { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  await send(response, { choices: [], usage: usage ?? { prompt_tokens: 60, completion_tokens: deltas.length } });
  return response.end("data: [DONE]\n\n");
}

// Every event in two writes, cut within a character if there is one of several bytes.
async function send(response, chunk) {
  const bytes = Buffer.from(`data: ${JSON.stringify({ object: "chat.completion.chunk", ...chunk })}\n\n`);
  const cutAt = Math.max(bytes.findIndex((byte) => byte > 127) + 1, 7);
  response.write(bytes.subarray(0, cutAt));
  await wait(0);
  response.write(bytes.subarray(cutAt));
}

function cut(text, pieces) {
  const length = Math.max(Math.ceil(text.length / pieces), 1);
  return Array.from({ length: Math.ceil(text.length / length) }, (_, index) =>
    text.slice(index * length, (index + 1) * length),
  );
}

async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
