// Nodes, made without markup: text stays text.

/**
 * An element with attributes and children. An attribute that is true is set empty, one that is false, null or undefined is not set; a
 * function is a listener for the event that the attribute is named after ("click"). Children are nodes or strings.
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svgElement(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      node.addEventListener(name, value);
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children);
  return node;
}

/** A button that does something, with a name for those who cannot see its icon. */
export function button(label, attributes, ...children) {
  const shown = children.length > 0 ? children : [label];
  const name = children.length > 0 ? { "aria-label": label, title: label } : {};
  return element("button", { type: "button", ...name, ...attributes }, ...shown);
}

/** Puts text on the clipboard. Browsers give the clipboard only to pages from https or localhost; elsewhere the old way must do. */
export async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const before = document.activeElement;
  const area = element("textarea", { class: "visually-hidden", readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus();
  if (!copied) {
    throw new Error("The browser does not let this page copy.");
  }
}

/** A button that copies what `text` returns, and says so for a moment. */
export function copyButton(label, text, announce) {
  const self = button(label, { class: "quiet" }, "Copy");
  self.addEventListener("click", async () => {
    const outcome = await copyText(text()).then(
      () => "Copied",
      () => "Not copied",
    );
    announce(outcome);
    self.textContent = outcome;
    setTimeout(() => (self.textContent = "Copy"), 1500);
  });
  return self;
}
