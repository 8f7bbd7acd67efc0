import assert from "node:assert/strict";
import { test } from "node:test";

import { parseMarkdown } from "../../page/js/markdown.js";

// A block as a short list, without its lines, so that a test can be read.
function shape(block) {
  switch (block.type) {
    case "list":
      return [block.start === null ? "ul" : `ol ${block.start}`, ...block.items.map((item) => item.map(shape))];
    case "quote":
      return ["quote", ...block.blocks.map(shape)];
    case "code":
      return ["code", block.language, block.text];
    case "heading":
      return [`h${block.level}`, words(block.children)];
    case "table":
      return ["table", block.header.map(words), block.align, ...block.rows.map((row) => row.map(words))];
    case "rule":
      return ["rule"];
    default:
      return ["p", words(block.children)];
  }
}

function words(nodes) {
  return nodes.map((node) => node.text ?? (node.type === "break" ? "\n" : words(node.children))).join("");
}

const shapes = (text) => parseMarkdown(text).map(shape);

test("paragraphs keep their lines", () => {
  assert.deepEqual(shapes("one\ntwo  \r\n\r\nthree\n"), [
    ["p", "one\ntwo"],
    ["p", "three"],
  ]);
});

test("headings, with and without marks at the end", () => {
  assert.deepEqual(shapes("# One\n### Three ###\n#No\n####### seven"), [
    ["h1", "One"],
    ["h3", "Three"],
    ["p", "#No\n####### seven"],
  ]);
});

test("fenced code is taken as it is", () => {
  assert.deepEqual(shapes("```python\nif a < b:\n    *x*\n\n# y\n```\nafter"), [
    ["code", "python", "if a < b:\n    *x*\n\n# y"],
    ["p", "after"],
  ]);
});

test("a fence ends with one at least as long, of the same kind", () => {
  assert.deepEqual(shapes("~~~~ md title\n```\n~~~\n~~~~~\nafter"), [
    ["code", "md", "```\n~~~"],
    ["p", "after"],
  ]);
});

test("a fence that is not closed yet reaches to the end", () => {
  assert.deepEqual(shapes("```js\nlet a"), [["code", "js", "let a"]]);
});

test("lists, nested, numbered, with more than a line", () => {
  const text = "- one\n  - inner\n  - second\n- two\n  still two\n\n  own paragraph\n\n3. three\n4. four";
  assert.deepEqual(shapes(text), [
    [
      "ul",
      [
        ["p", "one"],
        ["ul", [["p", "inner"]], [["p", "second"]]],
      ],
      [
        ["p", "two\nstill two"],
        ["p", "own paragraph"],
      ],
    ],
    ["ol 3", [["p", "three"]], [["p", "four"]]],
  ]);
});

test("items may have empty lines between them, and code inside", () => {
  assert.deepEqual(shapes("1. one\n\n   ```\n   code\n     more\n   ```\n\n2. two"), [
    [
      "ol 1",
      [
        ["p", "one"],
        ["code", "", "code\n  more"],
      ],
      [["p", "two"]],
    ],
  ]);
});

test("rules are not items", () => {
  assert.deepEqual(shapes("- a\n---\n* * *\n- b"), [["ul", [["p", "a"]]], ["rule"], ["rule"], ["ul", [["p", "b"]]]]);
});

test("quotes hold blocks", () => {
  assert.deepEqual(shapes("> # a\n> - b\n>\n> c\nafter"), [
    ["quote", ["h1", "a"], ["ul", [["p", "b"]]], ["p", "c"]],
    ["p", "after"],
  ]);
});

test("tables, with alignment, escaped bars and rows that are too short or too long", () => {
  const text = "Before\n| Item | Price |\n|:--|--:|\n| a \\| b | 1 |\n| c |\n| d | 2 | 3 |\n\nafter";
  assert.deepEqual(shapes(text), [
    ["p", "Before"],
    ["table", ["Item", "Price"], ["left", "right"], ["a | b", "1"], ["c", ""], ["d", "2"]],
    ["p", "after"],
  ]);
});

test("a row of dashes with another number of columns makes no table", () => {
  assert.deepEqual(shapes("| a | b |\n|---|"), [["p", "| a | b |\n|---|"]]);
});

test("HTML is text", () => {
  assert.deepEqual(shapes("<script>alert(1)</script>\n\n<b>x</b>"), [
    ["p", "<script>alert(1)</script>"],
    ["p", "<b>x</b>"],
  ]);
});

test("what is nested too deeply is text, and nothing is lost", () => {
  const [block] = shapes(`${"> ".repeat(2000)}deep`);
  assert.match(JSON.stringify(block), /> deep/);
});

test("every block knows its lines, so that only what changed is shown anew", () => {
  const before = parseMarkdown("# a\n\ntext\n\n- one");
  const after = parseMarkdown("# a\n\ntext\n\n- one\n- two");
  assert.deepEqual(
    before.map((block) => block.raw),
    ["# a", "text", "- one"],
  );
  assert.deepEqual(
    after.map((block) => block.raw),
    ["# a", "text", "- one\n- two"],
  );
});

test("whatever comes, every piece of an answer that arrives is read, and no word is lost", () => {
  const text =
    "# T\n\n1. **a** [x](https://e.org)\n\n> q\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nz = 1\n```\n- [ ] `c";
  for (let length = 0; length <= text.length; length += 1) {
    assert.ok(Array.isArray(parseMarkdown(text.slice(0, length))));
  }
  const all = JSON.stringify(parseMarkdown(text));
  for (const word of ["T", "a", "x", "q", "b", "1", "2", "py", "z = 1", "c"]) {
    assert.ok(all.includes(word), word);
  }
});
