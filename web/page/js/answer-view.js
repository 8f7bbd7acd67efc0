// An answer: thinking, text, and pictures with what the text points at.

import { button, copyButton, element } from "./dom.js";
import { parseGrounding, withoutBeginning } from "./grounding.js";
import { MarkdownView } from "./markdown-view.js";
import { PlateView } from "./plate-view.js";

/** Shows a turn of the model, and again each time it has grown. */
export class AnswerView {
  #turn;
  #context;
  #views = [];
  #thinking;
  #thoughts;
  #body = element("div", { class: "body" });
  #foot = element("footer", {});

  /**
   * @param {object} turn as `Conversation.beginAnswer` makes it
   * @param {{pictures: object[], current: number, announce: (text: string) => void, retry: () => void, signIn: () => void}} context
   *   the pictures of the conversation, which of them is meant if the answer does not say, and what the buttons do
   */
  constructor(turn, context) {
    this.#turn = turn;
    this.#context = context;
    this.#thoughts = new MarkdownView(context.announce);
    this.#thinking = element("details", { class: "thinking" }, element("summary", {}, "Thinking"), this.#thoughts.node);
    this.node = element(
      "article",
      { class: "turn answer" },
      element("h2", {}, "Answer"),
      this.#thinking,
      this.#body,
      this.#foot,
    );
    this.show();
  }

  /** Shows the turn as it is now. */
  show() {
    const { state, text, reasoning } = this.#turn;
    const arriving = state === "waiting" || state === "streaming";
    this.node.dataset.state = state;
    this.node.setAttribute("aria-busy", String(arriving));
    this.#thinking.hidden = reasoning === "";
    this.#thoughts.show(reasoning);
    this.#showParts(parseGrounding(arriving ? withoutBeginning(text) : text));
    if (!arriving) {
      this.#foot.replaceChildren(...this.#footing());
    }
  }

  /** Only the last answer can be asked for again. */
  retire() {
    this.#foot.querySelector(".retry")?.remove();
  }

  // A part that is still of its kind keeps its view; what the view has chosen or folded out stays.
  #showParts(parts) {
    for (const { node } of this.#views.splice(parts.length)) {
      node.remove();
    }
    for (const [index, part] of parts.entries()) {
      if (this.#views[index]?.type !== part.type) {
        const view = part.type === "text" ? this.#textView() : this.#itemsView();
        this.#views[index]?.node.remove();
        this.#views[index] = { type: part.type, ...view };
        this.#body.insertBefore(view.node, this.#views[index + 1]?.node ?? null);
      }
      this.#views[index].show(part);
    }
  }

  #textView() {
    const view = new MarkdownView(this.#context.announce);
    return { node: view.node, show: ({ text }) => view.show(text) };
  }

  #itemsView() {
    const plate = new PlateView(this.#context.pictures, this.#context.current);
    const source = element("code");
    const written = element(
      "details",
      { class: "written" },
      element("summary", {}, "As written"),
      element("pre", { tabindex: "0" }, source),
    );
    const node = element("div", {}, plate.node, written);
    const show = (part) => {
      plate.show(part.items);
      source.textContent = part.source;
    };
    return { node, show };
  }

  #footing() {
    const { text, note, error, stats, wantsKey } = this.#turn;
    const complaint = error === "" ? [] : [element("p", { class: "error" }, error)];
    const aside = note === "" ? [] : [element("p", { class: "note" }, note)];
    const copy = text === "" ? [] : [copyButton("Copy the answer", () => text, this.#context.announce)];
    const signIn = wantsKey ? [button("Enter the key", { class: "quiet", click: this.#context.signIn })] : [];
    const retry = button("Ask again", { class: "quiet retry", click: this.#context.retry });
    const figures = stats ? [element("p", { class: "figures" }, inWords(stats))] : [];
    return [...complaint, ...aside, element("div", { class: "actions" }, ...copy, ...signIn, retry, ...figures)];
  }
}

const RATE = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });

/** What an answer took, in words. */
export function inWords({ tokens, promptTokens, cachedTokens, waited, rate }) {
  const remembered = cachedTokens > 0 ? `, ${cachedTokens} remembered` : "";
  const words = [
    tokens === null ? "" : `${tokens} ${tokens === 1 ? "token" : "tokens"}`,
    rate === null ? "" : `${RATE.format(rate)} a second`,
    waited === null ? "" : `first after ${waited.toFixed(2)} s`,
    promptTokens === null ? "" : `prompt of ${promptTokens}${remembered}`,
  ];
  return words.filter((word) => word !== "").join(" · ");
}
