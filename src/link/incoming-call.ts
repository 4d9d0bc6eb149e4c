import type { ErrorBody, JubakoError } from '../errors.js';
import type { EncodedValue } from '../tensor/index.js';
import { REQUEST_META_BYTES, type Frame } from './frame.js';
import type { ReplyTiming } from './frame-writer.js';

/** What a call needs of the connection that it came by. */
export interface CallOwner {
  answer(call: IncomingCall, value: EncodedValue, timing: ReplyTiming): void;
  refuse(call: IncomingCall, error: JubakoError | ErrorBody, timing: ReplyTiming): void;
}

export const NO_TIMING: ReplyTiming = { queueMs: 0, batchMs: 0, computeMs: 0, batchRows: 0 };

/**
 * A call as the runner sees it. It is answered once: by `respond`, by `fail`, or by nobody after a cancellation; what comes
 * later is ignored.
 */
export class IncomingCall {
  readonly id: number;
  readonly method: string;
  /** For `peekValue` or `decodeValue`; a view of the received chunk. */
  readonly body: Uint8Array;
  /** On the clock of `performance.now()`. */
  readonly deadlineAtMs: number | undefined;
  /** Called at most once, when the caller has gone and the call is still unanswered. */
  onCancel: (() => void) | undefined = undefined;
  readonly #owner: CallOwner;
  readonly #frame: Frame;
  #state: 'open' | 'answered' | 'cancelled' = 'open';

  constructor(owner: CallOwner, frame: Frame, method: string, deadlineAtMs: number | undefined) {
    this.id = frame.id;
    this.method = method;
    this.body = frame.body;
    this.deadlineAtMs = deadlineAtMs;
    this.#owner = owner;
    this.#frame = frame;
  }

  /** Read when it is asked for: most calls succeed, and nobody asks. */
  get requestId(): string {
    const start = this.#frame.metaAt + REQUEST_META_BYTES;
    return this.#frame.bytes.toString('utf8', start, this.#frame.metaAt + this.#frame.metaBytes);
  }

  get cancelled(): boolean {
    return this.#state === 'cancelled';
  }

  /** The parts of `value` are sent from where they lie: leave them unchanged. */
  respond(value: EncodedValue, timing: ReplyTiming): void {
    if (this.#state !== 'open') return;
    this.#state = 'answered';
    this.#owner.answer(this, value, timing);
  }

  /** Code, message and details reach the caller; they are for the next process of ours, not yet for the client. */
  fail(error: JubakoError | ErrorBody, timing: ReplyTiming = NO_TIMING): void {
    if (this.#state !== 'open') return;
    this.#state = 'answered';
    this.#owner.refuse(this, error, timing);
  }

  /** For the connection only. */
  cancel(): void {
    if (this.#state !== 'open') return;
    this.#state = 'cancelled';
    this.onCancel?.();
  }
}
