import type { Cancellation } from '../cancellation.js';
import type { Timing } from '../telemetry/request-log.js';
import type { ApiInput } from '../descriptor/api-input.js';
import type { HandlerContext, Priority } from './define.js';

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
  readonly input: ApiInput;
}

export interface RunnerCall extends CallContext {
  readonly runner: string;
  readonly method: string;
  /** The value that the method's descriptor describes: a Tensor, a record of Tensors, or a JSON value. Not yet checked. */
  readonly input: unknown;
  readonly priority: Priority;
}

/**
 * What the protocol rooms call. Everything here fails with a JubakoError only, and always settles: by answer, failure,
 * deadline or cancellation.
 */
export interface Invoker {
  /** Checks the input, calls the handler, checks the output; resolves with the output value (see `Descriptor.toJson`). */
  callApi(call: ApiCall): Promise<unknown>;
  /**
   * The same for an API whose output is a stream: its values, each checked. The call begins with the first `next()`, goes on
   * only when asked for the next value, and ends at the handler and its runners too when `return()` is called.
   */
  streamApi(call: ApiCall): AsyncIterableIterator<unknown>;
  /** The same for a method of a runner, without a handler between. */
  callRunner(call: RunnerCall): Promise<unknown>;
  /** For a method that streams. */
  streamRunner(call: RunnerCall): AsyncIterableIterator<unknown>;
  /**
   * For routes and RPCs that the service brings itself: what a handler gets, under the limits of a call.
   * @param isStream - the limit is that of whole streams.
   */
  open(call: CallContext, isStream?: boolean): OpenCall;
}

/** A request that the user's own code answers. */
export interface OpenCall {
  readonly context: HandlerContext;
  /** The request has its answer, or needs none: its deadline and its open streams end. */
  end(): void;
}

export function newTiming(): Timing {
  return { queueMs: 0, batchMs: 0, computeMs: 0, batchRows: 0 };
}
