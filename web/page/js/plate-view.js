// A picture with the boxes and points of an answer on it, and the list of them beside it. Drawn shapes mean nothing to a screen reader,
// so they are hidden from it and the list says the same in words.

import { element, svgElement } from "./dom.js";
import { placeInWords, SIDE } from "./grounding.js";

// How many colours css/plate.css has.
const COLOURS = 8;
// With more items than this the labels would cover the picture: their numbers are shown alone.
const MOST_LABELS = 12;
// Of a thousand: room for a label above a box.
const LABEL_ROOM = 80;

/**
 * Shows items (see `parseGrounding`) on one of the pictures.
 */
export class PlateView {
  #pictures;
  #items = [];
  #drawn = "";
  #chosen = null;
  #alone = null;
  #plate = element("div", { class: "plate" });
  #list = element("ol", { class: "places" });
  #select;

  /**
   * @param {{url: string, name: string}[]} pictures all pictures of the conversation so far
   * @param {number} current which of them is meant if the answer does not say
   */
  constructor(pictures, current) {
    this.#pictures = pictures;
    this.current = current;
    this.#select = element("select", { change: () => this.#choose(Number(this.#select.value)) });
    this.#select.append(
      ...pictures.map(({ name }, index) => element("option", { value: String(index) }, `${index + 1}: ${name}`)),
    );
    const chooser = element("label", { class: "chooser", hidden: pictures.length < 2 }, "Picture ", this.#select);
    this.node = element("figure", { class: "grounding" }, this.#plate, element("figcaption", {}, chooser, this.#list));
  }

  /** @param {object[]} items all of them, not what is new */
  show(items) {
    const state = JSON.stringify(items);
    if (state !== this.#drawn) {
      this.#drawn = state;
      this.#items = items;
      this.#draw();
    }
  }

  #choose(picture) {
    this.#chosen = picture;
    this.#draw();
  }

  get #picture() {
    const named = (this.#items[0]?.picture ?? 0) - 1;
    return this.#chosen ?? (named in this.#pictures ? named : this.current);
  }

  #draw() {
    this.#alone = null;
    const index = this.#picture;
    const picture = this.#pictures[index];
    this.#plate.replaceChildren();
    if (picture) {
      this.#select.value = String(index);
      const shapes = this.#items.map(shape);
      const svg = svgElement(
        "svg",
        { viewBox: `0 0 ${SIDE} ${SIDE}`, preserveAspectRatio: "none", "aria-hidden": "true" },
        ...shapes,
      );
      this.#plate.append(this.#image(picture, index), svg, ...this.#items.map((item, at) => this.#label(item, at)));
    }
    this.#list.replaceChildren(...this.#items.map((item, at) => this.#entry(item, at)));
  }

  #image({ url, name }, index) {
    const image = element("img", { alt: `Picture ${index + 1}, ${name}` });
    image.addEventListener("load", () => {
      this.#plate.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight));
      this.#plate.style.setProperty("--natural-width", `${image.naturalWidth}px`);
    });
    image.src = url;
    return image;
  }

  #label(item, at) {
    const [x0, y0, x1] = item.kind === "box" ? item.box : [...item.point, item.point[0]];
    const text = this.#items.length > MOST_LABELS ? String(at + 1) : item.label || String(at + 1);
    const label = element(
      "span",
      { class: `place-label ${colour(at)}`, "aria-hidden": "true", "data-place": String(at) },
      text,
    );
    // Through the object model: the page's policy forbids style attributes. On the side of the box where there is room.
    const fromRight = x0 > SIDE / 2;
    label.style[fromRight ? "right" : "left"] = `${(fromRight ? SIDE - x1 : x0) / 10}%`;
    label.style.top = `${y0 / 10}%`;
    label.classList.toggle("beside", item.kind === "point");
    label.classList.toggle("inside", y0 < LABEL_ROOM);
    return label;
  }

  #entry(item, at) {
    const show = element(
      "button",
      {
        type: "button",
        class: "place",
        "aria-pressed": "false",
        title: "Show this alone",
        click: () => this.#toggle(at),
      },
      element("span", { class: `swatch ${colour(at)}`, "aria-hidden": "true" }, String(at + 1)),
      element("span", { class: "place-name" }, item.label || `Place ${at + 1}`),
      element("span", { class: "place-where" }, placeInWords(item)),
    );
    return element("li", {}, show);
  }

  // One place alone, or all of them again.
  #toggle(at) {
    this.#alone = this.#alone === at ? null : at;
    for (const [index, entry] of this.#list.querySelectorAll("button").entries()) {
      entry.setAttribute("aria-pressed", String(index === this.#alone));
    }
    for (const drawn of this.#plate.querySelectorAll("[data-place]")) {
      drawn.classList.toggle("hidden", this.#alone !== null && drawn.dataset.place !== String(this.#alone));
    }
  }
}

function colour(at) {
  return `colour-${at % COLOURS}`;
}

// Each shape is drawn twice: a pale, broader line under the coloured one keeps it visible on any picture. A point is a line of no
// length with round ends, which stays round where the picture is not square.
function shape(item, at) {
  const lines = ["halo", "stroke"].map((part) =>
    item.kind === "box"
      ? svgElement("rect", { class: part, ...rectangle(item.box) })
      : svgElement("path", { class: `${part} dot`, d: `M${item.point[0]} ${item.point[1]}h0` }),
  );
  return svgElement("g", { class: colour(at), "data-place": String(at), "data-kind": item.kind }, ...lines);
}

function rectangle([x0, y0, x1, y1]) {
  return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
}
