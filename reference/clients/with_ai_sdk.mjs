// The npm package `ai` with `@ai-sdk/openai-compatible`. usage: node with_ai_sdk.mjs TOLD.json

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, streamText, tool } from "ai";
import { z } from "zod";
import { assert, bytes, right, runAll, told } from "./checks.mjs";

const provider = createOpenAICompatible({
  name: "qvl",
  baseURL: `${told.url}/v1`,
  apiKey: told.key,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const listed = await fetch(`${told.url}/v1/models`, { headers: { authorization: `Bearer ${told.key}` } });
const model = provider((await listed.json()).data[0].id);

const paint = tool({ description: "Paints a wall.", inputSchema: z.object({ colour: z.enum(["red", "green"]) }) });

function request(name, options = {}) {
  const pictures = told[name].pictures.map((path) => ({ type: "file", mediaType: "image/png", data: bytes(path) }));
  const content = [...pictures, { type: "text", text: told[name].prompt }];
  return { model, messages: [{ role: "user", content }], temperature: 0, maxRetries: 0, ...options };
}

await runAll({
  "generateText: text, one picture, two pictures": async () => {
    for (const name of ["text", "picture", "pair"]) {
      const result = await generateText(request(name));
      assert.equal(result.text, right(name).text);
      assert.equal(result.finishReason, right(name).finish_reason);
      assert.equal(result.usage.outputTokens, right(name).usage.completion_tokens);
    }
  },

  "streamText: the same text in pieces, and the usage": async () => {
    const result = streamText(request("picture"));
    let text = "";
    for await (const piece of result.textStream) {
      text += piece;
    }
    assert.equal(text, right("picture").text);
    assert.equal((await result.usage).inputTokens, right("picture").usage.prompt_tokens);
  },

  "Output.object: an object of the schema": async () => {
    const schema = z.object({ colour: z.enum(["red", "green", "blue"]), filled: z.boolean() });
    const result = await generateText(request("picture", { output: Output.object({ schema }) }));
    schema.parse(result.output);
  },

  "tools: a call with arguments of the schema, whole and streamed": async () => {
    const options = { tools: { paint }, toolChoice: "required" };
    const whole = (await generateText(request("text", options))).toolCalls;
    const streamed = await streamText(request("text", options)).toolCalls;
    for (const calls of [whole, streamed]) {
      assert.equal(calls[0].toolName, "paint");
      assert.match(calls[0].input.colour, /^(red|green)$/);
    }
  },

  "an error has its status and sentence": async () => {
    await assert.rejects(generateText(request("text", { temperature: -1 })), (error) => {
      assert.equal(error.statusCode, 400);
      assert.match(error.message, /temperature/);
      return true;
    });
  },
});
