// Asks stock transformers.js about pictures, with a model in a local folder, and prints its greedy answers.
//
// usage: node ask.mjs FOLDER QUESTIONS MAX_NEW_TOKENS
//
// A line of QUESTIONS is {"id", "image", "prompt"}; a line of the output is {"id", "prompt_token_ids", "token_ids", "text"}.
// `npm ci` in this folder, or in a copy of it, installs what it needs.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { AutoModelForImageTextToText, AutoProcessor, env, load_image } from "@huggingface/transformers";

env.allowRemoteModels = false;
const [exported, questions, limit] = process.argv.slice(2);
// A relative path could be the name of a model on the Hub.
const folder = resolve(exported);

const processor = await AutoProcessor.from_pretrained(folder);
const model = await AutoModelForImageTextToText.from_pretrained(folder);

for (const line of readFileSync(questions, "utf8").split("\n").filter(Boolean)) {
  const { id, image, prompt } = JSON.parse(line);
  const content = [{ type: "image" }, { type: "text", text: prompt }];
  const text = processor.apply_chat_template([{ role: "user", content }], { add_generation_prompt: true });
  const inputs = await processor(text, await load_image(image));
  const output = await model.generate({ ...inputs, do_sample: false, max_new_tokens: Number(limit) });

  const ids = output.tolist()[0].map(Number);
  const promptLength = inputs.input_ids.dims[1];
  const answer = ids.slice(promptLength);
  console.log(
    JSON.stringify({
      id,
      prompt_token_ids: ids.slice(0, promptLength),
      token_ids: answer,
      text: processor.tokenizer.decode(answer, { skip_special_tokens: true }),
    }),
  );
}
await model.dispose();
