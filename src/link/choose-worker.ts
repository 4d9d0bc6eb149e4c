import type { ReportedLoad } from './reported-load.js';

// Which worker of a runner gets a call: the one that is predicted to answer it first. Pure.
// K1 A worker tells with every answer how long a new call would wait there (`waitMs`). That runs off as time passes, down
//    to the time of a run, and grows by the calls that were sent there since. Ours are known; by what the report says, each
//    of them stands for some rows: its own, and those that other callers send in the same time.
// K2 Work that should be done by now and is not counts against its worker: one that has stopped looks worse with every
//    moment.
// K3 A worker that was slow is tried again. Where we have no calls there, nothing brings news, so the excess of its
//    estimate over what the fastest takes halves with every `HALF_LIFE_MS`.
// K4 Where nobody knows its `waitMs` yet, the worker with fewest rows gets the call; a worker that does not know it among
//    others that do is taken for one as fast as the fastest.

/** What a caller knows of a runner worker when it chooses one. */
export interface WorkerView {
  /** False: not connected, draining, full, or at a limit that a call with a body of `bytes` would break. */
  takes(bytes: number): boolean;
  /** Our own calls there. */
  readonly inFlight: number;
  /** When the first of them was sent that found none there, on the clock of `performance.now()`. */
  readonly busyAtMs: number;
  /** Those of our calls, answered ones included, that the last report does not count. */
  readonly sentSince: number;
  readonly load: ReportedLoad;
}

/** Reported rows that are older say nothing: that worker must not be avoided for ever. */
export const ROWS_VALID_MS = 250;

/**
 * A worker four times as slow as its peers has an excess of three runs over them; under load they have one of up to a run
 * themselves. So it is tried again after some three half-lives: with 1 s, by one call in 3 s per caller, which from 33
 * calls a second on is less than one in a hundred and not seen in the p99. One that has recovered is back within seconds.
 */
export const HALF_LIFE_MS = 1000;

/** Rows that one call of ours stands for, at most: it may be the first of ours among many of others. */
const MAX_ROWS_PER_CALL = 256;

/**
 * The index of the worker that should get the call, -1 if none takes it.
 *
 * @param bytes - of the call's body.
 * @param turn - any count that grows by one per call: ties go round by it.
 */
export function chooseWorker(workers: readonly WorkerView[], bytes: number, turn: number, nowMs: number): number {
  const { length } = workers;
  let idleMs = Infinity;
  let rowMs = Infinity;
  for (let i = 0; i < length; i += 1) {
    const { load } = workers[i] as WorkerView;
    if (load.waitMs < 0 || load.runMs < 0) continue;
    idleMs = Math.min(idleMs, load.runMs, load.waitMs);
    rowMs = Math.min(rowMs, load.rowMs);
  }
  let chosen = -1;
  let least = Infinity;
  for (let i = 0; i < length; i += 1) {
    const index = (turn + i) % length;
    const worker = workers[index] as WorkerView;
    if (!worker.takes(bytes)) continue;
    const estimate = idleMs === Infinity ? rowsThere(worker, nowMs) : predictMs(worker, idleMs, rowMs, nowMs);
    if (estimate >= least) continue;
    least = estimate;
    chosen = index;
  }
  return chosen;
}

/** @param idleMs - what the fastest worker takes when it is idle. */
function predictMs(worker: WorkerView, idleMs: number, rowMs: number, nowMs: number): number {
  const { load, inFlight, sentSince } = worker;
  if (load.waitMs < 0 || load.runMs < 0) return idleMs + rowsThere(worker, nowMs) * rowMs; // K4
  const runMs = Math.min(load.runMs, load.waitMs);
  if (inFlight === 0) {
    const ageMs = nowMs - load.atMs;
    return idleMs + (Math.max(runMs, load.waitMs - ageMs) - idleMs) * 2 ** (-ageMs / HALF_LIFE_MS); // K3
  }
  const sinceMs = Math.max(load.atMs, worker.busyAtMs);
  const rowsPerCall = Math.min(MAX_ROWS_PER_CALL, Math.max(1, load.rows / Math.max(1, inFlight - sentSince)));
  const workMs = Math.max(runMs, load.waitMs - (sinceMs - load.atMs)) + sentSince * rowsPerCall * load.rowMs;
  const leftMs = workMs - (nowMs - sinceMs);
  return leftMs > 0 ? Math.max(runMs, leftMs) : runMs - leftMs; // K1, K2
}

/**
 * Our own calls count twice where they were in the report; that is so for every worker, and between reports our own count
 * is the only one that is current.
 */
function rowsThere({ load, inFlight }: WorkerView, nowMs: number): number {
  return inFlight + (nowMs - load.atMs <= ROWS_VALID_MS ? load.rows : 0);
}
