import {
  Agent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import { JubakoError } from '../errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { Exchange } from './exchange.js';
import { toClient, type MountHeaders, type MountPlace } from './mount-headers.js';
import { WebSocketTunnel, type Upgraded } from './websocket-tunnel.js';

// One mounted application, as requests are handed to it.
// P1 Bodies pass in either direction as they come, of any size: nothing is gathered, the slower side sets the pace.
// P2 An application begins its answer within the setting `timeout`, counted from the moment that the request has arrived.
//    What it streams after that may take as long as it likes.
// P3 Whoever leaves takes the other along: the application sees its connection close.
// P4 A request without a body that is safe to repeat is sent once more where a kept connection turns out to be closed.

/** How long an idle connection to an application is kept: less than any server that is known keeps it. */
const KEPT_MS = 1_000;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
const BODYLESS_METHODS = new Set([...SAFE_METHODS, 'DELETE']);
const OF_WEBSOCKET = ['Connection', 'Upgrade', 'Upgrade', 'websocket'];

export interface MountUpstreamOptions {
  readonly place: MountPlace;
  readonly headers: MountHeaders;
  /** 0: no limit. */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

export class MountUpstream {
  readonly #options: MountUpstreamOptions;
  readonly #agent: Agent;

  constructor(options: MountUpstreamOptions) {
    this.#options = options;
    const settings = { keepAlive: true, timeout: KEPT_MS };
    this.#agent = options.place.upstream.protocol === 'https:' ? new TlsAgent(settings) : new Agent(settings);
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * @param target - path and query as the application sees them.
   * @throws {TypeError} what Node will not send.
   */
  forward(exchange: Exchange, response: ServerResponse, target: string): void {
    const { request } = exchange;
    exchange.sendContinue();
    const send = (isAgain: boolean): void => {
      const outgoing = this.#request(exchange, target, ofBody(request));
      const watch = this.#watch(exchange, response, outgoing);
      outgoing.on('response', (incoming) => {
        watch.answered();
        response.once('finish', () => request.unpipe(outgoing)); // who answers early may not read on
        this.#relay(exchange, response, incoming);
      });
      outgoing.on('error', (error) => {
        watch.answered();
        if (!isAgain && mayRepeat(outgoing, exchange, error)) send(true);
        else this.#fail(exchange, error);
      });
      if (hasBody(request)) request.pipe(outgoing);
      else outgoing.end();
    };
    send(false);
  }

  /** @param onTunnel - the application speaks WebSocket. */
  upgrade(
    exchange: Exchange,
    response: ServerResponse,
    target: string,
    client: Upgraded,
    onTunnel: (tunnel: WebSocketTunnel) => void,
  ): void {
    const { place } = this.#options;
    const outgoing = this.#request(exchange, target, OF_WEBSOCKET);
    const watch = this.#watch(exchange, response, outgoing);
    outgoing.on('upgrade', (incoming, socket, head) => {
      watch.answered();
      if (exchange.isEnded) {
        socket.destroy();
        return;
      }
      exchange.isTunnel = true;
      response.detachSocket(exchange.request.socket);
      onTunnel(
        new WebSocketTunnel(client, { socket, head }, incoming, [...toClient(incoming, place), ...OF_WEBSOCKET]),
      );
    });
    outgoing.on('response', (incoming) => {
      watch.answered();
      this.#relay(exchange, response, incoming);
    });
    outgoing.on('error', (error) => {
      watch.answered();
      this.#fail(exchange, error);
    });
    outgoing.end();
  }

  #request(exchange: Exchange, target: string, more: readonly string[]): ClientRequest {
    const { place, headers } = this.#options;
    const { upstream } = place;
    const send = upstream.protocol === 'https:' ? httpsRequest : httpRequest;
    return send({
      agent: this.#agent,
      host: upstream.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: upstream.port,
      method: exchange.request.method,
      path: target,
      headers: [...headers.toApplication(exchange, place), ...more],
    });
  }

  /** P2, P3 */
  #watch(exchange: Exchange, response: ServerResponse, outgoing: ClientRequest): { answered(): void } {
    const { timeoutMs, place } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const expire = (): void => {
      const message = `Cannot answer within ${timeoutMs} ms: the application at ${place.path} takes longer`;
      exchange.fail(new JubakoError('DEADLINE_EXCEEDED', message));
      outgoing.destroy();
    };
    const start = (): void => {
      if (timeoutMs > 0 && exchange.isUnanswered) timer = setTimeout(expire, timeoutMs);
    };
    if (hasBody(exchange.request)) exchange.request.once('end', start);
    else start();
    response.on('close', () => {
      clearTimeout(timer);
      if (!exchange.isTunnel) outgoing.destroy();
    });
    return {
      answered: () => {
        exchange.request.off('end', start);
        clearTimeout(timer);
      },
    };
  }

  #relay(exchange: Exchange, response: ServerResponse, incoming: IncomingMessage): void {
    if (!exchange.isUnanswered) {
      incoming.destroy();
      return;
    }
    const { statusCode = 502, statusMessage = '' } = incoming;
    try {
      response.writeHead(statusCode, statusMessage, toClient(incoming, this.#options.place));
    } catch (thrown) {
      incoming.destroy();
      exchange.fail(new JubakoError('USER_CODE', `${this.#name} answers what HTTP can't carry`, { cause: thrown }));
      return;
    }
    incoming.on('error', (cause) => {
      if (exchange.isEnded) return;
      exchange.failedLate(new JubakoError('USER_CODE', `${this.#name} broke off its answer`, { cause }));
      response.destroy();
    });
    incoming.pipe(response); // `pipeline` makes an AbortController and a DOMException for each: 8 % of all
  }

  #fail(exchange: Exchange, error: Error & { readonly code?: string }): void {
    if (!exchange.isUnanswered) return;
    if (error.code?.startsWith('HPE_') === true) {
      exchange.fail(new JubakoError('USER_CODE', `${this.#name} does not answer in HTTP`, { cause: error }));
      return;
    }
    const { place, logger } = this.#options;
    const { requestId } = exchange;
    logger.debug({ event: 'mount.unreachable', mount: place.path, requestId, err: error }, 'A mount did not answer');
    exchange.fail(new JubakoError('NOT_READY', `Cannot reach the application at ${place.path}: it does not answer`));
  }

  get #name(): string {
    return `The application at ${this.#options.place.path}`;
  }
}

/** Also where it has arrived, but was not read. */
function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

function ofBody({ method = 'GET', headers }: IncomingMessage): readonly string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked'];
  if (headers['content-length'] !== undefined || BODYLESS_METHODS.has(method)) return [];
  return ['Content-Length', '0']; // else Node would send an empty body in chunks, which not every application reads
}

/** P4 */
function mayRepeat(outgoing: ClientRequest, exchange: Exchange, error: Error & { readonly code?: string }): boolean {
  if (!outgoing.reusedSocket || !exchange.isUnanswered) return false;
  const isClosed = error.code === 'ECONNRESET' || error.code === 'EPIPE';
  return isClosed && SAFE_METHODS.has(outgoing.method) && !hasBody(exchange.request);
}
