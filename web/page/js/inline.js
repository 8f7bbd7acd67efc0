// Markdown within a paragraph: emphasis, code, links, strikethrough, line breaks. A subset of CommonMark
// (https://spec.commonmark.org/0.31.2/#inlines); anything else, HTML above all, stays the text that it is.

import { safeUrl, withoutPunctuation } from "./address.js";

/**
 * A tree of nodes: `{type: "text", text}`, `{type: "code", text}`, `{type: "break"}`, and with `children` also "emphasis",
 * "strong", "deleted" and `{type: "link", url}`.
 *
 * @param {string} text
 */
export function parseInline(text) {
  return new InlineParser(text).parse();
}

const PUNCTUATION = /[\p{P}\p{S}]/u;
const SPACE = /^$|\s/u;
// Emphasis that is still open is looked through at every marker; so many is far more than any text has.
const MOST_OPEN = 50;

class InlineParser {
  #text;
  #at = 0;
  #nodes = [];
  // Markers that may begin emphasis or a link: { marker, index of its text node in #nodes }.
  #open = [];
  // Lengths of runs of backticks of which there is none further on.
  #missingRuns = new Set();

  constructor(text) {
    this.#text = text;
  }

  parse() {
    while (this.#at < this.#text.length) {
      this.#step();
    }
    return merged(this.#nodes);
  }

  #step() {
    const character = this.#text[this.#at];
    switch (character) {
      case "\\":
        return this.#escape();
      case "`":
        return this.#code();
      case "*":
      case "_":
      case "~":
        return this.#marker(character);
      case "!":
        return this.#text[this.#at + 1] === "[" ? this.#bracket(2) : this.#take(1);
      case "[":
        return this.#bracket(1);
      case "]":
        return this.#closeBracket();
      case "\n":
        return this.#lineBreak();
      case "h":
        return this.#bareLink();
      default:
        return this.#plain();
    }
  }

