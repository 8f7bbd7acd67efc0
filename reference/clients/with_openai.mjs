// The npm package `openai`. usage: node with_openai.mjs TOLD.json

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { assert, dataUrl, right, runAll, told } from "./checks.mjs";

const client = new OpenAI({ baseURL: `${told.url}/v1`, apiKey: told.key, maxRetries: 0 });
const model = (await client.models.list()).data[0].id;

const Shape = z.object({
  colour: z.enum(["red", "green", "blue"]),
  kind: z.enum(["circle", "star", "square"]),
});

const paint = {
  type: "function",
  function: {
    name: "paint",
    parameters: {
      type: "object",
      properties: { colour: { type: "string", enum: ["red", "green"] } },
      required: ["colour"],
      additionalProperties: false,
    },
  },
};

function request(name, options = {}) {
  const pictures = told[name].pictures.map((path) => ({ type: "image_url", image_url: { url: dataUrl(path) } }));
  const content = [...pictures, { type: "text", text: told[name].prompt }];
  return { model, messages: [{ role: "user", content }], temperature: 0, ...options };
}

await runAll({
  "chat: text, one picture, two pictures": async () => {
    for (const name of ["text", "picture", "pair"]) {
      const completion = await client.chat.completions.create(request(name));
      assert.equal(completion.choices[0].message.content, right(name).text);
      assert.equal(completion.usage.completion_tokens, right(name).usage.completion_tokens);
      assert.deepEqual(completion.usage.qvl.images, right(name).images);
    }
  },

  "chat, streaming: the same text in pieces": async () => {
    const stream = await client.chat.completions.create(request("picture", { stream: true }));
    let text = "";
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
    }
    assert.equal(text, right("picture").text);
  },

  "chat.completions.parse: a zod schema": async () => {
    const format = zodResponseFormat(Shape, "shape");
    const completion = await client.chat.completions.parse(request("picture", { response_format: format }));
    Shape.parse(completion.choices[0].message.parsed);
  },

  "chat: a function that must be called, whole and streamed": async () => {
    const options = { tools: [paint], tool_choice: "required", parallel_tool_calls: false };
    const whole = await client.chat.completions.create(request("text", options));
    const streamed = await client.chat.completions.stream(request("text", options)).finalChatCompletion();
    for (const completion of [whole, streamed]) {
      const [{ finish_reason, message }] = completion.choices;
      assert.equal(finish_reason, "tool_calls");
      assert.equal(message.tool_calls[0].function.name, "paint");
      assert.match(JSON.parse(message.tool_calls[0].function.arguments).colour, /^(red|green)$/);
    }
  },

  "runTools: a function is run and its result goes back": async () => {
    const colours = [];
    const run = { ...paint.function, parse: JSON.parse, function: ({ colour }) => colours.push(colour) && "done" };
    const tools = [{ type: "function", function: run }];
    // Each answer must call, so the runner, which gives the result back and asks again, is stopped after two.
    const options = { tools, tool_choice: "required", parallel_tool_calls: false };
    const runner = client.chat.completions.runTools(request("text", options), { maxChatCompletions: 2 });
    await runner.done();
    assert.equal(colours.length, 2);
    assert.equal(runner.messages.filter((message) => message.role === "tool")[0].content, "done");
  },

  "responses: text and a picture, streamed": async () => {
    const [path] = told.picture.pictures;
    const content = [
      { type: "input_image", image_url: dataUrl(path), detail: "auto" },
      { type: "input_text", text: told.picture.prompt },
    ];
    const body = { model, input: [{ role: "user", content }], temperature: 0 };
    const whole = await client.responses.create(body);
    assert.equal(whole.output_text, right("picture").text);
    let text = "";
    for await (const event of await client.responses.create({ ...body, stream: true })) {
      text += event.type === "response.output_text.delta" ? event.delta : "";
    }
    assert.equal(text, right("picture").text);
  },

  "errors: the client's own, with the field's name": async () => {
    await assert.rejects(client.chat.completions.create(request("text", { top_p: 2 })), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "top_p");
      return true;
    });
    const stranger = new OpenAI({ baseURL: `${told.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  },

  "an aborted stream frees its place": async () => {
    const stream = await client.chat.completions.create(request("picture", { stream: true }));
    stream.controller.abort();
    const completion = await client.chat.completions.create(request("text"));
    assert.equal(completion.choices[0].message.content, right("text").text);
  },
});
