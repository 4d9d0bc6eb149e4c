import type { Cancellation, CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { Timing } from '../telemetry/request-log.js';
import type { EncodedValue } from '../tensor/index.js';
import type { Priority } from './frame-meta.js';
import type { StreamReader } from './stream-reader.js';

export interface LinkRequest {
  readonly runner: string;
  readonly method: string;
  readonly input: unknown;
  readonly priority: Priority;
  readonly requestId: string;
  readonly cancellation: Cancellation;
  /** On the clock of `performance.now()`. */
  readonly deadlineAtMs: number | undefined;
  /** The times of the reply are added to it. */
  readonly timing: Timing;
}

/** A runner worker that died is back well within this; who has no worker after it hears NOT_READY. */
const WAIT_MS = 1000;
/** For a call that had a worker already and lost it, where no deadline says how long it may take. */
const MOVE_WAIT_MS = 30_000;
/** Calls that may wait for a worker; more would only be late together. */
export const MAX_WAITING = 1024;

/** Where an unsettled call is: on a connection, or with the pool that waits for one. */
export interface CallHolder {
  /** The call has ended without an answer: forget it, and tell the other side where it knows of it. */
  drop(call: OutgoingCall): void;
}

/** A call from `RunnerLinks` to its end. It settles once, and leaves its cancellation then. */
export class OutgoingCall implements CancelTarget {
  readonly request: LinkRequest;
  readonly value: EncodedValue;
  /** Takes the items of a stream; undefined: the answer is one value. */
  readonly reader: StreamReader | undefined;
  /** On the connection that holds it. */
  id = 0;
  holder: CallHolder | undefined = undefined;
  /** When `expire` is due: the deadline, or the end of waiting for a worker. */
  expiresAtMs: number;
  /** True: the worker that has it may have begun it, and another may begin it again. */
  isRepeatable = false;
  /** Sent before to a worker that was lost with it. */
  isReplay = false;
  /** Why it has to wait for another worker. */
  lost: JubakoError | undefined = undefined;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: JubakoError) => void;

  constructor(
    request: LinkRequest,
    value: EncodedValue,
    resolve: (value: unknown) => void,
    reject: (error: JubakoError) => void,
    reader: StreamReader | undefined,
  ) {
    this.request = request;
    this.value = value;
    this.reader = reader;
    this.expiresAtMs = request.deadlineAtMs ?? Infinity;
    this.#resolve = resolve;
    this.#reject = reject;
    request.cancellation.add(this);
  }

  /** @param value - the answer; of a stream, which has given its items, nothing. */
  succeed(value: unknown): void {
    this.#letGo();
    this.#resolve(value);
  }

  fail(error: JubakoError): void {
    this.#letGo();
    this.#reject(error);
  }

  /** Nobody waits for it any more, and nobody is told. */
  abandon(): void {
    this.holder?.drop(this);
    this.#letGo();
  }

  onCancel(reason: JubakoError): void {
    this.#drop(reason);
  }

  /** No worker can take it now: `holder` keeps it until one can, or until `expiresAtMs`. */
  wait(holder: CallHolder): void {
    const { deadlineAtMs } = this.request;
    let waitMs = WAIT_MS;
    if (this.lost !== undefined) waitMs = deadlineAtMs === undefined ? MOVE_WAIT_MS : Infinity;
    this.expiresAtMs = Math.min(deadlineAtMs ?? Infinity, performance.now() + waitMs);
    this.holder = holder;
  }

  /** `expiresAtMs` has passed: the deadline, or the patience to wait for a worker. */
  expire(nowMs: number): void {
    const { runner, method, deadlineAtMs } = this.request;
    if (deadlineAtMs === undefined || nowMs < deadlineAtMs) {
      this.#drop(
        this.lost ??
          new JubakoError('NOT_READY', `Cannot call ${runner}.${method}: no worker of runner "${runner}" is connected`),
      );
    } else {
      this.#drop(deadlineError(this.request));
    }
  }

  #drop(error: JubakoError): void {
    this.holder?.drop(this);
    this.reader?.discard();
    this.fail(error);
  }

  #letGo(): void {
    this.holder = undefined;
    this.request.cancellation.remove(this);
  }
}

/** Expires the calls that are due; returns when the next one is. */
export function expireDue(calls: Iterable<OutgoingCall>, nowMs: number): number {
  let earliestAtMs = Infinity;
  for (const call of calls) {
    if (call.expiresAtMs <= nowMs) call.expire(nowMs);
    else if (call.expiresAtMs < earliestAtMs) earliestAtMs = call.expiresAtMs;
  }
  return earliestAtMs;
}

export function deadlineError(request: LinkRequest): JubakoError {
  return new JubakoError(
    'DEADLINE_EXCEEDED',
    `Gave up ${request.runner}.${request.method}: the deadline of the request has passed`,
  );
}
