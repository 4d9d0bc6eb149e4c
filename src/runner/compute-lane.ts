import { Worker } from 'node:worker_threads';
import { JubakoError } from '../errors.js';
import type { FromThread, ThreadBoot, ThreadPayload, ThreadResult, ToThread } from './thread-messages.js';

/** One run of the model. */
export interface LaneJob {
  readonly method: string;
  readonly rows: number;
  readonly payload: ThreadPayload;
  readonly requestIds: readonly string[];
}

export interface LaneDone {
  readonly result: ThreadResult;
  readonly computeMs: number;
}

/** What the scheduler runs batches on; a fake in the tests is another. */
export interface Lane {
  /**
   * Runs one job; the payload's buffers belong to the lane from here on.
   * @throws {LaneError} rejects with what the model threw, or RUNNER_LOST when the thread has died.
   */
  run(job: LaneJob): RunningJob;
}

export interface RunningJob {
  readonly done: Promise<LaneDone>;
  /** Nobody waits any more: aborts the signal of the model. The job still ends by `done`. */
  abort(): void;
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

interface Pending {
  readonly resolve: (done: LaneDone) => void;
  readonly reject: (error: LaneError) => void;
}

/** A compute thread as the main thread sees it. */
export class ComputeLane implements Lane {
  /** Resolves when the model is loaded and warm; rejects with the load's own failure. */
  readonly ready: Promise<void>;
  /** Resolves with the reason when the thread has ended, expected or not. */
  readonly ended: Promise<string>;
  readonly #thread: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextJobId = 1;

  constructor(boot: ThreadBoot) {
    this.#thread = new Worker(new URL('./compute-thread.js', import.meta.url), {
      workerData: boot,
      name: `compute ${boot.runner}`,
    });
    this.ready = new Promise((resolve, reject) => {
      this.#thread.on('message', (message: FromThread) => {
        if (message.type === 'ready') resolve();
        else if (message.type === 'loadFailed') reject(JubakoError.fromBody(message.error));
        else this.#settle(message);
      });
      this.#thread.once('exit', (code) => {
        reject(
          new JubakoError(
            'SERVICE_INVALID',
            `Cannot load the runner "${boot.runner}": its thread ended by itself (code ${code})`,
          ),
        );
      });
      this.#thread.once('error', (error) => {
        reject(
          new JubakoError('SERVICE_INVALID', `Cannot load the runner "${boot.runner}": ${error.message}`, {
            cause: error,
          }),
        );
      });
    });
    this.ended = new Promise((resolve) => {
      let reason = 'the compute thread ended';
      this.#thread.on('error', (error) => {
        reason = `the compute thread failed: ${error.stack ?? error.message}`;
      });
      this.#thread.once('exit', (code) => {
        this.#failAll(`${reason} (code ${code})`);
        resolve(`${reason} (code ${code})`);
      });
    });
    this.ready.catch(() => undefined); // whoever waits for it sees the failure; nobody may be waiting yet
  }

  run(job: LaneJob): RunningJob {
    const jobId = this.#nextJobId++;
    const done = new Promise<LaneDone>((resolve, reject) => {
      this.#pending.set(jobId, { resolve, reject });
    });
    this.#post({ type: 'run', jobId, ...job }, transferOf(job.payload));
    return {
      done,
      abort: () => {
        this.#post({ type: 'abort', jobId });
      },
    };
  }

  async close(): Promise<void> {
    await this.#thread.terminate();
  }

  #post(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.#thread.postMessage(message, transfer);
  }

  #settle(message: Extract<FromThread, { readonly jobId: number }>): void {
    const pending = this.#pending.get(message.jobId);
    if (pending === undefined) return; // failed already, by the thread's end
    this.#pending.delete(message.jobId);
    if (message.type === 'done') pending.resolve(message);
    else pending.reject(new LaneError(JubakoError.fromBody(message.error), message.computeMs, message.stack));
  }

  #failAll(reason: string): void {
    for (const pending of this.#pending.values()) {
      pending.reject(new LaneError(new JubakoError('RUNNER_LOST', `Cannot finish the batch: ${reason}`), 0, undefined));
    }
    this.#pending.clear();
  }
}

function transferOf(payload: ThreadPayload): ArrayBuffer[] {
  if (payload.kind === 'json') return [payload.text.buffer as ArrayBuffer];
  return payload.tensors.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []));
}
