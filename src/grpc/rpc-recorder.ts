import {
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { status, type ServerInterceptor } from '@grpc/grpc-js';
import { ERROR_KINDS, isErrorCode, JubakoError, type ErrorCode } from '../errors.js';
import { REQUEST_ID_HEADER, requestIdFrom } from '../service/request-id.js';
import type { Gauge } from '../telemetry/metrics.js';
import type { RecordRequest } from '../telemetry/request-log.js';
import { answerEncodingOf } from './answer-compression.js';
import { parseTimeout } from './grpc-timeout.js';
import type { StreamHandler } from './http2-front.js';
import { InnermostCall } from './innermost-call.js';
import { Rpc } from './rpc-life.js';
import { ERROR_CODE_KEY, errorOfStatus, toStatus } from './status.js';
import { TracedCall, type CallRules } from './traced-call.js';

// R1 Every stream is recorded once, when it closes, by what was sent on it: whatever grpc-js, a handler or an interceptor
//    did with the call, that is what the client got.
// R2 What a request says in its headers ends nothing but its own stream.

const UNKNOWN_ROUTE = '(unknown)';
const TIMEOUT_KEY = 'grpc-timeout';

export interface RpcRecorderOptions extends CallRules {
  readonly recordRequest: RecordRequest;
  readonly inProgress: Gauge;
}

/** A stream on its way to the call that grpc-js makes of it. */
interface Arriving {
  readonly rpc: Rpc;
  readonly stream: ServerHttp2Stream;
  call: TracedCall | undefined;
}

export class RpcRecorder {
  readonly #options: RpcRecorderOptions;
  readonly #routes = new Set<string>();
  readonly #endlessRoutes = new Set<string>();
  readonly #endless = new Set<TracedCall>();
  #open = 0;
  /** Set while grpc-js makes the call of a stream: it does so within `deliver`. */
  #arriving: Arriving | undefined;

  constructor(options: RpcRecorderOptions) {
    this.#options = options;
  }

  /** Declares the RPCs that are served; all others are recorded as `(unknown)`, since a client may invent any number. */
  addRoutes(paths: Iterable<string>): void {
    for (const path of paths) this.#routes.add(path);
  }

  hasRoute(path: string): boolean {
    return this.#routes.has(path);
  }

  /** RPCs that last as long as the client likes, such as a health watch: they would hold up a drain. */
  addEndless(paths: Iterable<string>): void {
    for (const path of paths) this.#endlessRoutes.add(path);
  }

  /** All interceptors of a server, the outermost first. @param users - those of the user. */
  around(users: readonly ServerInterceptor[]): ServerInterceptor[] {
    return users.length === 0 ? [this.#outermost] : [this.#outermost, ...users, this.#innermost];
  }

  readonly #outermost: ServerInterceptor = (method, base) => {
    const arriving = this.#arriving;
    if (arriving === undefined)
      throw new TypeError(`Cannot trace ${method.path}: its stream did not pass the recorder`);
    arriving.call = new TracedCall(base, method, arriving.rpc, arriving.stream, this.#options);
    if (this.#endlessRoutes.has(method.path)) this.#endless.add(arriving.call);
    return arriving.call;
  };

  readonly #innermost: ServerInterceptor = (method, next) => {
    const { rpc, call } = this.#arriving ?? {};
    if (rpc === undefined || call === undefined) throw new TypeError(`Cannot trace ${method.path}`);
    return new InnermostCall(next, rpc, call);
  };

  /** @returns what to call when the stream has closed; `cutBy`: why it was us who closed it. */
  readonly onStream = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    deliver: StreamHandler,
  ): ((cutBy: ErrorCode | undefined) => void) => {
    const arriving: Arriving = { rpc: this.#toRpc(headers), stream, call: undefined };
    const { rpc } = arriving;
    this.#open += 1;
    this.#options.inProgress.set(this.#open);
    this.#arriving = arriving;
    try {
      if (rpc.route === UNKNOWN_ROUTE && isGrpc(headers)) refuseUnknown(stream, headers[':path'] ?? '', rpc);
      else deliver(stream, headers);
    } catch (thrown) {
      this.#endStarting(arriving, thrown); // R2
    } finally {
      this.#arriving = undefined;
    }
    return (cutBy) => {
      this.#open -= 1;
      this.#options.inProgress.set(this.#open);
      if (arriving.call !== undefined) this.#endless.delete(arriving.call);
      this.#record(stream, rpc, cutBy);
    };
  };

  /** Ends the calls that would not end by themselves; those of one session, or of all. */
  endEndless(why: string, session?: Http2Session): void {
    for (const call of this.#endless) {
      if (session === undefined || call.stream.session === session) call.endSoon(new JubakoError('DRAINING', why));
    }
  }

  #toRpc(headers: IncomingHttpHeaders): Rpc {
    const path = headers[':path'] ?? '';
    const timeout = headers[TIMEOUT_KEY] as string | undefined;
    const timeoutMs = timeout === undefined ? Infinity : parseTimeout(timeout);
    if (timeout !== undefined && (timeoutMs ?? Infinity) === Infinity) delete headers[TIMEOUT_KEY]; // grpc-js reads it otherwise
    return new Rpc({
      route: this.#routes.has(path) ? path : UNKNOWN_ROUTE,
      requestId: requestIdFrom(headers[REQUEST_ID_HEADER]),
      timeoutMs: timeoutMs ?? Infinity,
      refusal: timeoutMs === undefined ? notATimeout(timeout ?? '') : undefined,
      answerEncoding: answerEncodingOf(headers),
    });
  }

  #endStarting({ call, rpc, stream }: Arriving, thrown: unknown): void {
    if (call !== undefined) {
      call.end(thrown);
      return;
    }
    this.#options.refuse(thrown, rpc); // for the log: there is no call yet that could be answered
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #record(stream: ServerHttp2Stream, rpc: Rpc, cutBy: ErrorCode | undefined): void {
    const sent = stream.sentTrailers ?? stream.sentHeaders ?? {};
    const grpcStatus = firstOf(sent, 'grpc-status');
    let code: status;
    let outcome: 'ok' | ErrorCode;
    if (grpcStatus !== undefined) {
      code = Number(grpcStatus);
      outcome = outcomeOf(firstOf(sent, ERROR_CODE_KEY), code);
    } else {
      outcome = outcomeWithoutStatus(sent, rpc, cutBy);
      code = status[ERROR_KINDS[outcome].grpc];
    }
    this.#options.recordRequest({
      protocol: 'grpc',
      route: rpc.route,
      status: code,
      outcome,
      requestId: rpc.requestId,
      durationMs: performance.now() - rpc.startedAtMs,
      timing: rpc.timing,
    });
  }
}

