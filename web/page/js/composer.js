// The question that is being written, and its pictures.

import { ACCEPTED, Attachments } from "./attachments.js";

/** Connects the form at the foot of the page. */
export class Composer {
  #form;
  #field;
  #attachments;
  #chat;

  /**
   * @param {HTMLFormElement} form
   * @param {{chat: object, announcer: object, complain: (text: string) => void}} parts
   */
  constructor(form, { chat, announcer, complain }) {
    this.#form = form;
    this.#field = form.elements.question;
    this.#chat = chat;
    this.#attachments = new Attachments(form.querySelector(".tray"), {
      complain,
      announce: (text) => announcer.say(text),
    });
    form.addEventListener("submit", (event) => this.#submit(event));
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#connectPicker();
    this.#connectDrop();
    document.addEventListener("paste", (event) => this.#paste(event));
  }

  /** Puts a question into the field, for the user to send. */
  suggest(text) {
    this.#field.value = text;
    this.focus();
  }

  focus() {
    this.#field.focus();
  }

  /** Takes pictures and text away. */
  clear() {
    this.#attachments.take();
    this.#field.value = "";
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#field.value.trim();
    if (!this.#chat.busy && (text !== "" || this.#attachments.count > 0)) {
      this.#field.value = "";
      this.#chat.ask(text, this.#attachments.take());
    }
  }

  // Enter sends and Shift+Enter begins a line, but an Enter that ends the composition of a character does neither.
  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#form.requestSubmit();
    }
  }

  #connectPicker() {
    const picker = this.#form.elements.pictures;
    picker.accept = ACCEPTED;
    this.#form.querySelector("#attach").addEventListener("click", () => picker.click());
    picker.addEventListener("change", async () => {
      await this.#attachments.add([...picker.files]);
      // The same file can be chosen again.
      picker.value = "";
      this.focus();
    });
  }

  // A file can be dropped anywhere on the page: without this a browser would leave the page and show the file.
  #connectDrop() {
    const body = document.body;
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (holdsFiles(event)) {
        event.preventDefault();
        body.classList.add("dropping");
      }
    });
    document.addEventListener("dragleave", (event) => {
      // Leaving an element for another inside the page has the other as its relatedTarget.
      if (event.relatedTarget === null) {
        body.classList.remove("dropping");
      }
    });
    document.addEventListener("drop", (event) => {
      body.classList.remove("dropping");
      if (holdsFiles(event)) {
        event.preventDefault();
        this.#add(event.dataTransfer.files);
      }
    });
  }

  #paste(event) {
    const { files } = event.clipboardData;
    if (files.length > 0) {
      event.preventDefault();
      this.#add(files);
    }
  }

  async #add(files) {
    await this.#attachments.add([...files]);
    this.focus();
  }
}
