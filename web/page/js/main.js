// Puts the page together.

import { Announcer } from "./announcer.js";
import { models } from "./api.js";
import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { element } from "./dom.js";
import { Settings } from "./settings.js";
import { connectThemeSwitch } from "./theme.js";

const find = (selector) => document.querySelector(selector);

const announcer = new Announcer(find("#announcer"));
const settings = new Settings(find("#settings"), connect);
const chat = new Chat(find("#log"), { settings, announcer, changed: refresh });
const composer = new Composer(find("#composer"), { chat, announcer, complain });

connectThemeSwitch(find("#theme"));
find("#open-settings").addEventListener("click", () => settings.open());
find("#stop").addEventListener("click", () => chat.stop());
find("#new-chat").addEventListener("click", () => {
  chat.clear();
  composer.clear();
  refresh();
  announcer.say("New conversation.");
  composer.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && !find("#settings").open) {
    chat.stop();
  }
});
for (const example of document.querySelectorAll(".examples button")) {
  example.addEventListener("click", () => composer.suggest(example.textContent));
}
connect();

// Asks the server for the model's name, which also says whether it is there and whether the key is right.
async function connect() {
  const line = find("#model");
  try {
    const [name = ""] = await models(settings.key);
    chat.model = name;
    line.textContent = name;
    dismiss();
  } catch (error) {
    line.textContent = "";
    complain(error.wantsKey ? "This server wants an API key. Enter it in the settings." : error.message);
  }
}

function refresh() {
  find("#welcome").hidden = !chat.isEmpty;
  find("#stop").hidden = !chat.busy;
  find("#send").hidden = chat.busy;
  // A button that had the focus may just have gone. On a touch screen the focus would bring the keyboard up over the answer.
  if (document.activeElement === document.body && matchMedia("(pointer: fine)").matches) {
    composer.focus();
  }
}

// What went wrong outside of an answer: above the question, until the next thing works or it is waved away.
function complain(text) {
  const notice = find("#notice");
  const close = element("button", { type: "button", class: "quiet", click: dismiss }, "Dismiss");
  notice.replaceChildren(element("p", {}, text), close);
  notice.hidden = false;
}

function dismiss() {
  find("#notice").hidden = true;
  find("#notice").replaceChildren();
}
