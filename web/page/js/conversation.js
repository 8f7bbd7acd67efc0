// What was said so far.

/**
 * Turns, the user's and the model's alternating:
 * `{role: "user", text, media: [{url, name, animated, info}]}` and
 * `{role: "assistant", text, reasoning, state, note, error, stats}`, where `state` is one of "waiting", "streaming", "done",
 * "stopped" and "failed". `info` is what the server says the picture became.
 */
export class Conversation {
  turns = [];
  /** Names the conversation to a balancer: 128 random bits. */
  session = randomName();

  /** Adds a question, and returns it. */
  ask(text, media) {
    const turn = { role: "user", text, media };
    this.turns.push(turn);
    return turn;
  }

  /** Adds an answer that is still empty, and returns it. */
  beginAnswer() {
    const turn = { role: "assistant", text: "", reasoning: "", state: "waiting", note: "", error: "", stats: null };
    this.turns.push(turn);
    return turn;
  }

  /** Takes the last answer away, so that its question can be asked again. Returns it, or null if a question is last. */
  dropAnswer() {
    return this.turns.at(-1)?.role === "assistant" ? this.turns.pop() : null;
  }

  /**
   * What the model is told: all turns but the questions that failed without a word of an answer. The server may have refused one
   * for its picture, and would refuse all that come after it. The last question is among them until its answer fails.
   */
  get heard() {
    const failed = (answer) => answer?.state === "failed" && answer.text === "" && answer.reasoning === "";
    return this.turns.filter((turn, index) => !failed(turn.role === "user" ? this.turns[index + 1] : turn));
  }

  /** All pictures and videos, in the order in which the model sees them. */
  get media() {
    return this.heard.flatMap((turn) => turn.media ?? []);
  }

  /**
   * The number (from 0) of the first picture of the last turn that has one: what an answer speaks about if it does not say.
   * -1 without pictures.
   */
  get currentPicture() {
    const last = this.heard.findLast((turn) => turn.media?.length > 0);
    return last ? this.media.indexOf(last.media[0]) : -1;
  }

  /** Notes what the server says each picture became (`usage.qvl.images`, in the order of the prompt). */
  noteImages(images) {
    for (const [index, item] of this.media.entries()) {
      item.info = images?.[index] ?? item.info;
    }
  }
}

// crypto.randomUUID is only there on pages from https or localhost.
function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
