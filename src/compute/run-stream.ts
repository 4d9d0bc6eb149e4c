import { Cancellation } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { Descriptor, StreamDescriptor } from '../descriptor/descriptor.js';
import { misfit } from '../service/misfit.js';
import { isStreamDescriptor } from '../descriptor/stream-descriptor.js';
import { readPayload } from './read-payload.js';
import { ContextOfRun } from './run-context.js';
import { toRunFailure } from './run-failure.js';
import { nobodyWaits, type LoadedMethod, type ThreadJob } from './run-method.js';
import { buffersOf, type JobMessage, type PostFromThread } from './thread-messages.js';
import { writeValue } from './write-result.js';

// One run of a method that streams: an async generator, asked for its values one by one.
// G1 It is asked for a value, or for its end, only while pulled credit is left, and never for two at a time.
// G2 Its values are followed by exactly one `end` or `failed`; nothing comes after that, and no value after an abort.
// G3 It is over when the generator has ended, with its `finally` blocks. A generator that ignores its signal and `return()` is
//    given up after the grace time: its slot is wanted.

const END_GRACE_MS = 1000;
/** A generator that never waits must not keep aborts, pulls and the user's own timers from being heard. */
const MAX_TURN_MS = 1;

export interface StreamRunOptions {
  readonly method: LoadedMethod;
  readonly job: JobMessage;
  readonly post: PostFromThread;
  /** Default 1000. */
  readonly endGraceMs?: number;
}

export class StreamRun implements ThreadJob {
  readonly finished: Promise<void>;
  readonly #options: StreamRunOptions;
  readonly #cancellation = new Cancellation();
  readonly #context: ContextOfRun;
  #tellFinished: () => void = () => undefined;
  #iterator: AsyncIterator<unknown> | undefined = undefined;
  #closing: Promise<unknown> | undefined = undefined;
  #grace: NodeJS.Timeout | undefined = undefined;
  #state: 'open' | 'closing' | 'over' = 'open';
  #credit = 0;
  /** Wakes the loop that waits for credit. */
  #wake: () => void = () => undefined;
  #computeMs = 0;

  constructor(options: StreamRunOptions) {
    this.#options = options;
    this.#context = new ContextOfRun(options.job, this.#cancellation, options.method.nested);
    this.finished = new Promise((resolve) => (this.#tellFinished = resolve));
    void this.#run();
  }

  pull(count: number): void {
    this.#credit += count;
    this.#wake();
  }

  abort(): void {
    if (this.#state !== 'open') return;
    this.#startClosing();
    this.#cancellation.cancel(nobodyWaits());
    this.#wake();
    // At once: an iterator that is no generator may end a `next` that is being waited for.
    if (this.#iterator !== undefined) this.#close().catch(() => undefined); // `#run` awaits the same promise
  }

  async #run(): Promise<void> {
    try {
      const { output } = this.#options.method.definition;
      if (!isStreamDescriptor(output)) throw new TypeError(`${this.#options.method.label} gives no stream`);
      this.#iterator = await this.#begin(output);
      await this.#giveValues(this.#iterator, output.of);
      if (!this.#isOpen()) await this.#close();
      this.#settle();
    } catch (thrown) {
      this.#startClosing();
      await this.#close().catch(() => undefined); // what failed first is the cause
      this.#settleFailed(thrown);
    }
  }

  async #begin(output: StreamDescriptor): Promise<AsyncIterator<unknown>> {
    const { method, job } = this.#options;
    const startedAtMs = performance.now();
    const given = await method.definition.run(method.model, readPayload(job.payload), this.#context);
    this.#computeMs += performance.now() - startedAtMs;
    let values: AsyncIterable<unknown>;
    try {
      values = output.check(given);
    } catch (thrown) {
      throw misfit(method.label, thrown);
    }
    return values[Symbol.asyncIterator]();
  }

  /** Returns when the generator has ended, or is to be closed. */
  async #giveValues(iterator: AsyncIterator<unknown>, of: Descriptor): Promise<void> {
    let turnAtMs = performance.now();
    while (this.#isOpen()) {
      if (this.#credit === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        turnAtMs = performance.now();
        continue;
      }
      const startedAtMs = performance.now();
      const next: IteratorResult<unknown, unknown> = await iterator.next();
      const nowMs = performance.now();
      this.#computeMs += nowMs - startedAtMs;
      if (next.done === true || !this.#isOpen()) return;
      this.#credit -= 1;
      this.#give(of, next.value);
      if (nowMs - turnAtMs < MAX_TURN_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turnAtMs = performance.now();
    }
  }

  #give(of: Descriptor, value: unknown): void {
    const { method, job, post } = this.#options;
    const result = writeValue(of, value, method.label);
    post({ type: 'item', jobId: job.jobId, result }, buffersOf(result));
  }

  /** As a call: `abort` may come while something is awaited. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #startClosing(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    const { method, endGraceMs = END_GRACE_MS } = this.#options;
    this.#grace = setTimeout(() => {
      const message = `${method.label} did not end within ${endGraceMs} ms after its stream was given up`;
      this.#settleFailed(new JubakoError('USER_CODE', message));
    }, endGraceMs);
  }

  /** Ends the generator, where it has not ended by itself; every call gets the same promise. */
  #close(): Promise<unknown> {
    this.#closing ??= (async () => this.#iterator?.return?.())();
    return this.#closing;
  }

  #settle(): void {
    if (!this.#finish()) return;
    const { job, post } = this.#options;
    post({ type: 'end', jobId: job.jobId, computeMs: this.#computeMs });
  }

  #settleFailed(thrown: unknown): void {
    if (!this.#finish()) return;
    const { job, post } = this.#options;
    post({ type: 'failed', jobId: job.jobId, ...toRunFailure(thrown), computeMs: this.#computeMs });
  }

  /** @returns false if it was over before (G2). */
  #finish(): boolean {
    if (this.#state === 'over') return false;
    this.#state = 'over';
    clearTimeout(this.#grace);
    this.#context.end();
    this.#tellFinished();
    return true;
  }
}
