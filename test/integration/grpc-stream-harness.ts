import http2 from 'node:http2';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Metadata, type ClientDuplexStream, type ClientReadableStream, type StatusObject } from '@grpc/grpc-js';
import { bidirectional, serverStreaming, type Rpc } from '#dist/grpc/rpc.js';
import { pathOf, toBytes, toText, type Bare, type BareMethod } from './grpc-bare-harness.js';

/** Methods `Give` and `Talk` of a bare server that stream, and what calls them. */

export type Answers = (request: string, rpc: Rpc) => AsyncIterable<string>;
export type Dialogue = (requests: AsyncIterable<string>, rpc: Rpc) => AsyncIterable<string>;

export function giving(work: Answers): BareMethod {
  return { responseStream: true, handler: (refuse) => serverStreaming(work, refuse) };
}

export function talking(work: Dialogue): BareMethod {
  return { requestStream: true, responseStream: true, handler: (refuse) => bidirectional(work, refuse) };
}

export function askStream(
  bare: Bare,
  text: string,
  options: { readonly deadline?: number } = {},
  metadata = new Metadata(),
): ClientReadableStream<string> {
  const stream = bare.client.makeServerStreamRequest(pathOf('Give'), toBytes, toText, text, metadata, options);
  stream.on('error', () => undefined); // "status" says the same
  return stream;
}

export function talk(bare: Bare): ClientDuplexStream<string, string> {
  const stream = bare.client.makeBidiStreamRequest(pathOf('Talk'), toBytes, toText);
  stream.on('error', () => undefined);
  return stream;
}

export function statusOf(
  stream: ClientReadableStream<string> | ClientDuplexStream<string, string>,
): Promise<StatusObject> {
  return new Promise((resolve) => {
    stream.on('status', resolve);
  });
}

export async function collect(
  stream: ClientReadableStream<string> | ClientDuplexStream<string, string>,
): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of stream) texts.push(text as string);
  return texts;
}

/** Counts what is asked of it, and says when it is told to end. */
export class Counted implements AsyncIterableIterator<string> {
  asked = 0;
  readonly #text: string;
  #onReturn: () => void = () => undefined;
  readonly returned = new Promise<void>((resolve) => {
    this.#onReturn = resolve;
  });
  /** Never gives a value from this number on. */
  stuckAt = Infinity;

  constructor(text = 'x') {
    this.#text = text;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<string>> {
    this.asked += 1;
    if (this.asked >= this.stuckAt) return new Promise(() => undefined);
    return Promise.resolve({ done: false, value: this.#text });
  }

  return(): Promise<IteratorResult<string>> {
    this.#onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }
}

/** Resolves when `look` gives the same for many turns. */
export async function settled(look: () => number): Promise<number> {
  let last = look();
  for (let same = 0; same < 50; same += 1) {
    await setImmediate();
    const now = look();
    if (now !== last) same = 0;
    last = now;
  }
  return last;
}

/** A client that opens its receive window by hand. */
export function rawCall(
  t: TestContext,
  port: number,
  path: string,
  headers: http2.OutgoingHttpHeaders = {},
): http2.ClientHttp2Stream {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  t.after(() => {
    session.destroy();
  });
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
}

export function framed(text: string): Buffer {
  const bytes = Buffer.alloc(5 + text.length);
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5);
  return bytes;
}
