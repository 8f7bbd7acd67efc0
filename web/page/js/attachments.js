// The pictures that go with the next question: chosen, dropped or pasted, each shown with a way to take it off again.

import { isAnimated } from "./animated.js";
import { button, element } from "./dom.js";

// What the server reads, and how the names of such files end (not every system knows the type of a TIFF).
const TYPES = {
  "image/png": ["png"],
  "image/jpeg": ["jpg", "jpeg"],
  "image/webp": ["webp"],
  "image/gif": ["gif"],
  "image/bmp": ["bmp"],
  "image/tiff": ["tif", "tiff"],
};

/** For the file picker. */
export const ACCEPTED = Object.keys(TYPES).join(",");

/** The type of a picture file that can be sent, or null. */
export function pictureType({ name, type }) {
  if (type in TYPES) {
    return type;
  }
  const ending = name.toLowerCase().split(".").at(-1);
  const found = type === "" ? Object.entries(TYPES).find(([, endings]) => endings.includes(ending)) : undefined;
  return found?.[0] ?? null;
}

/** The tray of pictures above the question. */
export class Attachments {
  #list;
  #complain;
  #announce;
  #items = [];

  /**
   * @param {HTMLElement} list the `ul` that shows them
   * @param {{complain: (text: string) => void, announce: (text: string) => void}} voices
   */
  constructor(list, { complain, announce }) {
    this.#list = list;
    this.#complain = complain;
    this.#announce = announce;
  }

  get count() {
    return this.#items.length;
  }

  /** Reads files and adds those that are pictures; says so of the others. */
  async add(files) {
    for (const file of files) {
      const type = pictureType(file);
      if (type === null) {
        this.#complain(`${file.name} is no picture that can be sent: PNG, JPEG, WebP, GIF, BMP and TIFF are.`);
        continue;
      }
      try {
        this.#show(await read(file, type));
      } catch {
        this.#complain(`${file.name} cannot be read.`);
      }
    }
  }

  /** Takes all of them off, for a question. */
  take() {
    this.#list.replaceChildren();
    return this.#items.splice(0);
  }

  #show(item) {
    this.#items.push(item);
    const remove = button(`Remove ${item.name}`, { class: "remove" }, "×");
    const entry = element("li", {}, element("img", { src: item.url, alt: item.name }), remove);
    remove.addEventListener("click", () => {
      this.#items.splice(this.#items.indexOf(item), 1);
      // The focus goes where it can be used next, not back to the top of the page.
      const next = entry.nextElementSibling ?? entry.previousElementSibling;
      (next?.querySelector("button") ?? document.querySelector("#question")).focus();
      entry.remove();
      this.#announce(`${item.name} removed`);
    });
    this.#list.append(entry);
    this.#announce(`${item.name} added`);
  }
}

async function read(file, type) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const url = await dataUrl(new Blob([bytes], { type }));
  return { url, name: file.name || "picture", animated: isAnimated(bytes), info: null };
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
