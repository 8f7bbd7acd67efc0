// How to ask. What is empty is left to the model. Settings stay in this browser; the key only as long as its tab is open.

const STORED = "qvl.settings";
const STORED_KEY = "qvl.key";

const NUMBERS = ["temperature", "top_p", "top_k", "max_tokens", "seed", "picture_tokens"];

/** Settings as `chatRequest` takes them, from the texts of a form's fields. */
export function settingsFrom(fields) {
  const settings = { system: (fields.system ?? "").trim() };
  for (const name of NUMBERS) {
    const text = (fields[name] ?? "").trim();
    const value = Number(text);
    settings[name] = text === "" || !Number.isFinite(value) ? null : value;
  }
  settings.thinking = { on: true, off: false }[fields.thinking] ?? null;
  return settings;
}

/** The settings' dialog. */
export class Settings {
  #dialog;
  #form;
  #fields = stored();
  #key = storage(() => sessionStorage.getItem(STORED_KEY)) ?? "";

  /**
   * @param {HTMLDialogElement} dialog with a form whose fields have the settings' names, and `key`
   * @param {() => void} closed called when the dialog closes
   */
  constructor(dialog, closed) {
    this.#dialog = dialog;
    this.#form = dialog.querySelector("form");
    this.#form.addEventListener("submit", () => this.#save());
    dialog.addEventListener("close", closed);
    // Not a submit button: Enter in a field presses the form's first, and must mean Save.
    dialog.querySelector("#settings-cancel").addEventListener("click", () => dialog.close());
    dialog
      .querySelector("#settings-reset")
      .addEventListener("click", () => this.#fill({ key: this.#form.elements.key.value }));
  }

  /** The settings as they were last saved. */
  get values() {
    return settingsFrom(this.#fields);
  }

  /** The API key, empty for none. */
  get key() {
    return this.#key;
  }

  /** @param {string} [field] the name of the field to begin with */
  open(field) {
    this.#fill({ ...this.#fields, key: this.#key });
    this.#dialog.showModal();
    if (field) {
      this.#form.elements.namedItem(field).focus();
    }
  }

  // A form with method="dialog" closes its dialog by itself, once its fields are valid.
  #save() {
    const { key, ...fields } = Object.fromEntries(new FormData(this.#form));
    this.#fields = fields;
    this.#key = key.trim();
    storage(() => localStorage.setItem(STORED, JSON.stringify(fields)));
    storage(() => sessionStorage.setItem(STORED_KEY, this.#key));
  }

  #fill(fields) {
    this.#form.reset();
    for (const [name, value] of Object.entries(fields)) {
      const field = this.#form.elements.namedItem(name);
      if (field && typeof value === "string") {
        field.value = value;
      }
    }
  }
}

function stored() {
  try {
    const fields = JSON.parse(storage(() => localStorage.getItem(STORED)));
    return fields !== null && typeof fields === "object" ? fields : {};
  } catch {
    return {};
  }
}

// Browsers can refuse pages their storage; the settings are then those of the model.
function storage(use) {
  try {
    return use();
  } catch {
    return null;
  }
}
