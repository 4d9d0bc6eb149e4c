import type { JubakoError } from '../errors.js';
import type { ThreadPayload, ThreadResult } from './thread-messages.js';

// What the scheduler runs batches on, and nothing about how: a compute thread, or a fake in the tests.

/** One run of the model. */
export interface LaneJob {
  readonly method: string;
  /** Rows of the payload; 1 for a method without batches. */
  readonly rows: number;
  /** Belongs to the lane from `run` on. */
  readonly payload: ThreadPayload;
  readonly requestIds: readonly string[];
  /** When the last of its callers gives up, on the clock of `performance.now()`; undefined: never. For calls to other runners. */
  readonly deadlineAtMs: number | undefined;
}

export interface LaneDone {
  readonly result: ThreadResult;
  readonly computeMs: number;
}

export interface RunningJob {
  /** Rejects with a LaneError: what the model threw, or RUNNER_LOST when the thread has died. */
  readonly done: Promise<LaneDone>;
  /** Nobody waits any more: aborts the signal of the model. The job still ends by `done`. */
  abort(): void;
}

export interface RunningStream {
  /** Resolves when the last item was given; rejects as that of a `RunningJob`. */
  readonly done: Promise<{ readonly computeMs: number }>;
  /** The model may give `count` more items. It gives none beyond what was pulled. */
  pull(count: number): void;
  /** Ends the generator and aborts its signal; `done` follows. */
  abort(): void;
}

export interface Lane {
  run(job: LaneJob): RunningJob;
  /** A method that streams. @param onItem - one value in the form of an unbatched result. */
  stream(job: LaneJob, onItem: (item: ThreadResult) => void): RunningStream;
}

/** A failure inside the thread; the stack is the user's. */
export class LaneError extends Error {
  readonly error: JubakoError;
  readonly computeMs: number;
  readonly userStack: string | undefined;
  constructor(error: JubakoError, computeMs: number, userStack: string | undefined) {
    super(error.message, { cause: error });
    this.error = error;
    this.computeMs = computeMs;
    this.userStack = userStack;
  }
}
