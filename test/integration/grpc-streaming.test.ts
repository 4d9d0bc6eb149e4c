import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  Metadata,
  status,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import { bidirectional, serverStreaming, type Rpc } from '#dist/grpc/rpc.js';
import { BROKEN, pathOf, startBare, toBytes, toText, type Bare, type BareMethod } from './grpc-bare-harness.js';

type Answers = (request: string, rpc: Rpc) => AsyncIterable<string>;
type Dialogue = (requests: AsyncIterable<string>, rpc: Rpc) => AsyncIterable<string>;

function giving(work: Answers): BareMethod {
  return { responseStream: true, handler: (refuse) => serverStreaming(work, refuse) };
}

function talking(work: Dialogue): BareMethod {
  return { requestStream: true, responseStream: true, handler: (refuse) => bidirectional(work, refuse) };
}

function askStream(
  bare: Bare,
  text: string,
  options: { readonly deadline?: number } = {},
  metadata = new Metadata(),
): ClientReadableStream<string> {
  const stream = bare.client.makeServerStreamRequest(pathOf('Give'), toBytes, toText, text, metadata, options);
  stream.on('error', () => undefined); // "status" says the same
  return stream;
}

function talk(bare: Bare): ClientDuplexStream<string, string> {
  const stream = bare.client.makeBidiStreamRequest(pathOf('Talk'), toBytes, toText);
  stream.on('error', () => undefined);
  return stream;
}

function statusOf(stream: ClientReadableStream<string> | ClientDuplexStream<string, string>): Promise<StatusObject> {
  return new Promise((resolve) => {
    stream.on('status', resolve);
  });
}

async function collect(stream: ClientReadableStream<string> | ClientDuplexStream<string, string>): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of stream) texts.push(text as string);
  return texts;
}

