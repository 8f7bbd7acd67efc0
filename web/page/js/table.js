// GitHub's tables (https://github.github.com/gfm/#tables-extension-): a header, a row of dashes that says how to align, and rows.

import { parseInline } from "./inline.js";

const DELIMITER = /^:?-+:?$/;
// A page with more columns than this is no page.
const MOST_COLUMNS = 100;

/**
 * Reads the table that begins at line `at`, or null.
 *
 * @returns {{block: object, next: number} | null} the block, and the line after it
 */
export function parseTable(lines, at) {
  const align = at + 1 < lines.length && lines[at].includes("|") ? alignment(lines[at + 1]) : null;
  const header = align && cells(lines[at]);
  if (!header || header.length !== align.length) {
    return null;
  }
  const rows = [];
  let next = at + 2;
  while (next < lines.length && lines[next].includes("|")) {
    const row = cells(lines[next]).slice(0, align.length);
    rows.push(align.map((_, column) => parseInline(row[column] ?? "")));
    next += 1;
  }
  return { block: { type: "table", header: header.map(parseInline), align, rows }, next };
}

// For each column "left", "center", "right" or "" (as it comes). Null if the line is no row of dashes.
function alignment(line) {
  if (!/^[\s|:-]+$/.test(line) || !line.includes("-")) {
    return null;
  }
  const marks = cells(line);
  if (marks.length > MOST_COLUMNS || !marks.every((mark) => DELIMITER.test(mark))) {
    return null;
  }
  return marks.map((mark) => {
    const [left, right] = [mark.startsWith(":"), mark.endsWith(":")];
    return left && right ? "center" : right ? "right" : left ? "left" : "";
  });
}

// Splits at bars that are not escaped; the bars at the edges are optional.
function cells(line) {
  const parts = [""];
  const inside = line.trim().replace(/^\|/, "");
  for (let at = 0; at < inside.length; at += 1) {
    if (inside[at] === "\\" && inside[at + 1] === "|") {
      parts[parts.length - 1] += "|";
      at += 1;
    } else if (inside[at] === "|") {
      parts.push("");
    } else {
      parts[parts.length - 1] += inside[at];
    }
  }
  if (parts.length > 1 && parts.at(-1).trim() === "") {
    parts.pop();
  }
  return parts.map((part) => part.trim());
}
