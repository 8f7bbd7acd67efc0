import assert from "node:assert/strict";
import { test } from "node:test";

import { sentenceEnd, spoken } from "../../page/js/announcer.js";
import { inWords } from "../../page/js/answer-view.js";
import { seenAs } from "../../page/js/question-view.js";

test("figures in words", () => {
  const stats = { tokens: 1, promptTokens: 60, cachedTokens: 24, waited: 0.123, rate: 41.96 };
  assert.equal(inWords(stats), "1 token · 42 a second · first after 0.12 s · prompt of 60, 24 remembered");
  assert.equal(inWords({ tokens: null, promptTokens: null, cachedTokens: 0, waited: null, rate: null }), "");
});

test("what the model sees of a picture, in words", () => {
  const info = { width: 192, height: 160, tokens: 30, grid_thw: [3, 10, 12] };
  assert.equal(seenAs({ info, animated: false }), "seen as 192 × 160, 30\u00a0tokens");
  assert.equal(seenAs({ info, animated: true }), "seen as 192 × 160, 6 frames, 30\u00a0tokens");
  assert.equal(seenAs({ info: null, animated: false }), "");
});

test("screen readers hear sentences, and places in words", () => {
  assert.equal(sentenceEnd("One. Two. Thr"), 9);
  assert.equal(sentenceEnd("3.14 is"), 0);
  assert.equal(spoken('**Here**: {"bbox_2d": [1, 2, 3, 4], "label": "cat"}'), "Here:\ncat: box from 1, 2 to 3, 4. ");
});
