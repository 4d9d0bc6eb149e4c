// How many calls may be repeated: a tenth of all calls, so that replays after a crash cannot double the load that may have
// caused it. A token bucket, counted in tenths to stay exact. Pure.

/** Tokens at the start and at most: the calls that were in flight on one lost worker, even right after the start. */
export const RETRY_BURST = 256;
const TENTHS = 10;

export class RetryBudget {
  #tenths = RETRY_BURST * TENTHS;

  /** A new call, not a replay: a tenth of a token. */
  earn(): void {
    if (this.#tenths < RETRY_BURST * TENTHS) this.#tenths += 1;
  }

  /** True: the call may be repeated, and a token is gone. */
  spend(): boolean {
    if (this.#tenths < TENTHS) return false;
    this.#tenths -= TENTHS;
    return true;
  }
}
