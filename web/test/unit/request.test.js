import assert from "node:assert/strict";
import { test } from "node:test";

import { Conversation } from "../../page/js/conversation.js";
import { chatRequest } from "../../page/js/request.js";
import { settingsFrom } from "../../page/js/settings.js";

const EMPTY = settingsFrom({});
const picture = (name) => ({ url: `data:image/png;base64,${name}`, name, animated: false, info: null });

test("what is empty is left to the model", () => {
  const request = chatRequest({ model: "m", turns: [{ role: "user", text: "Hi", media: [] }], settings: EMPTY });
  assert.deepEqual(request, {
    model: "m",
    messages: [{ role: "user", content: [{ type: "text", text: "Hi" }] }],
    stream: true,
    stream_options: { include_usage: true },
  });
});

test("every setting has its field", () => {
  const fields = {
    system: " Be brief. ",
    temperature: "0",
    top_p: "0.5",
    top_k: "7",
    max_tokens: "99",
    seed: "0",
    picture_tokens: "256",
    thinking: "off",
  };
  const request = chatRequest({ model: "", turns: [], settings: settingsFrom(fields) });
  assert.deepEqual(request, {
    messages: [{ role: "system", content: "Be brief." }],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0,
    top_p: 0.5,
    top_k: 7,
    max_tokens: 99,
    seed: 0,
    mm_processor_kwargs: { max_pixels: 262_144 },
    chat_template_kwargs: { enable_thinking: false },
  });
});

test("fields that say nothing are null", () => {
  const settings = settingsFrom({ temperature: " ", top_p: "half", seed: "Infinity", thinking: "" });
  assert.deepEqual([settings.temperature, settings.top_p, settings.seed, settings.thinking], [null, null, null, null]);
  assert.equal(settingsFrom({ thinking: "on" }).thinking, true);
});

test("pictures come before the text, what moves is a video, thinking and empty answers are not sent", () => {
  const conversation = new Conversation();
  conversation.ask("What?", [picture("a"), { ...picture("b"), animated: true }]);
  conversation.beginAnswer();
  conversation.ask("", [picture("c")]);
  Object.assign(conversation.beginAnswer(), { text: "A cat.", reasoning: "Hm." });
  assert.deepEqual(chatRequest({ model: "m", turns: conversation.heard, settings: EMPTY }).messages, [
    {
      role: "user",
      content: [
        { type: "image_url", image_url: { url: "data:image/png;base64,a" } },
        { type: "video_url", video_url: { url: "data:image/png;base64,b" } },
        { type: "text", text: "What?" },
      ],
    },
    { role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,c" } }] },
    { role: "assistant", content: "A cat." },
  ]);
});
