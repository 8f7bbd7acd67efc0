// What a request says: the body of /v1/chat/completions, from the turns so far and the settings.

// A token of a picture stands for 2 x 2 patches of 16 x 16 pixels (patch_size and merge_size of every Qwen3-VL).
const PIXELS_PER_TOKEN = 32 * 32;

/**
 * @param {{model: string, turns: object[], settings: object}} what turns as `Conversation.heard` gives them, settings as `Settings` gives
 *   them; what is null there is left to the model
 */
export function chatRequest({ model, turns, settings }) {
  const request = {
    messages: messages(turns, settings.system),
    stream: true,
    stream_options: { include_usage: true },
  };
  if (model !== "") {
    request.model = model;
  }
  for (const name of ["temperature", "top_p", "top_k", "max_tokens", "seed"]) {
    if (settings[name] !== null) {
      request[name] = settings[name];
    }
  }
  if (settings.picture_tokens !== null) {
    request.mm_processor_kwargs = { max_pixels: settings.picture_tokens * PIXELS_PER_TOKEN };
  }
  if (settings.thinking !== null) {
    request.chat_template_kwargs = { enable_thinking: settings.thinking };
  }
  return request;
}

function messages(turns, system) {
  const said = turns.filter((turn) => turn.role === "user" || turn.text !== "").map(message);
  return system === "" ? said : [{ role: "system", content: system }, ...said];
}

function message(turn) {
  if (turn.role === "assistant") {
    return { role: "assistant", content: turn.text };
  }
  const media = turn.media.map((item) =>
    item.animated
      ? { type: "video_url", video_url: { url: item.url } }
      : { type: "image_url", image_url: { url: item.url } },
  );
  const text = turn.text === "" ? [] : [{ type: "text", text: turn.text }];
  return { role: "user", content: [...media, ...text] };
}
