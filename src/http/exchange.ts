import { ServerResponse, type IncomingMessage } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import type { Cancellation } from '../cancellation.js';
import { JubakoError, type ErrorCode } from '../errors.js';
import { byteLengthOf } from '../tensor/index.js';
import { REQUEST_ID_HEADER, requestIdFrom } from '../service/request-id.js';
import type { Logger } from '../telemetry/logger.js';
import type { RecordRequest, Timing } from '../telemetry/request-log.js';
import type { Connection } from './connection.js';
import type { ContentCoding } from './decompress.js';
import { UNKNOWN_ROUTE, errorText, retryHeaders } from './error-answer.js';
import { clearHeaders, outcomeOfStatus, setHeaders, setOurHeaders, type HeadersOfHead } from './foreign-answer.js';
import { INFERENCE_TYPE, inferenceErrorHeaders, inferenceErrorText, isInferencePath } from './inference-error.js';
import type { RequestForm } from './request-forms.js';
import { STALLED_MS, StreamedAnswer, type StreamedExchange } from './streamed-answer.js';

// One request and its answer. The response object carries it, so that a request costs no look-up.
// X1 Every exchange ends exactly once (`#end`) and is recorded there: its answer was written, or its connection closed before.
// X2 Answers are written here, so that each one has the request id and the right say on the connection. Those of plugins and
//    mounted applications (`isForeign`) are not, but their heads pass `foreignHead`.

/** Time that the rest of a body, which nobody wants any more, may take: closing at once would reset the answer away. */
const DISCARD_MS = 5_000;
/** Status of an exchange whose connection speaks another protocol now. */
const SWITCHED = 101;
const NO_HEADERS: readonly string[] = [];
export const JSON_TYPE = 'application/json; charset=utf-8';

/** What all exchanges of a server share. */
export interface ExchangeHost {
  readonly logger: Logger;
  readonly recordRequest: RecordRequest;
  /** False: every answer tells the client to close. */
  readonly keepsAlive: boolean;
  /** The setting `compression`. */
  readonly compresses: boolean;
}

/** Something that an exchange holds, e.g. its place among the admitted; told once when the exchange has ended. */
export interface Holding {
  exchangeEnded(exchange: Exchange): void;
}

export class TrackedResponse extends ServerResponse {
  exchange: Exchange | undefined = undefined;

  /** Node calls it too, for a head that nobody wrote. */
  override writeHead(status: number, second?: string | HeadersOfHead, third?: HeadersOfHead): this {
    const { exchange } = this;
    if (exchange?.isForeign !== true || this.headersSent) return super.writeHead(status, second as string, third);
    const isReason = typeof second === 'string';
    setHeaders(this, isReason ? third : second);
    exchange.foreignHead(status); // X2
    return isReason ? super.writeHead(status, second) : super.writeHead(status);
  }
}

/** The exchange of a raw response that came through this room's server. */
export function exchangeOf(raw: ServerResponse): Exchange {
  const { exchange } = raw as TrackedResponse;
  if (exchange === undefined) throw new JubakoError('INTERNAL', 'Cannot find the exchange of a response');
  return exchange;
}

export class Exchange implements StreamedExchange {
  readonly request: IncomingMessage;
  readonly requestId: string;
  readonly startedAtMs = performance.now();
  /** Template of the route that took it. */
  route = UNKNOWN_ROUTE;
  timing: Timing | undefined = undefined;
  /** Of its call; cancelled when the connection closes before the answer is written. */
  cancellation: Cancellation | undefined = undefined;
  holding: Holding | undefined = undefined;
  /** Its call runs. */
  isWorking = false;
  /** How its body is read, where it is the input of an API. */
  form: RequestForm | undefined = undefined;
  /** What its body is compressed by. */
  coding: ContentCoding | undefined = undefined;
  /** Bytes that its body has become (admission.ts). */
  inflatedBytes = 0;
  /** The client sent `Expect: 100-continue` and holds its body back. */
  waitsForContinue = false;
  /** The server cuts the connection itself; the end is then not the client's doing. */
  isCut = false;
  /** Others write its answer, unless it fails before they do. */
  isForeign = false;
  /** Why an answer that others write is no success, where its status does not say it. */
  foreignOutcome: ErrorCode | undefined = undefined;
  /** Unless it is answered, its connection speaks another protocol now. */
  isTunnel = false;
  /** What every answer to this request carries: name, value, name, value … */
  headers = NO_HEADERS;

  readonly #host: ExchangeHost;
  readonly #connection: Connection;
  readonly #response: TrackedResponse;
  #outcome: 'ok' | ErrorCode = 'ok';
  #lateFailure: JubakoError | undefined = undefined;
  #stream: StreamedAnswer | undefined = undefined;
  #isEnded = false;
  #watchesStall = false;
  #closesAfterBody = false;

