import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import type { ServerConfig } from '#dist/config/settings.js';
import type { MountManifest } from '#dist/ipc/manifest.js';
import type { ProtocolServerOptions } from '#dist/service/protocol-server.js';
import { manifestOf, service, startHttp, type StartOptions, type StartedServer } from './http-harness.js';

/** A foreign application behind a mount of an HTTP server: both in this process, with real sockets between. */

export interface Application {
  readonly server: Server;
  readonly url: string;
}

export async function startApplication(t: TestContext, listener: RequestListener): Promise<Application> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

export interface MountedOptions {
  readonly config?: Partial<ServerConfig>;
  readonly stripPath?: boolean;
  readonly others?: Partial<ProtocolServerOptions>;
  readonly tls?: StartOptions['tls'];
}

/** The application answers below `/app`. */
export function startMounted(t: TestContext, url: string, options: MountedOptions = {}): Promise<StartedServer> {
  const { config, stripPath = true, others, tls } = options;
  const mount: MountManifest = { path: '/app', upstream: url, command: null, stripPath };
  return startHttp(t, {
    ...(config !== undefined && { config }),
    ...(tls !== undefined && { tls }),
    others: { manifest: { ...manifestOf(service), mounts: [mount] }, mounts: { '/app': url }, ...others },
  });
}

/** Everything of a request, as JSON. */
export const echo: RequestListener = (request, response) => {
  void readAll(request).then((body) => {
    const { method, url, headers, rawHeaders } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, rawHeaders, body: body.toString() }));
  });
};

export interface Echoed {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Agrees to speak WebSocket (RFC 6455 4.2.2). */
export function agreeToWebSocket(request: IncomingMessage, socket: Duplex, more = ''): void {
  const key = request.headers['sec-websocket-key'] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${more}\r\n`,
  );
}

/** A frame as servers write it. */
export function frameOf(opcode: number, payload: Buffer): Buffer {
  const size = payload.length;
  const head = size < 126 ? Buffer.from([0x80 | opcode, size]) : Buffer.alloc(size < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  if (size >= 65_536) {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  } else if (size >= 126) {
    head[1] = 126;
    head.writeUInt16BE(size, 2);
  }
  return Buffer.concat([head, payload]);
}
