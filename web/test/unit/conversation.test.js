import assert from "node:assert/strict";
import { test } from "node:test";

import { AnswerStream } from "../../page/js/answer-stream.js";
import { Conversation } from "../../page/js/conversation.js";

const picture = (name) => ({ url: `data:image/png;base64,${name}`, name, animated: false, info: null });

function chunk(delta, more = {}) {
  return { choices: [{ index: 0, delta, finish_reason: null }], ...more };
}

test("an answer speaks about the first picture of the last turn that has one", () => {
  const conversation = new Conversation();
  assert.equal(conversation.currentPicture, -1);
  conversation.ask("x", [picture("a"), picture("b")]);
  assert.equal(conversation.currentPicture, 0);
  conversation.ask("y", [picture("c")]);
  conversation.ask("z", []);
  assert.equal(conversation.currentPicture, 2);
});

test("pictures learn what they became, in order over all turns", () => {
  const conversation = new Conversation();
  conversation.ask("x", [picture("a")]);
  conversation.ask("y", [picture("b")]);
  conversation.noteImages([{ tokens: 1 }, { tokens: 2 }]);
  conversation.noteImages(undefined);
  assert.deepEqual(
    conversation.media.map((item) => item.info.tokens),
    [1, 2],
  );
});

test("a question that was refused is not told again, and neither are its pictures", () => {
  const conversation = new Conversation();
  conversation.ask("x", [picture("a")]);
  Object.assign(conversation.beginAnswer(), { text: "A cat.", state: "done" });
  conversation.ask("y", [picture("damaged")]);
  assert.equal(conversation.heard.length, 3);
  Object.assign(conversation.beginAnswer(), { state: "failed", error: "this is no picture" });
  assert.equal(conversation.heard.length, 2);
  conversation.ask("z", [picture("c")]);
  assert.deepEqual(
    conversation.heard.map((turn) => turn.text),
    ["x", "A cat.", "z"],
  );
  assert.deepEqual(
    conversation.media.map((item) => item.name),
    ["a", "c"],
  );
  assert.equal(conversation.currentPicture, 1);
});

test("a failed question is told when it is asked again, and one whose answer broke off stays", () => {
  const conversation = new Conversation();
  conversation.ask("x", []);
  Object.assign(conversation.beginAnswer(), { state: "failed" });
  conversation.dropAnswer();
  assert.equal(conversation.heard.length, 1);
  Object.assign(conversation.beginAnswer(), { state: "failed", text: "A c" });
  assert.equal(conversation.heard.length, 2);
});

test("only an answer can be dropped", () => {
  const conversation = new Conversation();
  conversation.ask("x", []);
  assert.equal(conversation.dropAnswer(), null);
  const answer = conversation.beginAnswer();
  assert.equal(conversation.dropAnswer(), answer);
  assert.equal(conversation.turns.length, 1);
});

test("conversations have names of their own", () => {
  const [one, other] = [new Conversation().session, new Conversation().session];
  assert.match(one, /^[0-9a-f]{32}$/);
  assert.notEqual(one, other);
});

test("chunks add up, with figures at the end", () => {
  const turn = new Conversation().beginAnswer();
  const stream = new AnswerStream(turn, 1000);
  stream.take(chunk({ role: "assistant", content: "" }), 1200);
  assert.equal(turn.state, "waiting");
  stream.take(chunk({ reasoning_content: "Hm. " }), 1500);
  stream.take(chunk({ content: "A " }), 2000);
  stream.take(chunk({ content: "cat." }), 2500);
  stream.take({ choices: [{ index: 0, delta: {}, finish_reason: "length" }] }, 2500);
  const images = [{ width: 32, height: 64, tokens: 2 }];
  stream.take(
    {
      choices: [],
      usage: { prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 }, qvl: { images } },
    },
    2600,
  );
  stream.finish();
  assert.deepEqual([turn.text, turn.reasoning, turn.state], ["A cat.", "Hm. ", "done"]);
  assert.match(turn.note, /greatest length/);
  assert.deepEqual(turn.stats, { tokens: 5, promptTokens: 9, cachedTokens: 4, waited: 0.5, rate: 4 });
  assert.deepEqual(stream.images, images);
});

test("an answer without text or usage has no figures to divide by", () => {
  const turn = new Conversation().beginAnswer();
  const stream = new AnswerStream(turn, 0);
  stream.take({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }, 5);
  stream.finish();
  assert.deepEqual(turn.stats, { tokens: null, promptTokens: null, cachedTokens: 0, waited: null, rate: null });
});
