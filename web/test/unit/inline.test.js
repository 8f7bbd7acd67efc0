import assert from "node:assert/strict";
import { test } from "node:test";

import { safeUrl } from "../../page/js/address.js";
import { parseInline } from "../../page/js/inline.js";

const MARKS = { emphasis: "i", strong: "b", deleted: "s" };

// The tree as text in which each node is in brackets of its kind.
function shape(text) {
  return written(parseInline(text));
}

function written(nodes) {
  return nodes
    .map((node) => {
      switch (node.type) {
        case "text":
          return node.text;
        case "code":
          return `<c ${node.text}>`;
        case "break":
          return "<br>";
        case "link":
          return `<a ${node.url} ${written(node.children)}>`;
        default:
          return `<${MARKS[node.type]} ${written(node.children)}>`;
      }
    })
    .join("");
}

const CASES = [
  ["plain", "plain"],
  ["*a* _b_ **c** __d__ ~~e~~", "<i a> <i b> <b c> <b d> <s e>"],
  ["***a***", "<b <i a>>"],
  ["**a *b* c**", "<b a <i b> c>"],
  ["*a **b** c*", "<i a <b b> c>"],
  ["**a *b***", "<b a <i b>>"],
  ["un*frigging*believable", "un<i frigging>believable"],
  ["snake_case_name and __init__.py", "snake_case_name and <b init>.py"],
  ["2 * 3 * 4", "2 * 3 * 4"],
  ["**not closed", "**not closed"],
  ["*a **b*", "<i a **b>"],
  ["**", "**"],
  ["****", "****"],
  ["~a~ ~~~b~~~", "~a~ ~~~b~~~"],
  ["`a*b*` and ``c ` d``", "<c a*b*> and <c c ` d>"],
  ["` `` `", "<c ``>"],
  ["`open", "`open"],
  ["\\*a\\* \\_ \\\\ \\q", "*a* _ \\ \\q"],
  ["a\nb  \nc", "a<br>b<br>c"],
  ["[*x*](https://example.org/a_b)", "<a https://example.org/a_b <i x>>"],
  ['[x](https://example.org "Title")', "<a https://example.org/ x>"],
  ["[x](<https://example.org/(a)>)", "<a https://example.org/(a) x>"],
  ["![alt](https://example.org/p.png)", "<a https://example.org/p.png alt>"],
  ["![alt][no]", "![alt][no]"],
  ["[x](javascript:alert(1))", "[x](javascript:alert(1))"],
  ["[x](data:text/html,hi)", "[x](data:text/html,hi)"],
  ["[x](/local)", "[x](/local)"],
  ["*a [b* c]", "<i a [b> c]"],
  ["*a [b] c*", "<i a [b] c>"],
  ["see https://example.org/a_b_c.", "see <a https://example.org/a_b_c https://example.org/a_b_c>."],
  ["(https://example.org)", "(<a https://example.org/ https://example.org>)"],
  ["[a https://b.org c](https://example.org)", "<a https://example.org/ a https://b.org c>"],
  ["[see https://b.org", "[see https://b.org"],
  ["xhttps://example.org", "xhttps://example.org"],
  ["https:// alone", "https:// alone"],
  ["<b>&amp;", "<b>&amp;"],
];

for (const [text, expected] of CASES) {
  test(`inline: ${JSON.stringify(text)}`, () => {
    assert.equal(shape(text), expected);
  });
}

test("only http and https are addresses of links", () => {
  assert.equal(safeUrl("HTTPS://Example.org"), "https://example.org/");
  const others = [
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    " https://x",
    "//x.org",
    "data:,x",
    "file:///etc",
    "http://",
    "",
    "vbscript:x",
  ];
  for (const address of others) {
    assert.equal(safeUrl(address), null, address);
  }
});

test("long texts without partners are read, not searched for ever", () => {
  for (const piece of ["*a ", "**a", "`a``", "[a](", "_", "[", "![", "](", "https://", "\\", "~~x "]) {
    const text = piece.repeat(20_000 / piece.length);
    assert.ok(written(parseInline(text)).length > text.length / 3, piece);
  }
});
