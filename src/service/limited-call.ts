import type { Cancellation, CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { CallContext } from './invoke.js';

// L1 A call settles by whichever comes first: its answer, its failure, its deadline, its caller's leaving. A handler or a
//    model that ignores its signal delays nobody.

/** The nearer of the caller's own deadline and of a limit from now on; Infinity: none. */
export function nearerDeadline(call: CallContext, timeoutMs: number, nowMs: number): number {
  return Math.min(call.deadlineAtMs ?? Infinity, timeoutMs > 0 ? nowMs + timeoutMs : Infinity);
}

/** @throws {JubakoError} what the call was cancelled with, or DEADLINE_EXCEEDED. */
export function refuseLate({ cancellation }: CallContext, leftMs: number): void {
  if (leftMs <= 0) throw new JubakoError('DEADLINE_EXCEEDED', 'Cannot start the request: its deadline has passed');
  if (cancellation.reason !== undefined) throw cancellation.reason;
}

/** Runs `work` until it ends, or the call is cancelled, or the nearer of the two deadlines passes (L1). */
export function withLimits(
  call: CallContext,
  timeoutMs: number,
  work: (deadlineAtMs: number | undefined) => Promise<unknown>,
): Promise<unknown> {
  const nowMs = performance.now();
  const deadlineAtMs = nearerDeadline(call, timeoutMs, nowMs);
  const leftMs = deadlineAtMs - nowMs;
  try {
    refuseLate(call, leftMs);
  } catch (thrown) {
    return Promise.reject(JubakoError.from(thrown));
  }
  return new Promise((resolve, reject) => {
    const limited = new LimitedCall(call.cancellation, leftMs, reject);
    work(deadlineAtMs === Infinity ? undefined : deadlineAtMs).then(
      (output) => {
        limited.end();
        resolve(output);
      },
      (thrown: unknown) => {
        limited.end();
        reject(JubakoError.from(thrown));
      },
    );
  });
}

/** The watch over one call: its timer, and its place among those that the cancellation tells. */
export class LimitedCall implements CancelTarget {
  readonly #cancellation: Cancellation;
  readonly #leftMs: number;
  readonly #reject: (error: JubakoError) => void;
  readonly #timer: NodeJS.Timeout | undefined;

  /** @param reject - told once, when the call is cancelled before `end`. */
  constructor(cancellation: Cancellation, leftMs: number, reject: (error: JubakoError) => void) {
    this.#cancellation = cancellation;
    this.#leftMs = leftMs;
    this.#reject = reject;
    cancellation.add(this);
    this.#timer = leftMs === Infinity ? undefined : setTimeout(expire, Math.ceil(leftMs), this);
  }

  expire(): void {
    const limit = `${Math.round(this.#leftMs)} ms`;
    this.#cancellation.cancel(
      new JubakoError('DEADLINE_EXCEEDED', `Cannot answer within ${limit}: the deadline has passed`),
    );
  }

  onCancel(reason: JubakoError): void {
    this.end();
    this.#reject(reason);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#cancellation.remove(this);
  }
}

function expire(call: LimitedCall): void {
  call.expire();
}
