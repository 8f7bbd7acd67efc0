// A question with its pictures, and what the server says they became.

import { element } from "./dom.js";

/** Shows a turn of the user. */
export class QuestionView {
  #captions = [];
  #turn;

  /** @param {{text: string, media: object[]}} turn as `Conversation` keeps it */
  constructor(turn) {
    this.#turn = turn;
    const plates = turn.media.map((item) => this.#plate(item));
    this.node = element(
      "article",
      { class: "turn question" },
      element("h2", {}, "You"),
      ...(plates.length > 0 ? [element("div", { class: "plates" }, ...plates)] : []),
      ...(turn.text === "" ? [] : [element("p", { class: "asked" }, turn.text)]),
    );
  }

  /** Shows again what is known of the pictures. */
  refresh() {
    for (const [index, caption] of this.#captions.entries()) {
      caption.textContent = seenAs(this.#turn.media[index]);
    }
  }

  #plate(item) {
    const caption = element("span", { class: "seen-as" }, seenAs(item));
    const image = element("img", { src: item.url, alt: item.name });
    const size = element("span");
    image.addEventListener("load", () => (size.textContent = `${image.naturalWidth} × ${image.naturalHeight} `));
    // Browsers do not show every kind of file that the model reads.
    image.addEventListener("error", () => image.replaceWith(element("p", { class: "unseen" }, item.name)));
    this.#captions.push(caption);
    return element("figure", {}, image, element("figcaption", {}, size, caption));
  }
}

/** What the model sees of a picture, in words; empty while the server has not said. */
export function seenAs({ info, animated }) {
  if (!info) {
    return "";
  }
  const { width, height, tokens, grid_thw: grid } = info;
  // Two frames of a video make a patch in time.
  const frames = animated && grid ? `, ${2 * grid[0]} frames` : "";
  return `seen as ${width} × ${height}${frames}, ${tokens}\u00a0tokens`;
}
