/** Timers below this would sweep more often than anybody could notice. */
const MIN_DELAY_MS = 2;
/** The longest that setTimeout takes. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * One timer for the deadlines of all calls. Calls that end in time leave it alone: it fires at the earliest deadline that
 * was ever asked for, sweeps, and is set again to what is earliest then. Calls with equal time limits thus cost one
 * comparison each instead of a timer each.
 */
export class DeadlineTimer {
  readonly #sweep: (nowMs: number) => number;
  #timer: NodeJS.Timeout | undefined;
  #firesAtMs = Infinity;

  /** @param sweep - ends what is due and returns the earliest deadline that is left, `Infinity` if none is. */
  constructor(sweep: (nowMs: number) => number) {
    this.#sweep = sweep;
  }

  /** `sweep` is called at `atMs` (clock of `performance.now()`) or up to a few ms later. */
  watch(atMs: number): void {
    if (atMs >= this.#firesAtMs) return;
    clearTimeout(this.#timer);
    this.#firesAtMs = atMs;
    const delayMs = Math.min(MAX_DELAY_MS, Math.max(MIN_DELAY_MS, Math.ceil(atMs - performance.now())));
    this.#timer = setTimeout(() => {
      this.#fire();
    }, delayMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#firesAtMs = Infinity;
  }

  #fire(): void {
    this.#firesAtMs = Infinity;
    this.watch(this.#sweep(performance.now()));
  }
}
