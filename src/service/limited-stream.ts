import type { CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { CallContext } from './invoke.js';
import { nearerDeadline, refuseLate } from './limited-call.js';

// S1 Every `next` settles: by a value, the end, a failure, a limit, or the caller's leaving, whatever the source does.
// S2 The source is asked for a value only when the reader asks: back-pressure reaches the generator.
// S3 When the stream is over, however it got there, the source has been told to end and `onOver` was called, once.

/** In ms; 0 = none. Time in which nobody asks for a value counts for the whole only. */
export interface StreamLimits {
  readonly firstMs: number;
  readonly idleMs: number;
  readonly wholeMs: number;
}

export interface StreamSource {
  /** @param deadlineAtMs - of the whole. */
  begin(deadlineAtMs: number | undefined): Promise<AsyncIterator<unknown>>;
  /** What the reader gets for a value of the source. @throws {JubakoError} USER_CODE */
  check(value: unknown): unknown;
  onOver(): void;
}

const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

interface Pending {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void;
  readonly reject: (error: JubakoError) => void;
}

/** The values of one call under its limits. One `next` at a time. */
export class LimitedStream implements AsyncIterableIterator<unknown, undefined>, CancelTarget {
  readonly #call: CallContext;
  readonly #limits: StreamLimits;
  readonly #source: StreamSource;
  #state: 'unread' | 'open' | 'over' = 'unread';
  #iterator: AsyncIterator<unknown> | undefined;
  #pending: Pending | undefined;
  #failure: JubakoError | undefined;
  #wholeTimer: NodeJS.Timeout | undefined;
  #stepTimer: NodeJS.Timeout | undefined;

  constructor(call: CallContext, limits: StreamLimits, source: StreamSource) {
    this.#call = call;
    this.#limits = limits;
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#state === 'over') return Promise.resolve(END);
    if (this.#pending !== undefined) throw new TypeError('Cannot ask a stream for two values at a time');
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      void this.#step(); // never rejects
    });
  }

  /** The reader has gone: the call is cancelled, so that what the source waits for ends too. */
  return(): Promise<IteratorReturnResult<undefined>> {
    if (this.#state === 'open') {
      this.#call.cancellation.remove(this);
      this.#call.cancellation.cancel(new JubakoError('CLIENT_GONE', 'Nobody reads the stream any more'));
    }
    this.#finish();
    this.#take()?.resolve(END);
    return Promise.resolve(END);
  }

  onCancel(reason: JubakoError): void {
    this.#fail(reason);
  }

  async #step(): Promise<void> {
    try {
      const isFirst = this.#state === 'unread';
      if (isFirst) this.#open();
      this.#watch(isFirst);
      if (isFirst) await this.#begin();
      if (this.#iterator === undefined) return; // over meanwhile
      const result = await this.#iterator.next();
      if ((this.#state as string) === 'over') return;
      clearTimeout(this.#stepTimer);
      if (result.done === true) {
        this.#finish();
        this.#take()?.resolve(END);
      } else {
        const value = this.#source.check(result.value);
        this.#take()?.resolve({ done: false, value });
      }
    } catch (thrown) {
      this.#fail(JubakoError.from(thrown, 'USER_CODE'));
    }
  }

  #open(): void {
    const nowMs = performance.now();
    const deadlineAtMs = nearerDeadline(this.#call, this.#limits.wholeMs, nowMs);
    const leftMs = deadlineAtMs - nowMs;
    refuseLate(this.#call, leftMs);
    this.#state = 'open';
    this.#call.cancellation.add(this);
    if (leftMs !== Infinity) {
      this.#wholeTimer = this.#expireIn(
        leftMs,
        `Cannot finish the stream within ${Math.round(leftMs)} ms: its deadline has passed`,
      );
    }
  }

  async #begin(): Promise<void> {
    const deadlineAtMs = nearerDeadline(this.#call, this.#limits.wholeMs, performance.now());
    const iterator = await this.#source.begin(deadlineAtMs === Infinity ? undefined : deadlineAtMs);
    if (this.#state === 'over') endQuietly(iterator);
    else this.#iterator = iterator;
  }

  #watch(isFirst: boolean): void {
    const ms = isFirst ? this.#limits.firstMs : this.#limits.idleMs;
    if (ms === 0) return;
    const which = isFirst ? 'first' : 'next';
    this.#stepTimer = this.#expireIn(
      ms,
      `Cannot give the ${which} value of the stream within ${ms} ms: its deadline has passed`,
    );
  }

  #expireIn(ms: number, message: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.#call.cancellation.cancel(new JubakoError('DEADLINE_EXCEEDED', message));
    }, Math.ceil(ms));
  }

  #fail(error: JubakoError): void {
    if (this.#state === 'over') return;
    this.#failure = error;
    this.#finish();
    this.#take()?.reject(error);
  }

  #take(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }

  /** S3 */
  #finish(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    clearTimeout(this.#wholeTimer);
    clearTimeout(this.#stepTimer);
    this.#call.cancellation.remove(this);
    const iterator = this.#iterator;
    this.#iterator = undefined;
    if (iterator !== undefined) endQuietly(iterator);
    this.#source.onOver();
  }
}

/** Nobody waits for it: a generator that is stuck in an await ends when that await does. */
function endQuietly(iterator: AsyncIterator<unknown>): void {
  try {
    iterator.return?.()?.then(undefined, ignore);
  } catch {
    // What a source throws when it is told to end is of no use to a reader that has gone.
  }
}

function ignore(): void {
  // As above.
}
