import assert from "node:assert/strict";
import { test } from "node:test";

import { eventsOf, EventStreamParser } from "../../page/js/sse.js";

function parsed(pieces) {
  const parser = new EventStreamParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

async function collected(chunks) {
  const events = [];
  for await (const event of eventsOf(ReadableStream.from(chunks))) {
    events.push(event);
  }
  return events;
}

test("an event ends with an empty line", () => {
  assert.deepEqual(parsed(["data: one\n\ndata: two\n"]), ["one"]);
});

test("lines may end with LF, CR or CRLF", () => {
  assert.deepEqual(parsed(["data: a\r\n\r\ndata: b\r\rdata: c\n\n"]), ["a", "b", "c"]);
});

test("several data lines are one event's lines", () => {
  assert.deepEqual(parsed(["data: a\ndata:\ndata: b\n\n"]), ["a\n\nb"]);
});

test("one space after the colon is dropped, no more", () => {
  assert.deepEqual(parsed(["data:a\n\ndata:  b\n\n"]), ["a", " b"]);
});

test("comments and other fields are no data", () => {
  assert.deepEqual(parsed([": keep-alive\n\nevent: x\nid: 1\nretry: 5\n\ndatabase: no\ndata: yes\n\n"]), ["yes"]);
});

test("wherever the text is cut, the events are the same", () => {
  const text = ': hello\r\n\r\ndata: {"a": 1}\r\ndata: more\r\n\r\ndata: [DONE]\r\n\r\n';
  const whole = parsed([text]);
  assert.deepEqual(whole, ['{"a": 1}\nmore', "[DONE]"]);
  for (let first = 0; first <= text.length; first += 1) {
    for (let second = first; second <= text.length; second += 1) {
      assert.deepEqual(parsed([text.slice(0, first), text.slice(first, second), text.slice(second)]), whole);
    }
  }
});

test("bytes may be cut within a character", async () => {
  const bytes = new TextEncoder().encode("data: grün ★ 🟢\n\n");
  for (let at = 0; at <= bytes.length; at += 1) {
    assert.deepEqual(await collected([bytes.slice(0, at), bytes.slice(at)]), ["grün ★ 🟢"]);
  }
});

test("whoever stops reading closes the stream", async () => {
  let cancelled = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode("data: x\n\n")),
    cancel: () => {
      cancelled = true;
    },
  });
  for await (const event of eventsOf(body)) {
    assert.equal(event, "x");
    break;
  }
  assert.ok(cancelled);
});
