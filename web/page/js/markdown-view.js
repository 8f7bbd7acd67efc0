// A tree of markdown as nodes of the page.

import { copyButton, element } from "./dom.js";
import { parseMarkdown } from "./markdown.js";

const INLINE = { emphasis: "em", strong: "strong", deleted: "del" };

/**
 * Shows markdown that grows. Blocks that are as they were keep their nodes, so that a selection stays and little work is done.
 */
export class MarkdownView {
  #announce;
  #shown = [];

  /** @param {(text: string) => void} announce says something to screen readers */
  constructor(announce) {
    this.#announce = announce;
    this.node = element("div", { class: "prose" });
  }

  /** @param {string} text all of it, not what is new */
  show(text) {
    const blocks = parseMarkdown(text);
    let same = 0;
    while (same < blocks.length && blocks[same].raw === this.#shown[same]?.raw) {
      same += 1;
    }
    for (const { node } of this.#shown.splice(same)) {
      node.remove();
    }
    for (const block of blocks.slice(same)) {
      const node = this.#block(block);
      this.node.append(node);
      this.#shown.push({ raw: block.raw, node });
    }
  }

  #block(block) {
    switch (block.type) {
      case "heading":
        // The page has the first level, and the turns of the conversation the second.
        return element(`h${Math.min(block.level + 2, 6)}`, {}, ...inlineNodes(block.children));
      case "code":
        return this.#code(block);
      case "quote":
        return element("blockquote", {}, ...block.blocks.map((inner) => this.#block(inner)));
      case "list":
        return this.#list(block);
      case "table":
        return table(block);
      case "rule":
        return element("hr");
      default:
        return element("p", {}, ...inlineNodes(block.children));
    }
  }

  #code({ language, text }) {
    const name = language === "" ? "Code" : language;
    return element(
      "div",
      { class: "code" },
      element(
        "div",
        { class: "code-head" },
        element("span", {}, name),
        copyButton("Copy this code", () => text, this.#announce),
      ),
      // Long lines scroll; with the keyboard that needs the focus.
      element("pre", { tabindex: "0", role: "region", "aria-label": `${name}, code` }, element("code", {}, text)),
    );
  }

  #list({ start, items }) {
    const nodes = items.map((blocks) => element("li", {}, ...this.#item(blocks)));
    return start === null ? element("ul", {}, ...nodes) : element("ol", { start: String(start) }, ...nodes);
  }

  // An item of one paragraph is a line, without a paragraph's space around it.
  #item(blocks) {
    const [first, ...others] = blocks;
    if (first?.type !== "paragraph") {
      return blocks.map((block) => this.#block(block));
    }
    return [...inlineNodes(first.children), ...others.map((block) => this.#block(block))];
  }
}

function table({ header, align, rows }) {
  const cell = (name, children, column, attributes = {}) =>
    element(
      name,
      { class: align[column] === "" ? null : `align-${align[column]}`, ...attributes },
      ...inlineNodes(children),
    );
  const head = header.map((children, column) => cell("th", children, column, { scope: "col" }));
  const body = rows.map((row) => element("tr", {}, ...row.map((children, column) => cell("td", children, column))));
  return element(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": "Table" },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)),
  );
}

function inlineNodes(nodes) {
  return nodes.map((node) => {
    switch (node.type) {
      case "text":
        return document.createTextNode(node.text);
      case "code":
        return element("code", {}, node.text);
      case "break":
        return element("br");
      case "link":
        return element(
          "a",
          { href: node.url, target: "_blank", rel: "noopener noreferrer nofollow", referrerpolicy: "no-referrer" },
          ...inlineNodes(node.children),
        );
      default:
        return element(INLINE[node.type], {}, ...inlineNodes(node.children));
    }
  });
}
