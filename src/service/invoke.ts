import type { Cancellation } from '../cancellation.js';
import type { Timing } from '../telemetry/request-log.js';
import type { Priority } from './define.js';

/** What every call carries, whichever protocol it came by. */
export interface CallContext {
  readonly requestId: string;
  /** Cancelled by the room when the caller has gone, by the invoker at the deadline. */
  readonly cancellation: Cancellation;
  /** The caller's own deadline on the clock of `performance.now()`; the invoker adds the limit of the setting `timeout`. */
  readonly deadlineAtMs: number | undefined;
  /** Filled as runner calls return, also when the call fails later. */
  readonly timing: Timing;
}

export interface ApiCall extends CallContext {
  readonly api: string;
  /** Parsed JSON where `isJson`, else a value such as a `Tensor` read from a binary body. Not yet checked. */
  readonly input: unknown;
  readonly isJson: boolean;
}

export interface RunnerCall extends CallContext {
  readonly runner: string;
  readonly method: string;
  /** The value that the method's descriptor describes: a Tensor, a record of Tensors, or a JSON value. Not yet checked. */
  readonly input: unknown;
  readonly priority: Priority;
}

/**
 * What the protocol rooms call. Both calls reject with a JubakoError only, and always settle: by answer, failure,
 * deadline or cancellation.
 */
export interface Invoker {
  /** Checks the input, calls the handler, checks the output; resolves with the output value (see `Descriptor.toJson`). */
  callApi(call: ApiCall): Promise<unknown>;
  /** The same for a method of a runner, without a handler between. */
  callRunner(call: RunnerCall): Promise<unknown>;
}

export function newTiming(): Timing {
  return { queueMs: 0, batchMs: 0, computeMs: 0, batchRows: 0 };
}
