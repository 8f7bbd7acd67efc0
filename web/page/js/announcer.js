// What screen readers are told. An answer that grows letter by letter would be read in shreds, so it is said sentence by sentence.

import { parseGrounding, placeInWords, withoutBeginning } from "./grounding.js";

/** Speaks through a live region. */
export class Announcer {
  #region;
  #said = 0;

  /** @param {HTMLElement} region an element with `role="status"` */
  constructor(region) {
    this.#region = region;
  }

  /** Says something now. */
  say(text) {
    const line = document.createElement("p");
    line.textContent = text;
    this.#region.append(line);
    // What was read out is of no more use; a few lines stay for those that are still being read.
    while (this.#region.childElementCount > 6) {
      this.#region.firstElementChild.remove();
    }
  }

  /** A new answer begins. */
  begin() {
    this.#said = 0;
    this.say("Answering.");
  }

  /** @param {string} text the answer so far */
  follow(text) {
    const words = spoken(withoutBeginning(text));
    this.#sayUntil(words, sentenceEnd(words));
  }

  /** @param {string} text the whole answer */
  finish(text) {
    const words = spoken(text);
    this.#sayUntil(words, words.length);
  }

  #sayUntil(words, end) {
    if (end > this.#said) {
      this.say(words.slice(this.#said, end).trim());
      this.#said = end;
    }
  }
}

/** An answer as one would read it out: places in words instead of JSON, and no marks of markdown. */
export function spoken(text) {
  return parseGrounding(text)
    .map((part) => (part.type === "text" ? plain(part.text) : part.items.map(itemInWords).join("")))
    .join("\n");
}

function itemInWords(item) {
  return `${item.label || "Place"}: ${placeInWords(item)}. `;
}

function plain(text) {
  return text.replaceAll(/[*_`#|~]+/g, "");
}

/** Where the last whole sentence or line ends. */
export function sentenceEnd(text) {
  const end = [...text.matchAll(/[.!?:;]\s|\n/g)].at(-1);
  return end ? end.index + 1 : 0;
}