  #take(length) {
    this.#nodes.push({ type: "text", text: this.#text.slice(this.#at, this.#at + length) });
    this.#at += length;
  }

  #plain() {
    const rest = /[\\`*_~![\]\nh]/g;
    rest.lastIndex = this.#at + 1;
    const next = rest.exec(this.#text);
    this.#take((next?.index ?? this.#text.length) - this.#at);
  }

  #escape() {
    const next = this.#text[this.#at + 1];
    if (next === "\n") {
      this.#nodes.push({ type: "break" });
      this.#at += 2;
    } else if (next !== undefined && /[!-/:-@[-`{-~]/.test(next)) {
      this.#at += 1;
      this.#take(1);
    } else {
      this.#take(1);
    }
  }

  // A code span ends with a run of exactly as many backticks as it begins with.
  #code() {
    const run = /`+/y;
    run.lastIndex = this.#at;
    const { length } = run.exec(this.#text)[0];
    const end = this.#missingRuns.has(length) ? -1 : this.#runOf(length, this.#at + length);
    if (end < 0) {
      this.#missingRuns.add(length);
      this.#take(length);
      return;
    }
    const inside = this.#text.slice(this.#at + length, end).replaceAll("\n", " ");
    const padded = inside.startsWith(" ") && inside.endsWith(" ") && inside.trim() !== "";
    this.#nodes.push({ type: "code", text: padded ? inside.slice(1, -1) : inside });
    this.#at = end + length;
  }

  #runOf(length, from) {
    const runs = /`+/g;
    runs.lastIndex = from;
    for (let run = runs.exec(this.#text); run !== null; run = runs.exec(this.#text)) {
      if (run[0].length === length) {
        return run.index;
      }
    }
    return -1;
  }

  // Every line break stays one, as in GitHub's comments: text that was read from a picture has its lines.
  #lineBreak() {
    const last = this.#nodes.at(-1);
    if (last?.type === "text") {
      last.text = last.text.trimEnd();
    }
    this.#nodes.push({ type: "break" });
    this.#at += 1;
  }

  #marker(character) {
    const start = this.#at;
    let end = start + 1;
    while (this.#text[end] === character) {
      end += 1;
    }
    const length = end - start;
    if (length > 3 || (character === "~" && length !== 2)) {
      this.#take(length);
      return;
    }
    // The third star of a run is looked at alone: what stands before the run is what stands before it, too.
    let before = start - 1;
    while (this.#text[before] === character) {
      before -= 1;
    }
    const { opens, closes } = flanking(character, this.#text[before] ?? "", this.#text[end] ?? "");
    if (closes && this.#close(character, length)) {
      return;
    }
    const marker = character.repeat(Math.min(length, 2));
    if (opens) {
      this.#begin(marker);
    }
    this.#take(marker.length);
  }

  #begin(marker) {
    if (this.#open.length === MOST_OPEN) {
      this.#open.shift();
    }
    this.#open.push({ marker, index: this.#nodes.length });
  }

  // Wraps what stands between the opener and here. A run of three closes whichever began last; what is left of it comes next.
  #close(character, length) {
    const opener = this.#open.findLastIndex(
      ({ marker }) => marker[0] === character && (length === 3 || marker.length === length),
    );
    if (opener < 0 || this.#open[opener].index === this.#nodes.length - 1) {
      return false;
    }
    const { marker } = this.#open[opener];
    const type = character === "~" ? "deleted" : marker.length === 2 ? "strong" : "emphasis";
    this.#wrap(opener, { type });
    this.#at += marker.length;
    return true;
  }

  // Openers inside have found no partner: they stay text.
  #wrap(opener, node) {
    const { index } = this.#open[opener];
    const children = merged(this.#nodes.splice(index).slice(1));
    this.#nodes.push({ ...node, children });
    this.#open.length = opener;
  }

  get #inBrackets() {
    return this.#open.some(({ marker }) => marker === "[");
  }

  #bracket(length) {
    this.#begin("[");
    this.#take(length);
  }

  // [text](address "title"): the title is dropped. A picture becomes a link, for the page loads nothing from elsewhere.
  #closeBracket() {
    const opener = this.#open.findLastIndex((entry) => entry.marker === "[");
    const target = /\]\(\s{0,9}<?((?:[^\s()<>]|\([^\s()<>]*\))*)>?(?:\s{1,9}"[^"]*")?\s{0,9}\)/y;
    target.lastIndex = this.#at;
    const found = opener < 0 ? null : target.exec(this.#text);
    const url = found && safeUrl(found[1]);
    if (url) {
      this.#wrap(opener, { type: "link", url });
      this.#at += found[0].length;
      return;
    }
    if (opener >= 0) {
      this.#open.splice(opener, 1);
    }
    this.#take(1);
  }

  // Not within the brackets of another link, which is whole only later.
  #bareLink() {
    const before = this.#text[this.#at - 1] ?? "";
    const address = /https?:\/\/[^\s<>"`*]+/iy;
    address.lastIndex = this.#at;
    const found = (SPACE.test(before) || before === "(") && !this.#inBrackets ? address.exec(this.#text) : null;
    const text = found ? withoutPunctuation(found[0]) : "";
    const url = safeUrl(text);
    if (url === null) {
      this.#plain();
    } else {
      this.#nodes.push({ type: "link", url, children: [{ type: "text", text }] });
      this.#at += text.length;
    }
  }
}

// https://spec.commonmark.org/0.31.2/#left-flanking-delimiter-run, and the stricter rule for underscores, which are also in names.
function flanking(character, before, after) {
  const spaceBefore = SPACE.test(before);
  const spaceAfter = SPACE.test(after);
  const left = !spaceAfter && (!PUNCTUATION.test(after) || spaceBefore || PUNCTUATION.test(before));
  const right = !spaceBefore && (!PUNCTUATION.test(before) || spaceAfter || PUNCTUATION.test(after));
  if (character !== "_") {
    return { opens: left, closes: right };
  }
  return { opens: left && (!right || PUNCTUATION.test(before)), closes: right && (!left || PUNCTUATION.test(after)) };
}

function merged(nodes) {
  const result = [];
  for (const node of nodes) {
    const last = result.at(-1);
    if (node.type === "text" && last?.type === "text") {
      result[result.length - 1] = { type: "text", text: last.text + node.text };
    } else {
      result.push(node);
    }
  }
  return result;
}
