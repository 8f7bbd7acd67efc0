// The conversation on the page: asks, shows the answer as it arrives, stops, asks again.

import { AnswerStream } from "./answer-stream.js";
import { AnswerView } from "./answer-view.js";
import { ApiError, chat } from "./api.js";
import { Conversation } from "./conversation.js";
import { Follower } from "./follower.js";
import { QuestionView } from "./question-view.js";
import { chatRequest } from "./request.js";

/** One conversation at a time. */
export class Chat {
  #log;
  #settings;
  #announcer;
  #changed;
  #conversation = new Conversation();
  #questions = [];
  #answer = null;
  #running = null;
  #frame = 0;
  #follower = new Follower();

  /** The model's name, as the server calls it. */
  model = "";

  /**
   * @param {HTMLElement} log where turns are shown
   * @param {{settings: object, announcer: object, changed: () => void}} parts `changed` is called when an answer begins or ends
   */
  constructor(log, { settings, announcer, changed }) {
    this.#log = log;
    this.#settings = settings;
    this.#announcer = announcer;
    this.#changed = changed;
  }

  /** Whether an answer is arriving. */
  get busy() {
    return this.#running !== null;
  }

  get isEmpty() {
    return this.#conversation.turns.length === 0;
  }

  /** Asks a question. */
  ask(text, media) {
    const view = new QuestionView(this.#conversation.ask(text, media));
    this.#questions.push(view);
    this.#log.append(view.node);
    return this.#begin();
  }

  /** Asks the last question again. */
  retry() {
    if (this.busy || !this.#conversation.dropAnswer()) {
      return;
    }
    this.#answer.node.remove();
    this.#begin();
  }

  /** Stops the answer that is arriving; what is there of it stays. */
  stop() {
    this.#running?.abort();
  }

  /** Forgets everything that was said. */
  clear() {
    this.stop();
    this.#running = null;
    this.#conversation = new Conversation();
    this.#questions = [];
    this.#answer = null;
    this.#log.replaceChildren();
  }

  async #begin() {
    this.#answer?.retire();
    const conversation = this.#conversation;
    const { media: pictures, currentPicture: current } = conversation;
    const request = chatRequest({ model: this.model, turns: conversation.heard, settings: this.#settings.values });
    const turn = conversation.beginAnswer();
    const running = new AbortController();
    const view = new AnswerView(turn, {
      pictures,
      current,
      announce: (text) => this.#announcer.say(text),
      retry: () => this.retry(),
      signIn: () => this.#settings.open("key"),
    });
    this.#answer = view;
    this.#running = running;
    this.#log.append(view.node);
    this.#announcer.begin();
    this.#changed();
    this.#follower.start();

    const stream = new AnswerStream(turn, performance.now());
    await this.#receive({ request, conversation, turn, stream, view, signal: running.signal });
    conversation.noteImages(stream.images);
    if (this.#running === running) {
      this.#running = null;
      this.#end(turn, view);
    }
  }

  async #receive({ request, conversation, turn, stream, view, signal }) {
    try {
      const chunks = chat(request, { key: this.#settings.key, session: conversation.session, signal });
      for await (const chunk of chunks) {
        stream.take(chunk, performance.now());
        this.#showSoon(view, turn);
      }
      stream.finish();
    } catch (error) {
      fail(turn, error);
    }
  }

  #end(turn, view) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#follower.keep(() => {
      view.show();
      this.#questions.forEach((question) => question.refresh());
    });
    this.#announcer.finish(turn.text);
    if (turn.error !== "" || turn.note !== "") {
      this.#announcer.say(`${turn.note} ${turn.error}`.trim());
    }
    this.#changed();
  }

  // Chunks can come faster than the screen is drawn; one look at each frame is enough.
  #showSoon(view, turn) {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#follower.keep(() => view.show());
      this.#announcer.follow(turn.text);
    });
  }
}

function fail(turn, error) {
  if (error.name === "AbortError") {
    turn.state = "stopped";
    turn.note = "Stopped.";
    return;
  }
  turn.state = "failed";
  turn.error = error instanceof ApiError ? error.message : `The page itself failed: ${error.message}`;
  turn.wantsKey = error instanceof ApiError && error.wantsKey;
}
