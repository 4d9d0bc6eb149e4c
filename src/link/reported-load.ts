import type { LoadReport, ReplyTiming } from './frame-meta.js';

/** A caller that was told "full" believes it this long: two intervals of D1 (told-load.ts), and some delay. */
export const FULL_VALID_MS = 250;

/** Weight of the newest run in what is typical: a batch has many answers, so that one batch is nearly all of it. */
const NEWEST_WEIGHT = 1 / 8;

/** What a caller knows of one runner worker from the frames that came from it. */
export class ReportedLoad {
  /** Rows queued and in flight at the last report, calls of others included. */
  rows = 0;
  /** Until a call of one row that came at the last report would have been answered; -1 = unknown. */
  waitMs = -1;
  atMs = -Infinity;
  /** Newest call of ours that the last report counts. */
  seenId = 0;
  /** Time of a typical run, and of one row in it; -1 = unknown. */
  runMs = -1;
  rowMs = -1;
  #isFull = false;

  saw(report: LoadReport, nowMs: number): void {
    this.rows = report.queuedRows + report.inFlightRows;
    this.waitMs = report.waitMs;
    this.seenId = report.seenId;
    this.#isFull = report.isFull;
    this.atMs = nowMs;
  }

  /** An answer says how long its run took. */
  ran({ computeMs, batchRows }: ReplyTiming): void {
    if (batchRows === 0) return; // a refusal: nothing ran
    const rowMs = computeMs / batchRows;
    if (this.runMs < 0) {
      this.runMs = computeMs;
      this.rowMs = rowMs;
      return;
    }
    this.runMs += (computeMs - this.runMs) * NEWEST_WEIGHT;
    this.rowMs += (rowMs - this.rowMs) * NEWEST_WEIGHT;
  }

  /** True: a call of one row would be refused, as far as is known. */
  isFull(nowMs: number): boolean {
    return this.#isFull && nowMs - this.atMs <= FULL_VALID_MS;
  }

  get mayBeFull(): boolean {
    return this.#isFull;
  }
}
