import type { PlannedRun } from '../batching/batch-planner.js';
import type { Piece } from './pending-call.js';
import { whyStuck, type RunHistory } from '../batching/stuck-watch.js';

// The runs under way, watched.
// N1 A run that nobody waits for any more is aborted once, and then given up where it does not end.
// N2 The timer runs while there are runs; `close` stops it.

export interface RunningBatch {
  readonly run: PlannedRun;
  readonly pieces: readonly Piece[];
  readonly isStream: boolean;
  readonly abort: () => void;
  abandonedAtMs: number | undefined;
}

export interface RunningBatchesOptions {
  readonly historyOf: (method: number) => RunHistory;
  /** Called once: one stuck run is enough to give up the process. */
  readonly onStuck: (batch: RunningBatch, why: string) => void;
  /** Least time after which a run can be stuck, in ms. */
  readonly stuckAfterMs: number | undefined;
}

const WATCH_EVERY_MS = 500;

export class RunningBatches {
  readonly #options: RunningBatchesOptions;
  readonly #batches = new Set<RunningBatch>();
  #timer: NodeJS.Timeout | undefined;
  #isGivenUp = false;

  constructor(options: RunningBatchesOptions) {
    this.#options = options;
  }

  add(batch: RunningBatch): void {
    this.#batches.add(batch);
    this.#timer ??= setInterval(() => {
      this.#look();
    }, WATCH_EVERY_MS);
  }

  delete(batch: RunningBatch): void {
    this.#batches.delete(batch);
    if (this.#batches.size > 0) return;
    this.close();
  }

  /** A caller has gone: aborts the runs that were for it alone. */
  abortAbandoned(): void {
    for (const batch of this.#batches) {
      if (batch.abandonedAtMs !== undefined || batch.pieces.some((piece) => !piece.call.isSettled)) continue;
      batch.abandonedAtMs = performance.now();
      batch.abort();
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const { historyOf, onStuck, stuckAfterMs } = this.#options;
    const nowMs = performance.now();
    for (const batch of this.#batches) {
      const { run, abandonedAtMs, isStream, pieces } = batch;
      const isReplay = pieces.some(({ call }) => call.served.isReplay);
      const runningMs = nowMs - run.startedAtMs;
      const abandonedMs = abandonedAtMs === undefined ? undefined : nowMs - abandonedAtMs;
      const why = whyStuck(
        { runningMs, abandonedMs, isStream, isReplay, history: historyOf(run.method) },
        stuckAfterMs,
      );
      if (why === undefined || this.#isGivenUp) continue;
      this.#isGivenUp = true;
      onStuck(batch, why);
    }
  }
}
