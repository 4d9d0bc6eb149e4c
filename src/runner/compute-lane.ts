import { Worker } from 'node:worker_threads';
import { JubakoError } from '../errors.js';
import { LaneError, type LaneDone, type LaneJob, type RunningJob } from './lane.js';
import type { FromThread, ThreadBoot, ThreadPayload, ToThread } from './thread-messages.js';

interface Pending {
  readonly resolve: (done: LaneDone) => void;
  readonly reject: (error: LaneError) => void;
}

/** A compute thread as the main thread sees it. */
export class ComputeLane {
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
    const { method, rows, payload, requestIds } = job;
    this.#post({ type: 'run', jobId, method, rows, payload, requestIds }, transferOf(job.payload));
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
