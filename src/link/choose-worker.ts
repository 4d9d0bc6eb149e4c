/** What a caller knows of a runner worker when it chooses one. */
export interface WorkerView {
  /** False: not connected, draining, or at its limit. */
  readonly accepts: boolean;
  /** Our own calls there. */
  readonly inFlight: number;
  /** Rows queued and in flight at the last report, calls of others included. */
  readonly reportedRows: number;
  readonly reportedAtMs: number;
}

/** An older report says nothing: a worker that was busy once must not be avoided for ever, since only calls bring reports. */
export const REPORT_VALID_MS = 250;

/**
 * The index of the least loaded worker that accepts, -1 if none does. Pure.
 *
 * Load is our own calls plus the rows last reported. Our own calls count twice where they were in that report; that is so
 * for every worker, and between reports our own count is the only one that is current.
 *
 * @param turn - any count that grows by one per call: ties go round by it.
 */
export function chooseWorker(workers: readonly WorkerView[], turn: number, nowMs: number): number {
  const { length } = workers;
  let chosen = -1;
  let least = Infinity;
  for (let i = 0; i < length; i += 1) {
    const index = (turn + i) % length;
    const worker = workers[index] as WorkerView;
    if (!worker.accepts) continue;
    const load = worker.inFlight + (nowMs - worker.reportedAtMs <= REPORT_VALID_MS ? worker.reportedRows : 0);
    if (load >= least) continue;
    least = load;
    chosen = index;
  }
  return chosen;
}
