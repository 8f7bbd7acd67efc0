// The server's API, as far as the page uses it. Addresses are relative: a proxy may serve the page under a path of its own.

import { eventsOf } from "./sse.js";

const MEGABYTE = 1e6;

/** What a server answers when it does not do what was asked: its sentence, and the status (0: it did not answer at all). */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }

  /** Whether the key is missing or wrong. */
  get wantsKey() {
    return this.status === 401;
  }
}

/**
 * The names of the models that the server has.
 *
 * @param {string} key the API key, empty for none
 */
export async function models(key) {
  const response = await call("v1/models", { headers: headers(key) });
  const list = await response.json().catch(() => null);
  return (list?.data ?? []).map((model) => model.id);
}

/**
 * Asks, and gives the chunks of the answer as they arrive.
 *
 * @param {object} request the body of /v1/chat/completions
 * @param {{key: string, session: string, signal: AbortSignal}} options `session` names the conversation, so that a balancer in
 *   front of several servers can send its turns to the one that remembers them
 */
export async function* chat(request, { key, session, signal }) {
  const response = await call("v1/chat/completions", {
    method: "POST",
    headers: { ...headers(key), "Content-Type": "application/json", "X-Session-Id": session },
    body: JSON.stringify(request),
    signal,
  });
  for await (const data of interruptible(eventsOf(response.body), signal)) {
    if (data === "[DONE]") {
      return;
    }
    const chunk = parsed(data);
    if (chunk.error) {
      throw new ApiError(chunk.error.message ?? "The server gave up.", response.status);
    }
    yield chunk;
  }
  throw new ApiError("The answer broke off: the connection was closed before its end.", 0);
}

function headers(key) {
  return key === "" ? {} : { Authorization: `Bearer ${key}` };
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw unreachable(error, options.body?.length ?? 0);
  }
  if (!response.ok) {
    throw new ApiError(await complaint(response), response.status);
  }
  return response;
}

// A connection that is lost while the answer arrives fails with the browser's own words, which help nobody.
async function* interruptible(events, signal) {
  try {
    yield* events;
  } catch (error) {
    throw signal.aborted ? error : unreachable(error);
  }
}

// A server that will not take a large body closes the connection while it is being sent, and its reason is lost on the way.
function unreachable(error, sent = 0) {
  if (error.name === "AbortError") {
    return error;
  }
  const size = `The connection broke while ${Math.round(sent / MEGABYTE)} MB were being sent; the server may not take that much.`;
  return new ApiError(
    sent < MEGABYTE ? "The server cannot be reached. Is it still running?" : `${size} Try with smaller pictures.`,
    0,
  );
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new ApiError("The server sent something that is not JSON.", 0);
  }
}

async function complaint(response) {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text);
    if (typeof error?.message === "string") {
      return error.message;
    }
  } catch {
    // Not the API's own words, but those of something between the server and the page: the status has to do.
  }
  return `The server answered with status ${response.status}.`;
}