function isGrpc(headers: IncomingHttpHeaders): boolean {
  return headers['content-type']?.startsWith('application/grpc') === true;
}

function notATimeout(text: string): JubakoError {
  return new JubakoError(
    'INVALID_INPUT',
    `Cannot read the header grpc-timeout: it is "${text}"; wanted up to 8 digits and one of H, M, S, m, u, n`,
  );
}

/** grpc-js would put the path into a header as it came, and say nothing of the catalogue. */
function refuseUnknown(stream: ServerHttp2Stream, path: string, rpc: Rpc): void {
  stream.on('error', () => undefined); // the client has gone; "close" follows
  const error = new JubakoError('NOT_FOUND', `Cannot find the RPC "${path}"`);
  const { code, details, metadata } = toStatus(error, rpc.requestId, status.UNIMPLEMENTED);
  const headers = {
    ':status': constants.HTTP_STATUS_OK,
    'content-type': 'application/grpc+proto',
    'grpc-status': code,
    'grpc-message': encodeURI(details),
  };
  stream.respond({ ...headers, ...metadata.toHttp2Headers() }, { endStream: true });
  stream.resume();
}

/** Headers that grpc-js makes from metadata are lists; its own are not. */
function firstOf(headers: OutgoingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value[0] : String(value);
}

function outcomeOf(errorCode: string | undefined, code: status): 'ok' | ErrorCode {
  if (errorCode !== undefined && isErrorCode(errorCode)) return errorCode;
  return code === status.OK ? 'ok' : errorOfStatus({ code, details: '' }).code;
}

function outcomeWithoutStatus(sent: OutgoingHttpHeaders, rpc: Rpc, cutBy: ErrorCode | undefined): ErrorCode {
  // The one answer of grpc-js that is not a gRPC answer: a content type other than application/grpc.
  if (sent[':status'] === constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE) return 'UNSUPPORTED_MEDIA';
  return cutBy ?? rpc.endedBy();
}
