// Takes the chunks of one answer into its turn.

/**
 * Adds a chunk's text to an answer's turn, and keeps its figures.
 */
export class AnswerStream {
  #turn;
  #began;
  #first = null;
  #last = null;
  #usage = null;

  /**
   * @param {object} turn as `Conversation.beginAnswer` makes it
   * @param {number} now milliseconds on any clock, the same as `take` gets
   */
  constructor(turn, now) {
    this.#turn = turn;
    this.#began = now;
  }

  /** What the server says the pictures became, as far as it has said. */
  get images() {
    return this.#usage?.qvl?.images;
  }

  /** @param {object} chunk a chat.completion.chunk */
  take(chunk, now) {
    this.#usage = chunk.usage ?? this.#usage;
    for (const { delta, finish_reason: reason } of chunk.choices ?? []) {
      const text = delta?.content ?? "";
      const reasoning = delta?.reasoning_content ?? "";
      if (text !== "" || reasoning !== "") {
        this.#turn.state = "streaming";
        this.#turn.text += text;
        this.#turn.reasoning += reasoning;
        this.#first ??= now;
        this.#last = now;
      }
      if (reason === "length") {
        this.#turn.note = "Cut off: the answer reached its greatest length.";
      }
    }
  }

  /** The answer is whole: `stats` has what is known of its cost. */
  finish() {
    this.#turn.state = "done";
    this.#turn.stats = this.#stats();
  }

  // The first token comes with the prompt's own pass, so it does not count towards the rate.
  #stats() {
    const tokens = this.#usage?.completion_tokens ?? null;
    const seconds = this.#first === null ? 0 : (this.#last - this.#first) / 1000;
    return {
      tokens,
      promptTokens: this.#usage?.prompt_tokens ?? null,
      cachedTokens: this.#usage?.prompt_tokens_details?.cached_tokens ?? 0,
      waited: this.#first === null ? null : (this.#first - this.#began) / 1000,
      rate: tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : null,
    };
  }
}
