// When a peer that says nothing is asked (ping), and when it is given up. Pure.
// Q1 Ticks are counted, not time: where this process was stopped or busy for long, its missed ticks fall together into
//    one, and the other side is not taken for dead because nobody listened.

/** How often `tick` is called. */
export const TICK_MS = 250;

/** With calls open: asked after 500 ms of silence, lost after 2 s, pings included. */
const ASK_TICKS = 2;
const LOST_TICKS = 8;
/** Without: asked after 1 s, so that a call which comes then finds out soon; lost after 4 s, since nobody waits for it. */
const IDLE_ASK_TICKS = 4;
const IDLE_LOST_TICKS = 16;

export class Silence {
  #hasHeard = false;
  #ticks = 0;

  /** At least this long. */
  get silentMs(): number {
    return this.#ticks * TICK_MS;
  }

  /** Bytes have come. */
  heard(): void {
    this.#hasHeard = true;
  }

  tick(isBusy: boolean): 'quiet' | 'ask' | 'lost' {
    if (this.#hasHeard) {
      this.#hasHeard = false;
      this.#ticks = 0;
      return 'quiet';
    }
    this.#ticks += 1;
    if (this.#ticks >= (isBusy ? LOST_TICKS : IDLE_LOST_TICKS)) return 'lost';
    return this.#ticks >= (isBusy ? ASK_TICKS : IDLE_ASK_TICKS) ? 'ask' : 'quiet';
  }
}
