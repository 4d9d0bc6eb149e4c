import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TrackedResponse } from './exchange.js';
import type { Upgraded } from './websocket-tunnel.js';

// Requests to switch the protocol. Once anybody listens for them, Node takes its HTTP parser off every connection that asks.
// G1 WebSockets take the road of other requests, through hooks and routes; a mount takes the connection over, all else
//    answers and closes it.
// G2 Other protocols are refused in the way that HTTP has for it: the request is answered as if it had not asked
//    (RFC 9110 7.8), e.g. that of `curl --http2`.

const ASKS_TO_SWITCH = new Set(['upgrade', 'http2-settings']);

export class Upgrades {
  readonly #upgraded = new WeakMap<IncomingMessage, Upgraded>();

  /**
   * @param serve - what a request without an upgrade goes to.
   * @param speak - what a new connection goes to.
   */
  attach(
    server: Server,
    serve: (request: IncomingMessage, response: TrackedResponse) => void,
    speak: (socket: Duplex) => void,
  ): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (!isWebSocket(request)) {
        socket.unshift(Buffer.concat([Buffer.from(withoutUpgrade(request), 'latin1'), head])); // G2
        speak(socket);
        return;
      }
      const response = new TrackedResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(request.socket);
      response.on('finish', () => {
        request.socket.destroySoon();
      });
      this.#upgraded.set(request, { socket, head });
      serve(request, response);
    });
  }

  /** The connection behind a request for a WebSocket; undefined: it is none. */
  of(response: ServerResponse): Upgraded | undefined {
    return this.#upgraded.get(response.req);
  }
}

function isWebSocket({ method, headers }: IncomingMessage): boolean {
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  return method === 'GET' && !hasBody && headers.upgrade?.toLowerCase() === 'websocket';
}

/** The head of the request as it would be without the wish. */
function withoutUpgrade({ method = 'GET', url = '/', httpVersion, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2);
    const key = name.toLowerCase();
    if (key === 'connection') {
      const others = value.split(',').filter((word) => !ASKS_TO_SWITCH.has(word.trim().toLowerCase()));
      if (others.length > 0) lines.push(`${name}: ${others.join(',')}`);
    } else if (!ASKS_TO_SWITCH.has(key)) lines.push(`${name}: ${value}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
