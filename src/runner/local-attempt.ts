import type { ErrorBody, JubakoError } from '../errors.js';
import { encodeErrorBody, parseErrorBody } from '../link/error-body.js';
import type { ReplyTiming } from '../link/frame-meta.js';
import { NO_TIMING, type ServedCall } from '../link/incoming-call.js';
import type { CallHolder, OutgoingCall } from '../link/outgoing-call.js';
import { decodeValue, type EncodedValue } from '../tensor/index.js';

// A call to an embedded runner in the hands of a scheduler: what both ends of a link are to a call that goes over one.
// E1 Values and failures go through the codec of the link, so that a runner gives the same results in either placement, and
//    nothing that one side changes later reaches the other.
// E2 Once it is over, what its scheduler says of it is heard by nobody.

export class LocalAttempt implements ServedCall, CallHolder {
  readonly call: OutgoingCall;
  readonly body: Uint8Array;
  onCancel: (() => void) | undefined = undefined;
  onCredit: ((count: number) => void) | undefined = undefined;
  readonly #onOver: (attempt: LocalAttempt) => void;
  #credit: number;
  #isOver = false;

  /** @param onOver - called once, however it ends. */
  constructor(call: OutgoingCall, isIdempotent: boolean, onOver: (attempt: LocalAttempt) => void) {
    this.call = call;
    this.body = toBytes(call.value);
    this.#onOver = onOver;
    this.#credit =
      call.reader?.onSent((count) => {
        this.#credit += count;
        this.onCredit?.(count);
      }) ?? 0;
    call.isRepeatable = isIdempotent;
    call.holder = this;
  }

  get method(): string {
    return this.call.request.method;
  }

  get deadlineAtMs(): number | undefined {
    return this.call.request.deadlineAtMs;
  }

  get requestId(): string {
    return this.call.request.requestId;
  }

  get priority(): ServedCall['priority'] {
    return this.call.request.priority;
  }

  get isReplay(): boolean {
    return this.call.isReplay;
  }

  get credit(): number {
    return this.#credit;
  }

  begin(): void {
    if (this.isReplay) this.call.isRepeatable = false;
  }

  respond(value: EncodedValue, timing: ReplyTiming): void {
    if (this.#settle(timing)) this.call.succeed(decodeValue(toBytes(value)));
  }

  fail(error: JubakoError | ErrorBody, timing: ReplyTiming = NO_TIMING): void {
    if (this.#settle(timing)) this.call.fail(parseErrorBody(encodeErrorBody(error)));
  }

  sendItem(value: EncodedValue): void {
    if (this.#isOver) return;
    this.#credit -= 1;
    this.call.isRepeatable = false; // its caller has seen a part of the answer
    this.call.reader?.push(decodeValue(toBytes(value)), value.byteLength);
  }

  end(timing: ReplyTiming): void {
    if (this.#settle(timing)) this.call.succeed(undefined);
  }

  /** Its caller has gone. */
  drop(): void {
    this.detach();
    this.onCancel?.();
  }

  /** Its scheduler has gone. */
  detach(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.call.holder = undefined;
    this.#onOver(this);
  }

  /** False: it was over. */
  #settle({ queueMs, batchMs, computeMs, batchRows }: ReplyTiming): boolean {
    if (this.#isOver) return false;
    const { timing } = this.call.request;
    timing.queueMs += queueMs;
    timing.batchMs += batchMs;
    timing.computeMs += computeMs;
    if (batchRows > timing.batchRows) timing.batchRows = batchRows;
    this.detach();
    return true;
  }
}

function toBytes({ head, parts, byteLength }: EncodedValue): Uint8Array {
  if (parts.length === 0) return head;
  const bytes = new Uint8Array(byteLength); // at offset 0 of its buffer, as aligned views need it
  bytes.set(head);
  let at = head.byteLength;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
