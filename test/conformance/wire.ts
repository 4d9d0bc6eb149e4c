import { connect } from 'node:net';
import { finished } from 'node:stream/promises';
import { seededUint32 } from '../support/seeded-random.js';

export interface WireOptions {
  /** Closes our half when all is written. Default: the other side has to close. */
  readonly ends?: boolean;
  /** Closes the connection when this has come, without waiting for the other side. */
  readonly until?: Buffer;
}

/** Bytes to a port or a unix socket; resolves with all that came back when the other side has closed, or cut. */
export async function exchangeBytes(
  where: number | string,
  bytes: string | Uint8Array,
  { ends = false, until }: WireOptions = {},
): Promise<Buffer> {
  const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (until !== undefined && Buffer.concat(chunks).includes(until)) socket.destroy();
  });
  if (ends) socket.end(bytes);
  else socket.write(bytes);
  await finished(socket, { writable: false }).catch(() => undefined); // a reset is a close as well
  socket.destroy();
  return Buffer.concat(chunks);
}

/** An HTTP/1.1 request on a connection of its own; `headers` as they are, in that order, or again and again. */
export function httpBytes(method: string, path: string, headers: readonly string[], body: string | Uint8Array): Buffer {
  const head = [`${method} ${path} HTTP/1.1`, 'Host: test', ...headers, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]);
}

export interface WireAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** Undefined where the body is no JSON. */
  readonly json: unknown;
}

/** The first final answer in what a server sent. */
export function parseAnswer(bytes: Buffer): WireAnswer {
  let text = bytes.toString('utf8');
  while (text.startsWith('HTTP/1.1 100 ')) text = text.slice(text.indexOf('\r\n\r\n') + 4);
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]), head, body, json: parse(body) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Bytes that look random and are the same in each run. */
export function seededBytes(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const next = seededUint32(seed);
  for (let i = 0; i < length; i += 1) bytes[i] = next() & 0xff;
  return bytes;
}