  constructor(host: ExchangeHost, connection: Connection, request: IncomingMessage, response: TrackedResponse) {
    this.#host = host;
    this.#connection = connection;
    this.request = request;
    this.#response = response;
    this.requestId = requestIdFrom(request.headers[REQUEST_ID_HEADER]);
    response.exchange = this;
    response.on('close', onResponseClose);
    connection.begin(this);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** True until the first byte of an answer is on its way. */
  get isUnanswered(): boolean {
    return !this.#isEnded && !this.#response.headersSent;
  }

  /** True: its answer has begun, and nobody knows how long it will go on. */
  get isStreaming(): boolean {
    const { headersSent, writableEnded } = this.#response;
    return (this.#stream !== undefined || this.isForeign) && headersSent && !writableEnded;
  }

  /** True: answers may be compressed where the client takes that. */
  get mayCompress(): boolean {
    return this.#host.compresses;
  }

  /** True: more of this request's body is to come. */
  get hasBodyAhead(): boolean {
    const { request } = this;
    if (request.complete) return false;
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    return encoding !== undefined || (length !== undefined && length !== '0');
  }

  /** Asks for the body that `Expect: 100-continue` holds back. */
  sendContinue(): void {
    if (this.waitsForContinue) this.#response.writeContinue();
  }

  /** The client will send no more on this connection: it may wait for the answer, which is then the last. */
  clientEnded(): void {
    if (this.isUnanswered && !this.hasBodyAhead) this.#response.shouldKeepAlive = false;
  }

  /**
   * Sends what a client that waits leaves aside, and what a connection that was closed altogether refuses: no bytes at all
   * where the head was sent, since they would be of its body.
   * @see https://www.rfc-editor.org/rfc/rfc9110#section-15.2.1
   */
  probe(): void {
    if (this.isTunnel) return;
    if (this.isStreaming) this.#response.socket?.write('');
    else if (this.isUnanswered && this.request.httpVersion !== '1.0') this.#response.writeContinue(); // 1.0 knows no interim answers
  }

  /** Writes `bytes` to the connection behind this answer, which is the last. */
  followWith(bytes: string): void {
    const response = this.#response;
    if (response.writableEnded) response.socket?.write(bytes);
    else response.once('prefinish', () => response.socket?.write(bytes)); // Node may close the connection at `finish`
  }

  /** @param more - further headers: name, value, name, value … */
  answer(status: number, type: string, body: string | Uint8Array, more: readonly string[] = NO_HEADERS): void {
    if (!this.isUnanswered) return;
    const response = this.#response;
    this.#writeHead(status, type, typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength, more);
    response.end(body);
    this.#mindTheRest();
  }

  /** The same with a body in pieces, which are not joined. */
  answerPieces(type: string, pieces: readonly Uint8Array[], more: readonly string[] = NO_HEADERS): void {
    if (!this.isUnanswered) return;
    this.#writeHead(200, type, byteLengthOf(pieces), more);
    for (const piece of pieces) this.#response.write(piece);
    this.#response.end();
    this.#mindTheRest();
  }

  /** The same with a body of `length` bytes from a stream, which is destroyed in any case. */
  stream(type: string, length: number, body: Readable, more: readonly string[] = NO_HEADERS): void {
    if (!this.isUnanswered) {
      body.destroy();
      return;
    }
    this.#writeHead(200, type, length, more);
    pipeline(body, this.#response, (error) => {
      if (error !== null && error !== undefined) this.#response.destroy(); // cut: the length promised more
    });
    this.#mindTheRest();
  }

  /** Sends the head of an answer of unknown length. Undefined: nobody waits for it. */
  beginStream(type: string, more: readonly string[] = NO_HEADERS): StreamedAnswer | undefined {
    if (!this.isUnanswered) return undefined;
    this.#writeHead(200, type, undefined, more);
    this.#stream = new StreamedAnswer(this, this.#response);
    this.#connection.streamBegun();
    return this.#stream;
  }

  failedLate(error: JubakoError): void {
    this.#logInternal(error);
    this.#lateFailure = error;
    this.#outcome = error.code;
  }

  streamEnded(): void {
    this.#mindTheRest();
  }

  /** Answers with the row of the catalogue; what is internal goes to the log, also when nobody waits for the answer any more. */
  fail(error: JubakoError, more: readonly string[] = NO_HEADERS): void {
    this.#logInternal(error);
    if (!this.isUnanswered) return;
    this.#outcome = error.code;
    if (isInferencePath(this.request.url)) {
      this.answer(error.kind.http, INFERENCE_TYPE, inferenceErrorText(error), [
        ...inferenceErrorHeaders(error),
        ...more,
      ]);
      return;
    }
    this.answer(error.kind.http, JSON_TYPE, errorText(error, this.requestId), [...retryHeaders(error), ...more]);
  }

  /** The head of an answer that others write is on its way: it gets what every answer has (X2). */
  foreignHead(status: number): void {
    const response = this.#response;
    this.#outcome = this.foreignOutcome ?? outcomeOfStatus(status);
    setOurHeaders(response, [...this.headers, REQUEST_ID_HEADER, this.requestId]);
    if (this.hasBodyAhead) {
      response.removeHeader('connection');
      this.#keepOpenForBody();
      response.once('finish', () => {
        this.#mindTheRest();
      });
    } else if (!this.#host.keepsAlive) response.setHeader('Connection', 'close');
    this.#watchesStall = true;
    response.setTimeout(STALLED_MS, () => {
      if (response.writableLength > 0) response.destroy(); // what waits for us, not for its reader, may take longer
    });
  }

  #logInternal(error: JubakoError): void {
    if (error.kind.internal !== true) return;
    const { requestId, route } = this;
    const event = 'request.failed';
    this.#host.logger.error({ event, requestId, route, code: error.code, err: error }, error.message);
  }

  /** The connection speaks no valid HTTP any more and is answered around Node's response object. */
  endBroken(error: JubakoError): void {
    this.#outcome = error.code;
    this.#end(error.kind.http);
  }

  /** The server is about to destroy the connection: what can still be said is said in this turn of the loop. */
  cut(): void {
    this.isCut = true;
    this.cancellation?.cancel(serverStops());
  }

  /** The answer is written, or the connection has closed. */
  closed(): void {
    if (this.#response.writableFinished) this.#end(this.#response.statusCode);
    else if (this.isTunnel) this.#end(SWITCHED);
    else this.#abandon();
  }

  #abandon(): void {
    if (this.#isEnded) return;
    const error = this.#lateFailure ?? (this.isCut ? serverStops() : callerGone());
    this.#outcome = error.code;
    this.#end(this.#lateFailure === undefined ? error.kind.http : this.#response.statusCode);
    this.cancellation?.cancel(error);
  }

  #end(status: number): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#host.recordRequest({
      protocol: 'http',
      route: this.route,
      status,
      outcome: this.#outcome,
      requestId: this.requestId,
      durationMs: performance.now() - this.startedAtMs,
      timing: this.timing,
    });
    this.#stream?.ended();
    this.holding?.exchangeEnded(this);
    this.#connection.ended(this);
  }

  /** @param length - undefined: not known yet. */
  #writeHead(status: number, type: string, length: number | undefined, more: readonly string[]): void {
    if (this.isForeign) clearHeaders(this.#response);
    this.isForeign = false;
    const headers = ['Content-Type', type, REQUEST_ID_HEADER, this.requestId, ...this.headers, ...more];
    if (length !== undefined) headers.push('Content-Length', String(length));
    // Not while a body is still on its way: closing then resets the connection, and the answer with it.
    if (this.hasBodyAhead) this.#keepOpenForBody();
    else if (!this.#host.keepsAlive) headers.push('Connection', 'close');
    this.#response.writeHead(status, headers);
  }

  /** Node would close at once for a client that asked to: its bytes on the way would meet a closed socket, a reset the answer. */
  #keepOpenForBody(): void {
    if (this.#response.shouldKeepAlive) return;
    this.#response.shouldKeepAlive = true;
    this.#closesAfterBody = true;
  }

  #mindTheRest(): void {
    const { request } = this;
    if (!request.complete && this.hasBodyAhead) {
      request.resume();
      const timer = setTimeout(() => request.socket.destroy(), DISCARD_MS).unref();
      request.once('close', () => {
        clearTimeout(timer);
      });
      request.once('end', () => {
        clearTimeout(timer);
        if (this.#closesAfterBody) request.socket.end();
      });
    }
    if (!this.#response.writableFinished && request.socket.writableLength > 0) {
      this.#watchesStall = true;
      request.socket.setTimeout(STALLED_MS);
    }
  }

  /** The watch on this answer's reader must not hit the pipelined requests behind it, which are still being worked on. */
  unwatchStall(): void {
    if (this.#watchesStall) this.request.socket.setTimeout(0);
  }
}

function onResponseClose(this: TrackedResponse): void {
  this.exchange?.closed();
}

function serverStops(): JubakoError {
  return new JubakoError('DRAINING', 'Cannot finish the request: the server stops');
}

function callerGone(): JubakoError {
  return new JubakoError('CLIENT_GONE', 'The client closed the connection before the answer');
}
