import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { status, type ServerInterceptor } from '@grpc/grpc-js';
import { isErrorCode, JubakoError, type ErrorCode } from '../errors.js';
import { REQUEST_ID_HEADER, requestIdFrom } from '../service/request-id.js';
import type { Logger } from '../telemetry/logger.js';
import type { Gauge } from '../telemetry/metrics.js';
import type { RecordRequest } from '../telemetry/request-log.js';
import type { StreamHandler } from './http2-front.js';
import { Rpc, TracedCall } from './rpc.js';
import { ERROR_CODE_KEY, outcomeOfStatus } from './status.js';

// R1 Every stream is recorded once, when it closes, by what was sent on it. Statuses that grpc-js sends by itself (its
//    deadline timer, a message too large, an unknown RPC) pass no interceptor, so nothing above HTTP/2 sees them all.

const UNKNOWN_ROUTE = '(unknown)';

export interface RpcRecorderOptions {
  readonly recordRequest: RecordRequest;
  readonly inProgress: Gauge;
  readonly logger: Logger;
}

export class RpcRecorder {
  readonly #recordRequest: RecordRequest;
  readonly #inProgress: Gauge;
  readonly #logger: Logger;
  readonly #routes = new Set<string>();
  /** Calls without a natural end, such as a health watch: they would hold up a drain. */
  readonly #streaming = new Set<TracedCall>();
  #open = 0;
  #isCutting = false;
  /** Set while grpc-js makes the call of a stream: it does so within `deliver`. */
  #arriving: Rpc | undefined;

  constructor(options: RpcRecorderOptions) {
    this.#recordRequest = options.recordRequest;
    this.#inProgress = options.inProgress;
    this.#logger = options.logger;
  }

  /** Declares the RPCs that are served; all others are recorded as `(unknown)`, since a client may invent any number. */
  addRoutes(paths: Iterable<string>): void {
    for (const path of paths) this.#routes.add(path);
  }

  readonly interceptor: ServerInterceptor = (method, next) => {
    const rpc = this.#arriving;
    if (rpc === undefined) throw new TypeError(`Cannot trace ${method.path}: its stream did not pass the recorder`);
    const call = new TracedCall(next, rpc);
    if (method.requestStream || method.responseStream) {
      this.#streaming.add(call);
      call.onEnd = this.#forgetStreaming;
    }
    return call;
  };

  readonly onStream = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    deliver: StreamHandler,
  ): (() => void) => {
    const path = headers[':path'] ?? '';
    const rpc = new Rpc(this.#routes.has(path) ? path : UNKNOWN_ROUTE, requestIdFrom(headers[REQUEST_ID_HEADER]));
    this.#open += 1;
    this.#inProgress.set(this.#open);
    this.#arriving = rpc;
    try {
      deliver(stream, headers);
    } catch (thrown) {
      // grpc-js puts parts of the request into headers unchecked; a request must not end the process.
      this.#logger.error({ event: 'request.failed', requestId: rpc.requestId, err: thrown }, 'Cannot start an RPC');
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    } finally {
      this.#arriving = undefined;
    }
    return () => {
      this.#open -= 1;
      this.#inProgress.set(this.#open);
      this.#record(stream, rpc);
    };
  };

  /** Ends the calls that would not end by themselves. */
  endStreaming(): void {
    const error = new JubakoError('DRAINING', 'The server is shutting down');
    for (const call of this.#streaming) call.end(error);
  }

  /** From here on, an RPC that ends without a status was ended by us. */
  markCutting(): void {
    this.#isCutting = true;
  }

  readonly #forgetStreaming = (call: TracedCall): void => {
    this.#streaming.delete(call);
  };

  #record(stream: ServerHttp2Stream, rpc: Rpc): void {
    const sent = stream.sentTrailers ?? stream.sentHeaders ?? {};
    const grpcStatus = firstOf(sent, 'grpc-status');
    let code: number;
    let outcome: 'ok' | ErrorCode;
    if (grpcStatus !== undefined) {
      const errorCode = firstOf(sent, ERROR_CODE_KEY);
      code = Number(grpcStatus);
      outcome = outcomeOf(errorCode, code, rpc);
    } else {
      outcome = this.#outcomeWithoutStatus(sent, rpc);
      code = status[new JubakoError(outcome, '').kind.grpc];
    }
    this.#recordRequest({
      protocol: 'grpc',
      route: rpc.route,
      status: code,
      outcome,
      requestId: rpc.requestId,
      durationMs: performance.now() - rpc.startedAtMs,
      timing: rpc.timing,
    });
  }

  #outcomeWithoutStatus(sent: OutgoingHttpHeaders, rpc: Rpc): ErrorCode {
    // The one answer of grpc-js that is not a gRPC answer: a content type other than application/grpc.
    if (sent[':status'] === constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE) return 'UNSUPPORTED_MEDIA';
    if (this.#isCutting) return 'DRAINING';
    return rpc.isExpired ? 'DEADLINE_EXCEEDED' : 'CLIENT_GONE';
  }
}

/** Headers that grpc-js makes from metadata are lists; its own are not. */
function firstOf(headers: OutgoingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value[0] : String(value);
}

function outcomeOf(errorCode: string | undefined, code: number, rpc: Rpc): 'ok' | ErrorCode {
  if (errorCode !== undefined && isErrorCode(errorCode)) return errorCode;
  return rpc.route === UNKNOWN_ROUTE ? 'NOT_FOUND' : outcomeOfStatus(code);
}
