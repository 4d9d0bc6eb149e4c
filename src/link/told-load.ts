import type { LinkLoad } from './frame-meta.js';

// What a caller was last told of the load of its runner. Every reply tells it; where none goes to a caller for a while, a
// frame of its own does, so that nobody has to ask. Pure.
// D1 A caller that was told "full" hears within one interval that this is over, and again in each one that it is not:
//    what it believes is never older than two intervals.

/** How often `isDue` is asked. */
export const TELL_MS = 100;

/** Below these, a change is no news: the caller would choose the same worker. */
const NOTABLE_PART = 0.25;
const NOTABLE_MS = 1;
const NOTABLE_ROWS = 1;

export class ToldLoad {
  #rows = 0;
  #waitMs = -1;
  #isFull = false;
  #wasToldNow = false;

  /** The caller is told by a frame that is sent anyway. */
  tell(load: LinkLoad): void {
    this.#rows = load.queuedRows + load.inFlightRows;
    this.#waitMs = load.waitMs;
    this.#isFull = load.isFull;
    this.#wasToldNow = true;
  }

  /** True: nothing was told since the last time this was asked, and `load` is news. */
  isDue(load: LinkLoad): boolean {
    if (this.#wasToldNow) {
      this.#wasToldNow = false;
      return false;
    }
    if (load.isFull || this.#isFull) return true; // D1
    if (load.waitMs < 0 || this.#waitMs < 0) {
      return load.waitMs !== this.#waitMs || isNews(load.queuedRows + load.inFlightRows, this.#rows, NOTABLE_ROWS);
    }
    return isNews(load.waitMs, this.#waitMs, NOTABLE_MS);
  }
}

function isNews(now: number, told: number, least: number): boolean {
  return Math.abs(now - told) > Math.max(least, told * NOTABLE_PART);
}
