import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import { BROKEN, pathOf, rawBytes, startBare, toText } from './grpc-bare-harness.js';
import { collect, settled, statusOf, talk, talking } from './grpc-stream-harness.js';

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
    const stream = bare.client.makeBidiStreamRequest(pathOf('Talk'), rawBytes, toText);
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
