import assert from "node:assert/strict";
import { test } from "node:test";

import { parseGrounding, placeInWords, withoutBeginning } from "../../page/js/grounding.js";

const RED = '{"bbox_2d": [70, 172, 333, 490], "label": "red circle"}';
const STAR = '{"point_2d": [500, 250], "label": "star"}';
const red = { kind: "box", box: [70, 172, 333, 490], label: "red circle", picture: null };
const star = { kind: "point", point: [500, 250], label: "star", picture: null };

const items = (text) => parseGrounding(text).flatMap((part) => part.items ?? []);
const kinds = (text) => parseGrounding(text).map((part) => part.text?.trim() ?? part.items.length);

test("a list of boxes, alone", () => {
  assert.deepEqual(parseGrounding(`[${RED}]`), [{ type: "items", items: [red], source: `[${RED}]` }]);
});

test("boxes and points, bare, in a list, in a fence", () => {
  for (const text of [
    `${RED}, ${STAR}`,
    `[${RED},\n  ${STAR}\n]`,
    `\`\`\`json\n[\n\t${RED},\n\t${STAR}\n]\n\`\`\``,
    `${RED}\n${STAR}`,
  ]) {
    assert.deepEqual(items(text), [red, star], text);
    assert.deepEqual(kinds(text), [2], text);
  }
});

test("text before, between and after stays text", () => {
  const text = `Here it is:\n\n\`\`\`json\n[${RED}]\n\`\`\`\n\nAnd the star ${STAR} too.`;
  assert.deepEqual(kinds(text), ["Here it is:", 1, "And the star", 1, "too."]);
});

test("other names for the label, and none", () => {
  assert.equal(items('{"bbox_2d": [0,0,1,1], "text_content": "Hi {you}"}')[0].label, "Hi {you}");
  assert.equal(items('{"label": 7, "bbox_2d": [0,0,1,1]}')[0].label, "");
});

test("coordinates are ordered and held within the picture", () => {
  assert.deepEqual(items('{"bbox_2d": [900, 1200.5, -3, 10]}')[0].box, [0, 10, 900, 1000]);
  assert.deepEqual(items('{"point_2d": [1001, -1]}')[0].point, [1000, 0]);
});

test("what is no place is text", () => {
  const others = [
    '{"bbox_2d": [1, 2, 3]}',
    '{"bbox_2d": [1, 2, 3, "4"]}',
    '{"bbox_2d": [1, 2, 3, 1e999]}',
    '{"bbox_2d": null}',
    '{"bbox": [1, 2, 3, 4]}',
    "{bbox_2d: [1, 2, 3, 4]}",
    '{"a": {"b": 1}} }} {',
    "bbox_2d [1, 2, 3, 4]",
  ];
  for (const text of others) {
    assert.deepEqual(parseGrounding(text), [{ type: "text", text }]);
  }
});

test("objects inside others, and braces and escapes inside strings", () => {
  assert.deepEqual(items(`{"objects": [${RED}, ${STAR}], "n": 2}`), [red, star]);
  assert.equal(items('{"label": "a \\"}{\\" b", "bbox_2d": [0, 0, 1, 1], "more": {"x": 1}}')[0].label, 'a "}{" b');
});

test("a quotation mark in the text before does not hide a box", () => {
  assert.deepEqual(items(`It is 5" wide {sic: "}\n${RED}`), [red]);
});

test("the picture that the text names, or the object itself", () => {
  const text = `In picture 1: ${RED}\nIn image 2 there is ${STAR}`;
  assert.deepEqual(
    items(text).map((item) => item.picture),
    [1, 2],
  );
  assert.equal(items('{"picture": 3, "bbox_2d": [0,0,1,1]}')[0].picture, 3);
});

test("while it arrives, an unfinished object is no text", () => {
  const text = `Look:\n\`\`\`json\n[\n  ${RED},\n  ${STAR}\n]\n\`\`\`\n`;
  for (let length = 0; length <= text.length; length += 1) {
    const parts = parseGrounding(withoutBeginning(text.slice(0, length)));
    const shown = parts
      .filter((part) => part.type === "text")
      .map((part) => part.text)
      .join("");
    assert.match(shown, /^(?:L(?:o(?:o(?:k(?::\s*)?)?)?)?)?$/, JSON.stringify(text.slice(0, length)));
    const done = text.slice(0, length).split("}").length - 1;
    assert.equal(parts.flatMap((part) => part.items ?? []).length, done);
  }
});

test("an end that begins no place stays", () => {
  for (const text of ["The answer", "```python\nx", "a [b", 'He said "', "{x", ""]) {
    assert.equal(withoutBeginning(text), text);
  }
});

test("many and large objects are bounded", () => {
  assert.equal(items(`${RED},`.repeat(2000)).length, 500);
  assert.equal(items(`{"bbox_2d": [0,0,1,1], "label": "${"x".repeat(5000)}"}`).length, 0);
  assert.equal(items(`${"{".repeat(50_000)}"bbox_2d"${"}".repeat(50_000)}`).length, 0);
});

test("places in words", () => {
  assert.equal(placeInWords(red), "box from 70, 172 to 333, 490");
  assert.equal(placeInWords(star), "point at 500, 250");
});
