import { Cancellation } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { MethodDefinition } from '../service/define.js';
import { MIN_REUSED_BYTES } from './batch-buffers.js';
import type { NestedRunners } from './nested-runners.js';
import { readPayload } from './read-payload.js';
import { ContextOfRun } from './run-context.js';
import { toRunFailure } from './run-failure.js';
import { buffersOf, type JobMessage, type PostFromThread } from './thread-messages.js';
import { writeResult } from './write-result.js';

/** A method of the loaded runner, ready to run. */
export interface LoadedMethod {
  readonly definition: MethodDefinition;
  /** `digits.predict`, for messages. */
  readonly label: string;
  readonly model: unknown;
  readonly nested: NestedRunners | null;
}

/** A job of the thread, as the messages about it see it. */
export interface ThreadJob {
  /** Settles when the job has posted its answer; never rejects. */
  readonly finished: Promise<void>;
  /** For streams. */
  pull(count: number): void;
  abort(): void;
}

/** One run of a method that gives one value. It posts exactly one `done` or `failed`, whatever the user's code throws. */
export class MethodRun implements ThreadJob {
  readonly finished: Promise<void>;
  readonly #job: JobMessage;
  readonly #cancellation = new Cancellation();

  constructor(method: LoadedMethod, job: JobMessage, post: PostFromThread) {
    this.#job = job;
    this.finished = this.#run(method, post);
  }

  pull(): void {
    throw new TypeError(`Cannot pull values from job ${this.#job.jobId}: it is no stream`);
  }

  abort(): void {
    this.#cancellation.cancel(nobodyWaits());
  }

  async #run({ definition, label, model, nested }: LoadedMethod, post: PostFromThread): Promise<void> {
    const startedAtMs = performance.now();
    const { jobId, rows, payload } = this.#job;
    const context = new ContextOfRun(this.#job, this.#cancellation, nested);
    try {
      const output = await definition.run(model, readPayload(payload), context);
      const inputs = payload.kind === 'tensors' ? buffersOf(payload) : [];
      const result = writeResult(definition, output, rows, label, inputs);
      const moved = buffersOf(result);
      const spent = inputs.filter((buffer) => buffer.byteLength >= MIN_REUSED_BYTES && !moved.includes(buffer));
      const computeMs = performance.now() - startedAtMs;
      post({ type: 'done', jobId, result, computeMs, spent }, spent.length === 0 ? moved : [...moved, ...spent]);
    } catch (thrown) {
      const computeMs = performance.now() - startedAtMs;
      post({ type: 'failed', jobId, ...toRunFailure(thrown), computeMs });
    } finally {
      context.end();
    }
  }
}

export function nobodyWaits(): JubakoError {
  return new JubakoError('CLIENT_GONE', 'Nobody waits for the result any more');
}
