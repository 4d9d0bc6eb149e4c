import { request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';
import type { RunnerAddress } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import { LINK_PATH, LINK_PROTOCOL_NAME } from './hello.js';

/** A runner that is there answers the upgrade at once, ready or not; this long is a machine that is not there. */
const CONNECT_TIMEOUT_MS = 5000;
const REFUSAL_TEXT_MAX_CHARS = 500;
const KEEP_ALIVE_MS = 10_000;

export interface ConnectOptions {
  readonly address: RunnerAddress;
  readonly token: string | null;
  /** For `tls://` addresses: the caller's certificate and whom it trusts. */
  readonly tls: SecureContextOptions | undefined;
}

export interface ConnectCallbacks {
  /** @param head - bytes of the link that came with the answer. */
  readonly onSocket: (socket: Duplex, head: Buffer) => void;
  /** At most once, and not after `onSocket`. */
  readonly onFailed: (error: JubakoError) => void;
}

/** How a connection comes about; what it returns ends the attempt. */
export type Dial = (options: ConnectOptions, callbacks: ConnectCallbacks) => { destroy(): void };

/** Connects and asks for the link by HTTP Upgrade; exactly one of the callbacks is called, unless `destroy` comes first. */
export function connectLink(options: ConnectOptions, callbacks: ConnectCallbacks): ClientRequest {
  const request = options.address.kind === 'tls' ? httpsRequest(toRequest(options)) : httpRequest(toRequest(options));
  let isOver = false;
  const fail = (error: JubakoError): void => {
    if (isOver) return;
    isOver = true;
    request.destroy();
    callbacks.onFailed(error);
  };
  request.setTimeout(CONNECT_TIMEOUT_MS, () => {
    fail(new JubakoError('NOT_READY', `no answer within ${CONNECT_TIMEOUT_MS} ms`));
  });
  request.on('error', (cause) => {
    fail(new JubakoError('NOT_READY', cause.message, { cause }));
  });
  request.on('response', (response) => {
    readRefusal(response, fail);
  });
  request.on('upgrade', (response, socket, head) => {
    if (isOver) return void socket.destroy();
    const protocol = response.headers.upgrade;
    if (protocol !== LINK_PROTOCOL_NAME) {
      socket.destroy();
      return fail(
        new JubakoError('LINK_PROTOCOL', `it answered with protocol "${protocol ?? ''}", wanted ${LINK_PROTOCOL_NAME}`),
      );
    }
    isOver = true;
    socket.setTimeout(0).setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
    callbacks.onSocket(socket, head);
  });
  request.end();
  return request;
}

function toRequest(options: ConnectOptions): RequestOptions {
  const { address, token, tls } = options;
  return {
    ...(address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port }),
    ...(address.kind === 'tls' && tls),
    path: LINK_PATH,
    agent: false,
    headers: {
      Connection: 'Upgrade',
      Upgrade: LINK_PROTOCOL_NAME,
      ...(token !== null && { Authorization: `Bearer ${token}` }),
    },
  };
}

/** The text of a refusal says why, and belongs in our log. */
function readRefusal(response: IncomingMessage, fail: (error: JubakoError) => void): void {
  let text = '';
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    if (text.length < REFUSAL_TEXT_MAX_CHARS) text += chunk.slice(0, REFUSAL_TEXT_MAX_CHARS - text.length);
  });
  response.on('close', () => {
    const status = response.statusCode ?? 0;
    fail(new JubakoError(codeOf(status), `it answered ${status}: ${text}`));
  });
}

function codeOf(status: number): 'UNAUTHENTICATED' | 'NOT_READY' | 'LINK_PROTOCOL' {
  if (status === 401) return 'UNAUTHENTICATED';
  return status === 503 ? 'NOT_READY' : 'LINK_PROTOCOL';
}
