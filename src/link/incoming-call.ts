import type { ErrorBody, JubakoError } from '../errors.js';
import type { EncodedValue } from '../tensor/index.js';
import type { Frame } from './frame.js';
import { REQUEST_META_BYTES, type Priority, type ReplyTiming, type RequestMeta } from './frame-meta.js';
import type { LinkMethod } from './hello.js';

/**
 * A call as the runner sees it, whichever way it came. It is answered once: by `respond` or, of a method that streams, by
 * items and `end`; by `fail`; or by nobody after `onCancel`. What comes later is ignored.
 */
export interface ServedCall {
  readonly method: string;
  /** For `peekValue` or `decodeValue`; a view of received bytes. */
  readonly body: Uint8Array;
  /** On the clock of `performance.now()`. */
  readonly deadlineAtMs: number | undefined;
  readonly requestId: string;
  readonly priority: Priority;
  /** Sent before to a worker that died with it: it may be what killed it, and runs alone. */
  readonly isReplay: boolean;
  /** To be called before it runs: a replay that is lost after it must not be sent to a third worker, one before may be. */
  begin(): void;
  /** Called at most once, when the call is unanswered and nobody wants more of it. */
  onCancel: (() => void) | undefined;
  /** The parts of `value` are sent from where they lie: leave them unchanged. */
  respond(value: EncodedValue, timing: ReplyTiming): void;
  /** Code, message and details reach the caller; they are for the next process of ours, not yet for the client. */
  fail(error: JubakoError | ErrorBody, timing?: ReplyTiming): void;
  /** Items that the caller takes right now. */
  readonly credit: number;
  /** Called when the caller takes `count` more. */
  onCredit: ((count: number) => void) | undefined;
  /** Costs one credit, and must not be called without. As of `respond`, `value` stays unchanged. */
  sendItem(value: EncodedValue): void;
  end(timing: ReplyTiming): void;
}

/** What a call needs of the connection that it came by. */
export interface CallOwner {
  answer(call: IncomingCall, value: EncodedValue, timing: ReplyTiming): void;
  refuse(call: IncomingCall, error: JubakoError | ErrorBody, timing: ReplyTiming): void;
  /** Undefined: it is on its way. */
  sendItem(call: IncomingCall, value: EncodedValue): JubakoError | undefined;
  end(call: IncomingCall, timing: ReplyTiming): void;
  begun(call: IncomingCall): void;
}

export const NO_TIMING: ReplyTiming = { queueMs: 0, batchMs: 0, computeMs: 0, batchRows: 0 };

/** A call that came by the link. */
export class IncomingCall implements ServedCall {
  readonly id: number;
  readonly body: Uint8Array;
  readonly deadlineAtMs: number | undefined;
  readonly priority: Priority;
  readonly isReplay: boolean;
  onCancel: (() => void) | undefined = undefined;
  onCredit: ((count: number) => void) | undefined = undefined;
  readonly #owner: CallOwner;
  readonly #method: LinkMethod;
  readonly #bytes: Buffer;
  readonly #requestIdAt: number;
  readonly #requestIdBytes: number;
  #credit: number;
  #state: 'open' | 'answered' | 'cancelled' = 'open';

  /** @param receivedAtMs - when its bytes came. */
  constructor(owner: CallOwner, frame: Frame, meta: RequestMeta, method: LinkMethod, receivedAtMs: number) {
    this.id = frame.id;
    this.body = frame.value;
    this.deadlineAtMs = meta.remainingMs === 0 ? undefined : receivedAtMs + meta.remainingMs;
    this.priority = meta.priority;
    this.isReplay = meta.isReplay;
    this.#owner = owner;
    this.#method = method;
    this.#bytes = frame.bytes;
    this.#requestIdAt = frame.metaAt + REQUEST_META_BYTES;
    this.#requestIdBytes = meta.requestIdBytes;
    this.#credit = meta.credit;
  }

  get method(): string {
    return this.#method.name;
  }

  get isStream(): boolean {
    return this.#method.streams;
  }

  /** Read when it is asked for: most calls succeed, and nobody asks. */
  get requestId(): string {
    return this.#bytes.toString('utf8', this.#requestIdAt, this.#requestIdAt + this.#requestIdBytes);
  }

  get cancelled(): boolean {
    return this.#state === 'cancelled';
  }

  get credit(): number {
    return this.#credit;
  }

  begin(): void {
    if (this.isReplay && this.#state === 'open') this.#owner.begun(this);
  }

  respond(value: EncodedValue, timing: ReplyTiming): void {
    if (this.isStream) throw new TypeError(`Cannot answer "${this.method}" with one value: it streams`);
    if (this.#state !== 'open') return;
    this.#state = 'answered';
    this.#owner.answer(this, value, timing);
  }

  fail(error: JubakoError | ErrorBody, timing: ReplyTiming = NO_TIMING): void {
    if (this.#state !== 'open') return;
    this.#state = 'answered';
    this.#owner.refuse(this, error, timing);
  }

  sendItem(value: EncodedValue): void {
    if (this.#state !== 'open') return;
    if (this.#credit === 0) throw new TypeError(`Cannot send an item of "${this.method}": the caller gave no credit`);
    this.#credit -= 1;
    const error = this.#owner.sendItem(this, value);
    if (error === undefined) return;
    this.fail(error);
    this.onCancel?.();
  }

  end(timing: ReplyTiming): void {
    if (!this.isStream) throw new TypeError(`Cannot end "${this.method}": it answers with one value`);
    if (this.#state !== 'open') return;
    this.#state = 'answered';
    this.#owner.end(this, timing);
  }

  /** For the connection only. */
  grant(count: number): void {
    this.#credit += count;
    this.onCredit?.(count);
  }

  /** For the connection only. */
  cancel(): void {
    if (this.#state !== 'open') return;
    this.#state = 'cancelled';
    this.onCancel?.();
  }
}
