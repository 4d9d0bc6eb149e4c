import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { JubakoError } from '../errors.js';
import type { ProtocolServerOptions } from '../service/protocol-server.js';
import { requestIdFrom } from '../service/request-id.js';
import type { Gauge } from '../telemetry/metrics.js';
import { UNKNOWN_ROUTE, fromParserError } from './error-answer.js';
import { Connection } from './connection.js';
import { Exchange, type ExchangeHost, type TrackedResponse } from './exchange.js';
import { rawErrorAnswer } from './raw-answer.js';

// The connections of one server, from `accept` to their end.
// C1 Node's server never listens, so it closes nothing by itself: idle and stuck connections end here.
// C2 While draining, a connection closes only between requests, until the grace is over; then everything left is cut.
// C3 A client's broken HTTP ends its own connection, after the answers to what it asked properly before.
// C4 A client that ends its half is answered (connection.ts, N1).

/** Time that idle keep-alive connections stay open while draining: a request may be on its way on each of them. */
const DRAIN_LINGER_MS = 500;
const CLOSE_IDLE_EVERY_MS = 100;

export class Connections implements ExchangeHost {
  readonly logger;
  readonly recordRequest;
  readonly compresses: boolean;
  keepsAlive: boolean;

  readonly #isTls: boolean;
  readonly #accepted = new Set<Socket>();
  readonly #speaking = new Map<Socket, Connection>();
  readonly #gauge: Gauge;
  #server: Server | undefined = undefined;
  #isDraining = false;
  #isCut = false;
  #drained: Promise<void> | undefined = undefined;
  #onLastClosed: (() => void) | undefined = undefined;

  constructor(options: ProtocolServerOptions) {
    this.logger = options.logger;
    this.recordRequest = options.recordRequest;
    this.keepsAlive = options.config.timeoutKeepAlive > 0;
    this.compresses = options.config.compression;
    this.#isTls = options.tls !== undefined;
    this.#gauge = options.metrics.gauge('jubako_connections', { protocol: 'http' });
  }

  get count(): number {
    return this.#accepted.size;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** The server whose connections these are; once. */
  attach(server: Server): void {
    this.#server = server;
    // Node's own name for C4, which its types lack: it would end the connection otherwise, and the answer with it.
    (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    server.on(this.#isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#speak(socket);
    });
    server.on('connect', (_request: IncomingMessage, socket: Socket) => {
      const connection = this.#speaking.get(socket);
      if (connection === undefined) socket.destroy();
      else
        this.#break(connection, undefined, new JubakoError('INVALID_INPUT', 'Cannot CONNECT: this server is no proxy'));
    });
    server.emit('listening'); // starts Node's watch over headersTimeout and requestTimeout
  }

  accept(socket: Socket): void {
    const server = this.#server;
    if (server === undefined || this.#isCut || socket.destroyed) {
      socket.destroy();
      return;
    }
    // A socket that came from another process lacks what http.Server asks of those that it accepts itself.
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    socket.on('error', ignore); // whatever else listens may be removed on the way: an error here must never be fatal
    this.#accepted.add(socket);
    this.#gauge.set(this.#accepted.size);
    socket.on('close', () => {
      this.#accepted.delete(socket);
      this.#gauge.set(this.#accepted.size);
      if (this.#accepted.size === 0) this.#onLastClosed?.();
    });
    server.emit('connection', socket);
    if (socket.isPaused()) socket.resume();
  }

  begin(request: IncomingMessage, response: TrackedResponse): Exchange {
    const connection = this.#speaking.get(request.socket) ?? this.#speak(request.socket);
    return new Exchange(this, connection, request, response);
  }

  /** For Node's `clientError`: broken HTTP, broken connections, failed handshakes. */
  onClientError(error: Error & { readonly code?: string }, socket: Socket): void {
    const connection = this.#speaking.get(socket);
    const failure = fromParserError(error);
    if (connection === undefined || failure === undefined) {
      this.logger.debug({ event: 'connection.failed', err: error }, 'A connection failed');
      socket.destroy();
      return;
    }
    if (connection.isBroken) return; // the parser repeats itself for every byte that still comes
    if (error.code === 'HPE_CLOSED_CONNECTION') return; // bytes behind a request that was the last by its own word
    const { last } = connection;
    const culprit = last !== undefined && !last.request.complete ? last : undefined;
    if (culprit === undefined && socket.bytesRead === 0)
      socket.destroy(); // there never was a request
    else this.#break(connection, culprit, failure);
  }

  drain(graceMs: number): Promise<void> {
    this.#drained ??= this.#drain(graceMs);
    return this.#drained;
  }

  async #drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    this.keepsAlive = false;
    if (this.#accepted.size > 0) await this.#untilClosed(graceMs, Math.min(graceMs, DRAIN_LINGER_MS));
    this.#isCut = true;
    this.#server?.close(); // ends Node's watch over timeouts
  }

  #untilClosed(graceMs: number, lingerMs: number): Promise<void> {
    return new Promise((resolve) => {
      let sweep: NodeJS.Timeout | undefined;
      const linger = setTimeout(() => {
        this.#closeIdle(lingerMs);
        sweep = setInterval(() => {
          this.#closeIdle(lingerMs);
        }, CLOSE_IDLE_EVERY_MS);
      }, lingerMs);
      const grace = setTimeout(() => {
        this.#cut();
      }, graceMs);
      this.#onLastClosed = (): void => {
        clearTimeout(linger);
        clearTimeout(grace);
        clearInterval(sweep);
        resolve();
      };
    });
  }

  /** @param lingerMs - age below which a connection that has sent nothing yet is left alone. */
  #closeIdle(lingerMs: number): void {
    const youngestAtMs = performance.now() - lingerMs;
    for (const connection of this.#speaking.values()) {
      if (connection.isIdleSince(youngestAtMs)) connection.socket.destroy();
    }
  }

  #cut(): void {
    this.#isCut = true;
    for (const connection of this.#speaking.values()) connection.cut();
    // Not before the calls that are cut have answered so: that takes promises, and Node writes when they are done.
    setImmediate(() => {
      for (const socket of this.#accepted) socket.destroy();
    });
  }

  #speak(socket: Socket): Connection {
    const connection = new Connection(socket);
    this.#speaking.set(socket, connection);
    socket.on('end', () => {
      connection.clientEnded();
    });
    socket.on('close', () => {
      this.#speaking.delete(socket);
      connection.closed();
    });
    return connection;
  }

  /** @param culprit - the request that broke, where it was read far enough to be one. */
  #break(connection: Connection, culprit: Exchange | undefined, failure: JubakoError): void {
    if (culprit === undefined) {
      const requestId = requestIdFrom(undefined);
      const { code, kind } = failure;
      const { recordRequest } = this;
      recordRequest({
        protocol: 'http',
        route: UNKNOWN_ROUTE,
        status: kind.http,
        outcome: code,
        requestId,
        durationMs: 0,
        timing: undefined,
      });
      connection.sayLast(rawErrorAnswer(failure, requestId, undefined));
    } else if (culprit.isUnanswered) {
      culprit.endBroken(failure);
      connection.sayLast(rawErrorAnswer(failure, culprit.requestId, culprit.request));
    } else connection.socket.destroy(); // its answer has begun and can't be finished
  }
}

function ignore(): void {
  // The close that follows an error says all that is needed.
}
