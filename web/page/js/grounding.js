// Boxes and points in an answer. Qwen3-VL writes them as JSON, with coordinates from 0 to 1000 along each side of the picture:
// {"bbox_2d": [x0, y0, x1, y1], "label": "…"} and {"point_2d": [x, y], "label": "…"}, alone or in a list, bare or in a ```json fence
// (https://github.com/QwenLM/Qwen3-VL/blob/main/cookbooks/2d_grounding.ipynb).

/** The length of either side of a picture in the answer's coordinates. */
export const SIDE = 1000;

const KEYS = { bbox_2d: 4, point_2d: 2 };
const HAS_KEY = /"(?:bbox_2d|point_2d)"/;
const LABELS = ["label", "text_content", "text", "name"];
// An object that is longer than this is not one thing in a picture.
const LONGEST_OBJECT = 4096;
// More than these cannot be told apart on a picture.
const MOST_ITEMS = 500;

/**
 * Takes an answer apart into text and groups of what it points at, in their order:
 * `{type: "text", text}` and `{type: "items", items, source}`. An item is `{kind: "box", box: [x0, y0, x1, y1], label, picture}` or
 * `{kind: "point", point: [x, y], label, picture}`; `picture` is the number (from 1) of the picture that the text before names last, or
 * null. While an answer arrives, its last object may be unfinished: it belongs to its group and is no text.
 *
 * @param {string} text
 */
export function parseGrounding(text) {
  const parts = [];
  let at = 0;
  for (const group of groups(text)) {
    const { start, end } = widened(text, group, at);
    const before = text.slice(at, start);
    if (before.trim() !== "") {
      parts.push({ type: "text", text: before });
    }
    const picture = pictureNamed(before);
    const items = group.items.map((item) => ({ ...item, picture: item.picture ?? picture }));
    parts.push({ type: "items", items, source: text.slice(start, end).trim() });
    at = end;
  }
  const rest = text.slice(at);
  if (rest.trim() !== "") {
    parts.push({ type: "text", text: rest });
  }
  return parts;
}

/**
 * An answer that is still arriving, without an end that may turn out to be the beginning of a place: so that it does not show as text
 * for a moment and vanish.
 *
 * @param {string} text
 */
export function withoutBeginning(text) {
  const tail = text.slice(-64);
  const beginning = /(?:^|\n)\s*(?:`{1,3}\s*(?:j(?:s(?:on?)?)?)?\s*)?(?:\[\s*)?(?:\{\s*(?:"\w{0,8})?)?$/.exec(tail);
  const begins = beginning && (beginning.index > 0 || tail.length === text.length);
  return begins ? text.slice(0, text.length - beginning[0].length) : text;
}

// Objects with nothing but commas, brackets and space between them are one list.
function groups(text) {
  const result = [];
  for (const { start, end, item } of objects(text)) {
    const last = result.at(-1);
    if (last && /^[\s,[\]]*$/.test(text.slice(last.end, start))) {
      last.end = end;
      last.items.push(...item);
    } else {
      result.push({ start, end, items: [...item] });
    }
  }
  return result;
}

// Every object that has a place in it, found by matching braces: an answer may have any text around them, and may not be finished.
function objects(text) {
  const found = [];
  const open = [];
  let inString = false;
  for (let at = 0; at < text.length && found.length < MOST_ITEMS; at += 1) {
    const character = text[at];
    if (inString) {
      if (character === "\\") {
        at += 1;
      } else if (character === '"' || character === "\n") {
        inString = false;
      }
    } else if (character === "{") {
      open.push(at);
    } else if (character === '"') {
      inString = open.length > 0;
    } else if (character === "}" && open.length > 0) {
      const start = open.pop();
      const item = itemOf(text.slice(start, Math.min(at + 1, start + LONGEST_OBJECT)));
      if (item) {
        found.push({ start, end: at + 1, item: [item] });
      }
    }
  }
  const unfinished = open.findLast((start) => HAS_KEY.test(text.slice(start, start + LONGEST_OBJECT)));
  if (unfinished !== undefined && unfinished >= (found.at(-1)?.end ?? 0) && text.length - unfinished < LONGEST_OBJECT) {
    found.push({ start: unfinished, end: text.length, item: [] });
  }
  return found;
}

function itemOf(source) {
  if (!HAS_KEY.test(source)) {
    return null;
  }
  let object;
  try {
    object = JSON.parse(source);
  } catch {
    return null;
  }
  const key = Object.keys(KEYS).find((name) => isPlace(object[name], KEYS[name]));
  if (key === undefined) {
    return null;
  }
  const place = object[key].map((value) => Math.min(Math.max(value, 0), SIDE));
  const label = LABELS.map((name) => object[name]).find((value) => typeof value === "string") ?? "";
  const picture = Number.isInteger(object.picture ?? object.image) ? (object.picture ?? object.image) : null;
  return key === "bbox_2d"
    ? { kind: "box", box: ordered(place), label, picture }
    : { kind: "point", point: place, label, picture };
}

function isPlace(value, length) {
  return Array.isArray(value) && value.length === length && value.every(Number.isFinite);
}

function ordered([x0, y0, x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

// The list's brackets and the fence around the objects are part of them.
function widened(text, { start, end }, from) {
  const before = /(?:(?:```|~~~)[ \t]*\w*)?[\s[]*$/.exec(text.slice(Math.max(from, start - 64), start));
  const after = /^[\s\],]*(?:```|~~~|`{1,2}$)?/.exec(text.slice(end, end + 64));
  return { start: start - before[0].length, end: end + after[0].length };
}

function pictureNamed(text) {
  const named = [...text.matchAll(/\b(?:picture|image)\s+(\d{1,3})\b/gi)].at(-1);
  return named ? Number(named[1]) : null;
}

/** Where an item is, in words. */
export function placeInWords(item) {
  if (item.kind === "point") {
    const [x, y] = item.point;
    return `point at ${x}, ${y}`;
  }
  const [x0, y0, x1, y1] = item.box;
  return `box from ${x0}, ${y0} to ${x1}, ${y1}`;
}
