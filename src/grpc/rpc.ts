import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type StatusObject,
  type handleUnaryCall,
} from '@grpc/grpc-js';
import { Cancellation } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import { newTiming, type CallContext } from '../service/invoke.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';
import type { Timing } from '../telemetry/request-log.js';
import { Undecodable } from './protos.js';
import { toStatus } from './status.js';

/** grpc-js takes deadlines from Date.now(), in whole ms, and Node's timers fire up to 1 ms early. */
const CLOCK_ROUNDING_MS = 2;

/** One RPC, from its headers to the end of its stream: what a call to the invoker carries. */
export class Rpc implements CallContext {
  /** Full path such as `/inference.GRPCInferenceService/ModelInfer`. */
  readonly route: string;
  readonly requestId: string;
  readonly startedAtMs = performance.now();
  readonly timing: Timing = newTiming();
  deadlineAtMs: number | undefined;
  readonly cancellation = new Cancellation();

  constructor(route: string, requestId: string) {
    this.route = route;
    this.requestId = requestId;
  }

  /** True from the moment that the timer of grpc-js may fire. */
  get isExpired(): boolean {
    return this.deadlineAtMs !== undefined && performance.now() >= this.deadlineAtMs - CLOCK_ROUNDING_MS;
  }
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

// grpc-js hands the same Metadata object to the interceptor and to the handler; nothing else that it hands to both is
// made per call.
const rpcs = new WeakMap<Metadata, Rpc>();

/** The RPC behind the call that a handler was given. */
export function rpcOf(call: { readonly metadata: Metadata }): Rpc {
  const rpc = rpcs.get(call.metadata);
  if (rpc === undefined) throw new TypeError('Cannot find the RPC of a call: it did not pass the interceptor');
  return rpc;
}

/** Stands between grpc-js and the handler: ties the call to its Rpc and tells it when the caller has gone. */
export class TracedCall extends ServerInterceptingCall implements Listener {
  readonly #next: ServerInterceptingCallInterface;
  readonly #rpc: Rpc;
  #listener: Listener | undefined;
  #isAnswered = false;
  /** Set by whoever wants to know that the call is over. */
  onEnd: ((call: TracedCall) => void) | undefined;

  constructor(next: ServerInterceptingCallInterface, rpc: Rpc) {
    super(next);
    this.#next = next;
    this.#rpc = rpc;
  }

  override start(listener: Listener): void {
    this.#listener = listener;
    const deadline = this.#next.getDeadline();
    // Infinity: none. grpc-js counts on the wall clock, everything here on the monotonic one.
    if (deadline !== Infinity) this.#rpc.deadlineAtMs = performance.now() + (Number(deadline) - Date.now());
    this.#next.start(this);
  }

  override sendMetadata(metadata: Metadata): void {
    this.#next.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#next.sendMessage(message, callback);
  }

  override sendStatus(status: Parameters<ServerInterceptingCallInterface['sendStatus']>[0]): void {
    this.#isAnswered = true;
    this.#next.sendStatus(status);
  }

  /** Ends a call that its handler would keep open. */
  end(error: JubakoError): void {
    this.sendStatus(toStatus(error, this.#rpc.requestId));
  }

  onReceiveMetadata(metadata: Metadata): void {
    rpcs.set(metadata, this.#rpc);
    this.#listener?.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    this.#listener?.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.#listener?.onReceiveHalfClose();
  }

  /** Called at the end of every call: after its status was sent, and when the stream closes without one. */
  onCancel(): void {
    if (!this.#isAnswered) {
      const code = this.#rpc.isExpired ? 'DEADLINE_EXCEEDED' : 'CLIENT_GONE';
      this.#rpc.cancellation.cancel(new JubakoError(code, `The caller of ${this.#rpc.route} waits no longer`));
    }
    this.#listener?.onCancel();
    this.onEnd?.(this);
  }
}

/** What answers one unary RPC: plain where it is known at once, a promise where it is not. Throws JubakoErrors. */
export type UnaryWork<Request, Response> = (request: Request, rpc: Rpc) => Response | Promise<Response>;

/** A failure → what the client gets; also where it is logged. */
export type Refuse = (thrown: unknown, rpc: Rpc) => StatusObject;

/** The only bridge from work to grpc-js: answer after its metadata, or status; nothing thrown gets past it. */
export function unary<Request, Response>(
  work: UnaryWork<Request, Response>,
  refuse: Refuse,
): handleUnaryCall<Request | Undecodable, Response> {
  return (call, respond) => {
    const rpc = rpcOf(call);
    const answer = (response: Response): void => {
      const metadata = new Metadata();
      metadata.set(REQUEST_ID_HEADER, rpc.requestId);
      call.sendMetadata(metadata);
      respond(null, response);
    };
    const fail = (thrown: unknown): void => {
      respond(refuse(thrown, rpc));
    };
    try {
      const { request } = call;
      if (request instanceof Undecodable) throw request.toError();
      const result = work(request, rpc);
      if (result instanceof Promise) result.then(answer, fail);
      else answer(result);
    } catch (thrown) {
      fail(thrown);
    }
  };
}
