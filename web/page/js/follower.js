// Follows an answer that grows.

// So near to its end, in pixels, the page counts as being there.
const NEAR = 80;

/** Keeps the end of the page in sight, as long as it is; whoever scrolls up to read is left there. */
export class Follower {
  #following = true;

  constructor() {
    document.addEventListener("scroll", () => (this.#following = isAtEnd()), { passive: true });
    // A scroll is told of only after it happened; until then the page would be pulled back down.
    document.addEventListener("wheel", ({ deltaY }) => (this.#following &&= deltaY >= 0), { passive: true });
  }

  /** Goes to the end, and follows from now on. */
  start() {
    this.#following = true;
    toEnd();
  }

  /** @param {() => void} change makes the page longer or shorter */
  keep(change) {
    change();
    if (this.#following) {
      toEnd();
    }
  }
}

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = document.documentElement;
  return scrollHeight - scrollTop - clientHeight < NEAR;
}

function toEnd() {
  document.documentElement.scrollTop = document.documentElement.scrollHeight;
}
