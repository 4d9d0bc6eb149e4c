import type { Cancellation, CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { Timing } from '../telemetry/request-log.js';
import type { EncodedValue } from '../tensor/index.js';

export interface LinkRequest {
  readonly runner: string;
  readonly method: string;
  readonly input: unknown;
  readonly requestId: string;
  readonly cancellation: Cancellation;
  /** On the clock of `performance.now()`. */
  readonly deadlineAtMs: number | undefined;
  /** The times of the reply are added to it. */
  readonly timing: Timing;
}

/** Where an unsettled call is: on a connection, or with the pool that waits for one. */
export interface CallHolder {
  /** The call has ended without an answer: forget it, and tell the other side where it knows of it. */
  drop(call: OutgoingCall): void;
}

/** A call from `RunnerLinks.call` to its end. It settles once, and leaves its cancellation then. */
export class OutgoingCall implements CancelTarget {
  readonly request: LinkRequest;
  readonly value: EncodedValue;
  /** On the connection that holds it. */
  id = 0;
  holder: CallHolder | undefined = undefined;
  /** When `expire` is due: the deadline, or the end of waiting for a worker. */
  expiresAtMs: number;
  /** True: the worker that has it may have begun it, and another may begin it again. */
  isRepeatable = false;
  wasReplayed = false;
  /** Why it has to wait for another worker. */
  lost: JubakoError | undefined = undefined;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: JubakoError) => void;

  constructor(
    request: LinkRequest,
    value: EncodedValue,
    resolve: (value: unknown) => void,
    reject: (error: JubakoError) => void,
  ) {
    this.request = request;
    this.value = value;
    this.expiresAtMs = request.deadlineAtMs ?? Infinity;
    this.#resolve = resolve;
    this.#reject = reject;
    request.cancellation.add(this);
  }

  succeed(value: unknown): void {
    this.#letGo();
    this.#resolve(value);
  }

  fail(error: JubakoError): void {
    this.#letGo();
    this.#reject(error);
  }

  onCancel(reason: JubakoError): void {
    this.#drop(reason);
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
    this.fail(error);
  }

  #letGo(): void {
    this.holder = undefined;
    this.request.cancellation.remove(this);
  }
}

export function deadlineError(request: LinkRequest): JubakoError {
  return new JubakoError(
    'DEADLINE_EXCEEDED',
    `Gave up ${request.runner}.${request.method}: the deadline of the request has passed`,
  );
}
