import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { once } from 'node:events';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; undefined where it is none. */
  readonly json: unknown;
}

/** Of a failure: `{ code, message, requestId }`. */
export interface ErrorOf {
  readonly code: string;
  readonly message: string;
  readonly requestId: string;
}

export type HttpOptions = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'minVersion' | 'maxVersion' | 'ciphers'> & {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: a connection of its own. */
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
  readonly socketPath?: string;
};

/** One request over http or https; any status is an answer, only a broken connection rejects. */
export function send(url: string, body?: string, options: HttpOptions = {}): Promise<HttpAnswer> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  const { headers, ...rest } = options;
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      {
        agent: false,
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...rest,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) });
        });
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

export function get(url: string, options?: HttpOptions): Promise<HttpAnswer> {
  return send(url, undefined, options);
}

export function post(url: string, value: unknown, options?: HttpOptions): Promise<HttpAnswer> {
  return send(url, JSON.stringify(value), options);
}

export function errorOf(answer: HttpAnswer): ErrorOf {
  return (answer.json as { readonly error: ErrorOf }).error;
}

/** An agent whose connections stay open; one for each request that is under way. */
export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true });
}

/** Connects raw, sends bytes, and resolves with what came until the other side closed. */
export async function sendBytes(
  where: { port: number; host?: string } | { path: string },
  bytes: Uint8Array,
): Promise<string> {
  const socket: Socket = connectTcp(where);
  socket.on('error', () => undefined); // a reset is a close as well
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'connect');
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
