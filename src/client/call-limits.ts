import { ClientError } from './client-error.js';

// What ends a call from the caller's side: its signal, its time, and that it stops reading.
// L1 The signal of the caller and the timer are let go when the call has ended, however it ended.
// L2 The first reason stays: a call that was aborted by the caller never fails with DEADLINE_EXCEEDED afterwards.

/** What `setTimeout` can hold; beyond, it would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class CallLimits {
  readonly #timeoutMs: number;
  readonly #userSignal: AbortSignal | undefined;
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endsAtMs = Infinity;
  #hasLeft = false;

  /**
   * @param timeoutMs - undefined or Infinity: no limit.
   * @throws {JubakoError} INVALID_INPUT - `timeoutMs` is not above 0.
   */
  constructor(timeoutMs: number | undefined, userSignal: AbortSignal | undefined) {
    this.#timeoutMs = checkTimeout(timeoutMs);
    this.#userSignal = userSignal;
    if (userSignal === undefined) return;
    if (userSignal.aborted) this.#onUserAbort();
    else userSignal.addEventListener('abort', this.#onUserAbort, { once: true });
  }

  /** For `fetch`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** True: the caller has stopped reading, so there is nobody to tell. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  get remainingMs(): number {
    return this.#endsAtMs - performance.now();
  }

  /** Time counts from now, unless it counts already. */
  startTimer(): void {
    if (this.#timeoutMs > MAX_TIMER_MS || this.#timer !== undefined) return;
    this.#endsAtMs = performance.now() + this.#timeoutMs;
    this.#timer = setTimeout(() => {
      this.#controller.abort(
        new ClientError('DEADLINE_EXCEEDED', `The call took longer than ${this.#timeoutMs} ms (timeoutMs)`),
      );
    }, this.#timeoutMs);
  }

  stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#endsAtMs = Infinity;
  }

  /** The caller stops reading: what is under way is given up. */
  leave(): void {
    this.#hasLeft = true;
    this.#controller.abort();
  }

  /** Waits for what others wait for as well: only this caller's wait ends when its limits are reached. */
  async race<T>(shared: Promise<T>): Promise<T> {
    const { signal } = this;
    signal.throwIfAborted();
    let onAbort = (): void => undefined;
    const ended = new Promise<never>((_resolve, reject) => {
      onAbort = (): void => {
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort);
    });
    try {
      return await Promise.race([shared, ended]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async wait(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const passed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(ms, MAX_TIMER_MS));
    });
    try {
      await this.race(passed);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * What to throw for what `fetch` or a body threw: the caller's own reason, that the time is over, or else `otherwise`.
   * `fetch` throws the reason of its signal in some runtimes and an error of its own in others.
   */
  reasonOr(otherwise: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : otherwise;
  }

  /** L1 */
  end(): void {
    this.stopTimer();
    this.#userSignal?.removeEventListener('abort', this.#onUserAbort);
  }

  readonly #onUserAbort = (): void => {
    this.#controller.abort(this.#userSignal?.reason);
  };
}

/** @throws {JubakoError} INVALID_INPUT */
export function checkTimeout(timeoutMs = Infinity): number {
  if (timeoutMs > 0) return timeoutMs;
  throw new ClientError('INVALID_INPUT', `Cannot use timeoutMs ${timeoutMs}: wanted a number of milliseconds above 0`);
}
