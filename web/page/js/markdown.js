// Markdown, block by block. A subset of CommonMark (https://spec.commonmark.org/0.31.2/#blocks-and-inlines) with GitHub's tables:
// paragraphs, headings, lists, quotes, fenced code, tables and rules. HTML is text here.

import { parseInline } from "./inline.js";
import { parseTable } from "./table.js";

// Deeper than any answer goes; what is nested deeper is read as a paragraph.
const DEEPEST = 12;

const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*))?$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:( {1,4})(?=\S)|\s|$)/;
const BLANK = /^\s*$/;

/**
 * A list of blocks, each with the lines that it was read from as `raw`:
 * `{type: "paragraph", children}`, `{type: "heading", level, children}`, `{type: "code", language, text}`,
 * `{type: "quote", blocks}`, `{type: "list", start, items}` (`start` is null for bullets, `items` are lists of blocks),
 * `{type: "table", header, align, rows}` and `{type: "rule"}`.
 *
 * @param {string} text
 */
export function parseMarkdown(text) {
  return parseBlocks(text.replaceAll(/\r\n?/g, "\n").split("\n"), 0);
}

function parseBlocks(lines, depth) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (BLANK.test(lines[at])) {
      at += 1;
      continue;
    }
    const { block, next } = parseBlock(lines, at, depth);
    blocks.push({ ...block, raw: lines.slice(at, next).join("\n") });
    at = next;
  }
  return blocks;
}

function parseBlock(lines, at, depth) {
  const readers = depth < DEEPEST ? [fence, heading, rule, quote, list, parseTable] : [];
  for (const reader of readers) {
    const found = reader(lines, at, depth);
    if (found) {
      return found;
    }
  }
  return paragraph(lines, at);
}

// A fence that is never closed reaches to the end: so it is while an answer arrives.
function fence(lines, at) {
  const opening = FENCE.exec(lines[at]);
  if (!opening) {
    return null;
  }
  const [, marker, info] = opening;
  const [language] = info.trim().split(/\s/, 1);
  const closing = new RegExp(`^ {0,3}${marker[0]}{${marker.length},}\\s*$`);
  let end = at + 1;
  while (end < lines.length && !closing.test(lines[end])) {
    end += 1;
  }
  const text = lines.slice(at + 1, end).join("\n");
  return { block: { type: "code", language, text }, next: Math.min(end + 1, lines.length) };
}

function heading(lines, at) {
  const found = HEADING.exec(lines[at]);
  if (!found) {
    return null;
  }
  const text = (found[2] ?? "").trimEnd();
  const bare = text.endsWith("#") ? text.slice(0, lastNot(text, "#")) : text;
  return { block: { type: "heading", level: found[1].length, children: parseInline(bare.trim()) }, next: at + 1 };
}

// Where the run of `character` at the end of `text` begins.
function lastNot(text, character) {
  let end = text.length;
  while (text[end - 1] === character) {
    end -= 1;
  }
  return end;
}

function rule(lines, at) {
  return RULE.test(lines[at]) ? { block: { type: "rule" }, next: at + 1 } : null;
}

function quote(lines, at, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) {
    end += 1;
  }
  if (end === at) {
    return null;
  }
  const inside = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return { block: { type: "quote", blocks: parseBlocks(inside, depth + 1) }, next: end };
}

// Items with the same kind of marker, each with the lines that are indented below it.
function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first || RULE.test(lines[at])) {
    return null;
  }
  const kind = first[2].at(-1);
  const items = [];
  let end = at;
  for (;;) {
    const item = end < lines.length && !RULE.test(lines[end]) ? ITEM.exec(lines[end]) : null;
    if (!item || item[2].at(-1) !== kind) {
      break;
    }
    const next = itemEnd(lines, end, item[0].length);
    items.push(parseBlocks(itemLines(lines.slice(end, next), item[0].length), depth + 1));
    end = nextItem(lines, next);
  }
  const start = /\d/.test(first[2]) ? Number.parseInt(first[2], 10) : null;
  return { block: { type: "list", start, items }, next: end };
}

function itemLines(lines, indent) {
  const [first, ...others] = lines;
  return [first.slice(indent), ...others.map((line) => line.slice(Math.min(indent, indentOf(line))))];
}

// An item goes on with what is indented under it, and with lines that carry its paragraph on.
function itemEnd(lines, at, indent) {
  let end = at + 1;
  let blanks = 0;
  for (let next = end; next < lines.length; next += 1) {
    const line = lines[next];
    if (BLANK.test(line)) {
      blanks += 1;
      continue;
    }
    const under = indentOf(line) >= Math.min(indent, 2);
    if (!under && (blanks > 0 || beginsBlock(line))) {
      break;
    }
    blanks = 0;
    end = next + 1;
  }
  return end;
}

// Blank lines between items belong to the list; after its last item they do not matter.
function nextItem(lines, at) {
  let next = at;
  while (next < lines.length && BLANK.test(lines[next])) {
    next += 1;
  }
  return next < lines.length && ITEM.test(lines[next]) ? next : at;
}

function indentOf(line) {
  return line.length - line.trimStart().length;
}

function beginsBlock(line) {
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(line));
}

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && !BLANK.test(lines[end]) && !beginsBlock(lines[end]) && !parseTable(lines, end)) {
    end += 1;
  }
  const text = lines
    .slice(at, end)
    .map((line) => line.trimStart())
    .join("\n");
  return { block: { type: "paragraph", children: parseInline(text.trimEnd()) }, next: end };
}
