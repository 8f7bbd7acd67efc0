// Server-sent events, as the HTML standard describes their parsing
// (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
// EventSource itself cannot send a POST, so the page reads the stream with fetch.

/**
 * Collects text in pieces, cut anywhere, and gives the data of each event that is complete.
 */
export class EventStreamParser {
  #rest = "";
  #data = [];

  /**
   * @param {string} text the next piece of the stream
   * @returns {string[]} the data of the events that it completes
   */
  push(text) {
    const events = [];
    this.#rest += text;
    for (;;) {
      const end = this.#lineEnd();
      if (end === null) {
        return events;
      }
      const line = this.#rest.slice(0, end.at);
      this.#rest = this.#rest.slice(end.next);
      if (line === "") {
        if (this.#data.length > 0) {
          events.push(this.#data.join("\n"));
        }
        this.#data = [];
      } else {
        this.#field(line);
      }
    }
  }

  // A line ends with LF, CR or CRLF. A CR that is the last character so far may yet turn out to be half of a CRLF.
  #lineEnd() {
    const at = this.#rest.search(/[\r\n]/);
    if (at < 0) {
      return null;
    }
    if (this.#rest[at] === "\n") {
      return { at, next: at + 1 };
    }
    if (at + 1 === this.#rest.length) {
      return null;
    }
    return { at, next: this.#rest[at + 1] === "\n" ? at + 2 : at + 1 };
  }

  // Fields other than data (event, id, retry) are of no use here, and a line that begins with a colon is a comment.
  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    if (name === "data") {
      const value = colon < 0 ? "" : line.slice(colon + 1);
      this.#data.push(value.startsWith(" ") ? value.slice(1) : value);
    }
  }
}

/**
 * The data of each event of a response's body.
 *
 * @param {ReadableStream<Uint8Array>} body
 */
export async function* eventsOf(body) {
  const parser = new EventStreamParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
