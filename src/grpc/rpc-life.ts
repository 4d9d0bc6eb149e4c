import type { Metadata, StatusObject } from '@grpc/grpc-js';
import { Cancellation } from '../cancellation.js';
import type { ErrorCode, JubakoError } from '../errors.js';
import type { HandlerContext } from '../service/define.js';
import { newTiming, type CallContext } from '../service/invoke.js';
import type { Timing } from '../telemetry/request-log.js';
import type { AnswerEncoding } from './answer-compression.js';

// A client gives up at its own deadline, and its RST_STREAM may be here before the timer of this side fires: this side
// began to count later, and clients round a timeout up to what the header can say (C-core to 1 %). What ends so shortly
// before its deadline ended because of it.
const LEAST_TOLERANCE_MS = 10;
const TOLERANCE_OF_TIMEOUT = 0.02;

export interface RpcOptions {
  /** Full path such as `/inference.GRPCInferenceService/ModelInfer`. */
  readonly route: string;
  readonly requestId: string;
  /** Infinity: none. */
  readonly timeoutMs: number;
  /** Refused before anything works on it. */
  readonly refusal?: JubakoError | undefined;
  /** How messages to this client are compressed. */
  readonly answerEncoding?: AnswerEncoding | undefined;
}

/** One RPC, from its headers to the end of its stream: what a call to the invoker carries, and what is known of its end. */
export class Rpc implements CallContext {
  readonly route: string;
  readonly requestId: string;
  readonly refusal: JubakoError | undefined;
  readonly answerEncoding: AnswerEncoding | undefined;
  readonly startedAtMs = performance.now();
  readonly timing: Timing = newTiming();
  readonly deadlineAtMs: number | undefined;
  readonly cancellation = new Cancellation();
  /** True from the moment that its status was given to grpc-js. */
  isAnswered = false;
  /** Asked before the next message is read off the connection. */
  mayRead: (() => boolean) | undefined;
  /** The call of grpc-js; undefined until it is there. */
  call: CallControl | undefined;
  isOver = false;
  /** Of a service of the user: messages of one side or both come one after another. */
  isStreaming = false;
  /** What a service of the user has asked for. */
  handlerContext: HandlerContext | undefined;
  /** Set by a handler that has answers to give before its call may be ended by this side. */
  endSoon: ((error: JubakoError) => void) | undefined;
  /** Called once, when the call is over. */
  onOver: (() => void) | undefined;
  readonly #toleranceMs: number;

  constructor(options: RpcOptions) {
    const { timeoutMs } = options;
    this.route = options.route;
    this.requestId = options.requestId;
    this.refusal = options.refusal;
    this.answerEncoding = options.answerEncoding;
    this.deadlineAtMs = timeoutMs === Infinity ? undefined : this.startedAtMs + timeoutMs;
    this.#toleranceMs = Math.max(LEAST_TOLERANCE_MS, timeoutMs * TOLERANCE_OF_TIMEOUT);
  }

  /** Why it ended, if it ends without an answer. */
  endedBy(nowMs: number = performance.now()): ErrorCode & ('DEADLINE_EXCEEDED' | 'CLIENT_GONE') {
    const { deadlineAtMs } = this;
    const isExpired = deadlineAtMs !== undefined && nowMs >= deadlineAtMs - this.#toleranceMs;
    return isExpired ? 'DEADLINE_EXCEEDED' : 'CLIENT_GONE';
  }
}

/** A status as grpc-js hands it on: without what the catalogue adds. */
export interface ForeignStatus {
  readonly code: StatusObject['code'];
  readonly details: string;
  readonly metadata?: Metadata | null;
}

/** A failure → what the client gets; also where it is logged. */
export type Refuse = (thrown: unknown, rpc: Rpc) => StatusObject;

/** What can be done to a call beside its handler. */
export interface CallControl {
  /** Reads on, where `mayRead` said no before. */
  readOn(): void;
  sendStatus(status: ForeignStatus): void;
  /** Answers with a failure, whatever the handler does. */
  end(thrown: unknown): void;
}

// grpc-js hands the same Metadata object to the interceptor and to the handler; nothing else that it hands to both is
// made per call. The RPC is a property of it and not the value of a WeakMap: a table that has grown old keeps its young
// values alive at each collection of the young, so that every call, with all that hangs on it, would grow old too.
const RPC = Symbol('rpc');

interface Bound extends Metadata {
  [RPC]?: Rpc;
}

export function bindRpc(metadata: Metadata, rpc: Rpc): void {
  (metadata as Bound)[RPC] = rpc;
}

/** The RPC behind the call that a handler was given. */
export function rpcOf(call: { readonly metadata: Metadata }): Rpc {
  const rpc = (call.metadata as Bound)[RPC];
  if (rpc === undefined) throw new TypeError('Cannot find the RPC of a call: it did not pass the interceptor');
  return rpc;
}
