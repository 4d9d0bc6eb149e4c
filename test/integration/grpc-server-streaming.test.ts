import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import { type Rpc } from '#dist/grpc/rpc.js';
import { BROKEN, pathOf, startBare, toText, rawBytes } from './grpc-bare-harness.js';
import { Counted, askStream, collect, framed, giving, rawCall, settled, statusOf } from './grpc-stream-harness.js';

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

  test('of nothing is OK, with the request id as any other', async (t) => {
    async function* work(): AsyncGenerator<string> {}
    const bare = await startBare(t, { Give: giving(work) });
    const stream = askStream(bare, 'x');
    const end = statusOf(stream);
    const [metadata] = (await once(stream, 'metadata')) as [Metadata];
    assert.match(String(metadata.get('x-request-id')[0]), /^[0-9a-f]{24}$/);
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

  test('that is ended while an answer waits for the one before it gets its status, and nothing after', async (t) => {
    async function* work(_: string, rpc: Rpc): AsyncGenerator<string> {
      yield 'written';
      process.nextTick(() => rpc.call?.end(new JubakoError('RATE_LIMITED', 'enough'))); // when both were given to grpc-js
      yield 'waiting';
    }
    const bare = await startBare(t, { Give: giving(work) });
    const stream = rawCall(t, bare.port, pathOf('Give'));
    stream.end(framed('go'));
    stream.resume();
    const [trailers] = (await once(stream, 'trailers')) as [http2.IncomingHttpHeaders];
    assert.equal(trailers['x-error-code'], 'RATE_LIMITED');
    assert.equal((await bare.record(1)).outcome, 'RATE_LIMITED');
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
    const stream = bare.client.makeServerStreamRequest(pathOf('Give'), rawBytes, toText, BROKEN);
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