/** Counts what is asked of it, and says when it is told to end. */
class Counted implements AsyncIterableIterator<string> {
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
async function settled(look: () => number): Promise<number> {
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
function rawCall(
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

function framed(text: string): Buffer {
  const bytes = Buffer.alloc(5 + text.length);
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5);
  return bytes;
}

describe('serverStreaming', () => {
  test('gives every value in order, with the request id before the first', async (t) => {
    async function* work(request: string): AsyncGenerator<string> {
      yield await Promise.resolve(`${request} 1`);
      yield `${request} 2`;
    }
    const bare = await startBare(t, { Give: giving(work) });
    const metadata = new Metadata();
    metadata.set('x-request-id', 'r-1');
    const stream = askStream(bare, 'value', {}, metadata);
    const initial = once(stream, 'metadata') as Promise<[Metadata]>;
    const end = statusOf(stream);
    assert.deepEqual(await collect(stream), ['value 1', 'value 2']);
    assert.deepEqual((await initial)[0].get('x-request-id'), ['r-1']);
    assert.equal((await end).code, status.OK);
    const record = await bare.record(1);
    assert.deepEqual([record.outcome, record.route], ['ok', pathOf('Give')]);
  });

  test('of nothing is OK', async (t) => {
    // eslint-disable-next-line @typescript-eslint/no-empty-function
    async function* work(): AsyncGenerator<string> {}
    const bare = await startBare(t, { Give: giving(work) });
    const stream = askStream(bare, 'x');
    const end = statusOf(stream);
    assert.deepEqual(await collect(stream), []);
    assert.equal((await end).code, status.OK);
  });

  test('that fails gives what came before, then the status of the row', async (t) => {
    async function* work(request: string): AsyncGenerator<string> {
      if (request === 'late') yield 'first';
      throw new JubakoError('QUEUE_FULL', 'no place');
    }
    const bare = await startBare(t, { Give: giving(work) });
    for (const [request, wanted] of [
      ['late', ['first']],
      ['early', []],
    ] as const) {
      const stream = askStream(bare, request);
      const got: string[] = [];
      stream.on('data', (text: string) => got.push(text));
      const { code, details, metadata } = await statusOf(stream);
      assert.deepEqual(got, wanted);
      assert.equal(code, status.RESOURCE_EXHAUSTED);
      assert.equal(details, 'QUEUE_FULL: no place');
      assert.deepEqual(metadata.get('x-error-code'), ['QUEUE_FULL']);
      assert.equal(metadata.get('x-request-id').length, 1);
    }
    assert.deepEqual([(await bare.record(1)).outcome, (await bare.record(2)).outcome], ['QUEUE_FULL', 'QUEUE_FULL']);
  });

  test('whose work throws at once, or gives no iterator, is refused', async (t) => {
    const bare = await startBare(t, {
      Give: giving((request) => {
        if (request === 'throw') throw new JubakoError('NOT_FOUND', 'nothing there');
        return undefined as unknown as AsyncIterable<string>;
      }),
    });
    assert.equal((await statusOf(askStream(bare, 'throw').resume())).code, status.NOT_FOUND);
    assert.equal((await statusOf(askStream(bare, 'undefined').resume())).code, status.INTERNAL);
  });

  test('with a request that cannot be decoded is INVALID_ARGUMENT and reaches no work', async (t) => {
    let calls = 0;
    const bare = await startBare(t, {
      Give: giving(() => {
        calls += 1;
        return new Counted();
      }),
    });
    const stream = bare.client.makeServerStreamRequest(pathOf('Give'), Buffer.from, toText, BROKEN);
    stream.on('error', () => undefined).resume();
    const { code, details } = await statusOf(stream);
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.match(details, /^INVALID_INPUT: Cannot decode the request of \/bare\.Bare\/Give: the bytes are broken/);
    assert.equal(calls, 0);
  });

  test('asks for no more than a client that does not read has room for', async (t) => {
    const source = new Counted('x'.repeat(100_000));
    const bare = await startBare(t, { Give: giving(() => source) });
    const stream = rawCall(t, bare.port, pathOf('Give'));
    stream.end(framed('go'));
    await once(stream, 'response');
    stream.pause();
    const asked = await settled(() => source.asked);
    assert.ok(asked >= 1 && asked < 10, `${asked} values of 100 kB for a window of 64 KiB`);
    stream.resume(); // and goes on when it reads
    while (source.asked < asked + 20) await once(stream, 'data');
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await source.returned;
  });

  test('ends its source at once when the client goes, though the source is stuck', async (t) => {
    const source = new Counted();
    source.stuckAt = 3;
    let rpc: Rpc | undefined;
    const bare = await startBare(t, {
      Give: giving((_, given) => {
        rpc = given;
        return source;
      }),
    });
    const stream = askStream(bare, 'go');
    await once(stream, 'data');
    stream.cancel();
    await source.returned;
    assert.equal(rpc?.cancellation.reason?.code, 'CLIENT_GONE');
    assert.equal((await bare.record(1)).outcome, 'CLIENT_GONE');
  });

  test('ends its source at the deadline and tells the client', async (t) => {
    const source = new Counted();
    source.stuckAt = 2;
    let rpc: Rpc | undefined;
    const bare = await startBare(t, {
      Give: giving((_, given) => {
        rpc = given;
        return source;
      }),
    });
    const stream = rawCall(t, bare.port, pathOf('Give'), { 'grpc-timeout': '200m' });
    stream.end(framed('go'));
    stream.resume();
    const [trailers] = (await once(stream, 'trailers')) as [http2.IncomingHttpHeaders];
    assert.equal(trailers['grpc-status'], String(status.DEADLINE_EXCEEDED));
    assert.equal(trailers['x-error-code'], 'DEADLINE_EXCEEDED');
    await source.returned;
    assert.equal(rpc?.cancellation.reason?.code, 'DEADLINE_EXCEEDED');
    assert.equal((await bare.record(1)).outcome, 'DEADLINE_EXCEEDED');
  });

  test('past its deadline resets a client that reads nothing', async (t) => {
    const source = new Counted('x'.repeat(100_000));
    const bare = await startBare(t, { Give: giving(() => source) });
    const stream = rawCall(t, bare.port, pathOf('Give'), { 'grpc-timeout': '100m' });
    stream.end(framed('go'));
    await once(stream, 'response');
    stream.pause();
    stream.on('error', () => undefined);
    await source.returned;
    assert.equal((await bare.record(1)).outcome, 'DEADLINE_EXCEEDED');
  });

  test('ends at a value that cannot be encoded, and ends its source', async (t) => {
    let isOver = false;
    async function* work(): AsyncGenerator<string> {
      try {
        yield await Promise.resolve('fine');
        for (;;) yield BROKEN;
      } finally {
        isOver = true;
      }
    }
    const bare = await startBare(t, { Give: giving(work) });
    const stream = askStream(bare, 'go').resume();
    const { code, details } = await statusOf(stream);
    assert.equal(code, status.INTERNAL);
    assert.doesNotMatch(details, /broken/);
    assert.equal((await bare.record(1)).outcome, 'INTERNAL');
    assert.equal(isOver, true);
  });

  test('ends at a value beyond the largest message with TOO_LARGE', async (t) => {
    const source = new Counted('x'.repeat(2000));
    const bare = await startBare(
      t,
      { Give: giving(() => source) },
      { channel: { 'grpc.max_send_message_length': 1000 } },
    );
    const { code, metadata } = await statusOf(askStream(bare, 'go').resume());
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    assert.deepEqual(metadata.get('x-error-code'), ['TOO_LARGE']);
    await source.returned;
  });

  test('goes on through a drain until it has ended', async (t) => {
    const wanted = ['1', '2', '3'];
    let goOn: () => void = () => undefined;
    const drained = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    async function* work(): AsyncGenerator<string> {
      yield '1';
      await drained;
      yield* ['2', '3'];
    }
    const bare = await startBare(t, { Give: giving(work) });
    const stream = askStream(bare, 'go');
    const got: string[] = [];
    stream.on('data', (text: string) => got.push(text));
    await once(stream, 'data');
    bare.recorder.endEndless('The server is shutting down');
    bare.front.drain();
    goOn();
    assert.equal((await statusOf(stream)).code, status.OK);
    assert.deepEqual(got, wanted);
  });

  test('that is endless is ended by a drain', async (t) => {
    const source = new Counted();
    source.stuckAt = 2;
    const bare = await startBare(t, { Give: giving(() => source) }, { endless: ['Give'] });
    const stream = askStream(bare, 'go');
    await once(stream, 'data');
    bare.recorder.endEndless('The server is shutting down');
    const { code, details } = await statusOf(stream);
    assert.equal(code, status.UNAVAILABLE);
    assert.equal(details, 'DRAINING: The server is shutting down');
    await source.returned;
  });
});

describe('bidirectional', () => {
  async function* echo(requests: AsyncIterable<string>): AsyncGenerator<string> {
    for await (const request of requests) yield `${request}!`;
    yield 'end';
  }

  test('answers messages as they come, and ends after the last', async (t) => {
    const bare = await startBare(t, { Talk: talking(echo) });
    const stream = talk(bare);
    for (const text of ['a', 'b', 'c']) {
      stream.write(text);
      const [answer] = (await once(stream, 'data')) as [string];
      assert.equal(answer, `${text}!`);
    }
    const end = statusOf(stream);
    stream.end();
    assert.deepEqual(await collect(stream), ['end']);
    assert.equal((await end).code, status.OK);
    assert.equal((await bare.record(1)).outcome, 'ok');
  });

  test('keeps the order of many messages that come at once', async (t) => {
    const bare = await startBare(t, { Talk: talking(echo) });
    const stream = talk(bare);
    const texts = Array.from({ length: 500 }, (_, i) => String(i));
    for (const text of texts) stream.write(text);
    stream.end();
    assert.deepEqual(await collect(stream), [...texts.map((text) => `${text}!`), 'end']);
  });

  test('reads no further than the work asks', async (t) => {
    let take: (() => void) | undefined;
    let taken = 0;
    async function* work(requests: AsyncIterable<string>): AsyncGenerator<string> {
      yield 'ready';
      for await (const request of requests) {
        taken += request.length;
        await new Promise<void>((resolve) => {
          take = resolve;
        });
      }
    }
    const bare = await startBare(t, { Talk: talking(work) });
    const stream = talk(bare);
    await once(stream, 'data');
    let sent = 0;
    const write = (): void => {
      stream.write('x'.repeat(1_000_000), () => {
        sent += 1;
        if (sent < 40) write();
      });
    };
    write();
    const before = await settled(() => sent);
    assert.ok(before < 20, `${before} MB were taken from the client for work that took ${taken} bytes`);
    const seen = new Set<() => void>();
    while (taken < 40_000_000) {
      if (take !== undefined && !seen.has(take)) {
        seen.add(take);
        take();
      }
      await setImmediate();
    }
    take?.();
    const end = statusOf(stream.resume());
    stream.end();
    assert.equal((await end).code, status.OK);
  });

  test('whose work ends first is over, though the client would go on', async (t) => {
    async function* work(requests: AsyncIterable<string>): AsyncGenerator<string> {
      for await (const request of requests) {
        yield request;
        return;
      }
    }
    const bare = await startBare(t, { Talk: talking(work) });
    const stream = talk(bare);
    stream.write('only');
    assert.equal((await statusOf(stream.resume())).code, status.OK);
  });

  test('with a message that cannot be decoded is INVALID_ARGUMENT, and the work is told', async (t) => {
    const seen: unknown[] = [];
    async function* work(requests: AsyncIterable<string>): AsyncGenerator<string> {
      try {
        for await (const request of requests) yield request;
      } catch (thrown) {
        seen.push((thrown as JubakoError).code);
        throw thrown;
      }
    }
    const bare = await startBare(t, { Talk: talking(work) });
    const stream = bare.client.makeBidiStreamRequest(pathOf('Talk'), Buffer.from, toText);
    stream.on('error', () => undefined);
    stream.write('good');
    await once(stream, 'data');
    stream.write(BROKEN);
    const { code, details } = await statusOf(stream.resume());
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.match(details, /^INVALID_INPUT: Cannot decode the request/);
    await bare.record(1);
    assert.deepEqual(seen, ['INVALID_INPUT']);
  });

  test('that the client leaves ends what the work waits for', async (t) => {
    const codes: string[] = [];
    let onOver: () => void = () => undefined;
    const over = new Promise<void>((resolve) => {
      onOver = resolve;
    });
    async function* work(requests: AsyncIterable<string>): AsyncGenerator<string> {
      try {
        for await (const request of requests) yield request;
      } catch (thrown) {
        codes.push((thrown as JubakoError).code);
      } finally {
        onOver();
      }
    }
    const bare = await startBare(t, { Talk: talking(work) });
    const stream = talk(bare);
    stream.write('a');
    await once(stream, 'data');
    stream.cancel();
    await over;
    assert.deepEqual(codes, ['CLIENT_GONE']);
    assert.deepEqual(
      bare.refused.filter((error) => error.kind.internal === true),
      [],
    );
  });

  test('that fails while the client sends ends with that failure', async (t) => {
    async function* work(requests: AsyncIterable<string>): AsyncGenerator<string> {
      for await (const request of requests) {
        if (request === 'bad') throw new JubakoError('INVALID_INPUT', 'not this');
        yield request;
      }
    }
    const bare = await startBare(t, { Talk: talking(work) });
    const stream = talk(bare);
    stream.write('good');
    stream.write('bad');
    stream.write('good');
    const failed = once(stream, 'error') as Promise<[ServiceError]>;
    stream.resume();
    assert.equal((await failed)[0].details, 'INVALID_INPUT: not this');
  });
});
