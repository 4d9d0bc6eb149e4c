import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InOrder } from '#dist/grpc/in-order.js';

/** Answers that the test gives by hand. */
class Source implements AsyncIterator<string, void> {
  isEnded = false;
  asked = 0;
  readonly #ready: IteratorResult<string, void>[] = [];
  #pending: ((result: IteratorResult<string, void>) => void) | undefined;

  give(...values: readonly string[]): void {
    for (const value of values) this.#put({ done: false, value });
  }

  end(): void {
    this.#put({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<string, void>> {
    this.asked += 1;
    const ready = this.#ready.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => {
      this.#pending = resolve;
    });
  }

  return(): Promise<IteratorResult<string, void>> {
    this.isEnded = true;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  #put(result: IteratorResult<string, void>): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) this.#ready.push(result);
    else pending(result);
  }
}

interface Bench {
  readonly answers: InOrder<string, string>;
  readonly sources: Map<string, Source>;
  readonly requests: { readonly isEnded: boolean };
}

/** Requests are texts: their length is their size. */
function start(
  list: readonly string[],
  limits: { maxRequests?: number; maxBytes?: number; failure?: Error } = {},
): Bench {
  const sources = new Map<string, Source>();
  const requests = { isEnded: false };
  async function* read(): AsyncGenerator<string, void, undefined> {
    try {
      for (const request of list) yield await Promise.resolve(request);
      if (limits.failure !== undefined) throw limits.failure;
    } finally {
      requests.isEnded = true;
    }
  }
  const answers = new InOrder<string, string>(read(), {
    maxRequests: limits.maxRequests ?? 10,
    maxBytes: limits.maxBytes ?? 100,
    bytesOf: ({ length }) => length,
    answersTo: (request) => {
      const source = new Source();
      sources.set(request, source);
      return source;
    },
  });
  return { answers, sources, requests };
}

/** Everything that can happen without the test has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function source({ sources }: Bench, request: string): Source {
  const found = sources.get(request);
  assert.ok(found !== undefined, `${request} was not begun`);
  return found;
}

describe('InOrder', () => {
  test('begins all requests, and gives their answers one request after another', async () => {
    const bench = start(['a', 'b', 'c']);
    const first = bench.answers.next();
    await settled();
    assert.deepEqual([...bench.sources.keys()], ['a', 'b', 'c']);
    source(bench, 'c').give('c1');
    source(bench, 'b').give('b1');
    source(bench, 'a').give('a1', 'a2');
    for (const one of bench.sources.values()) one.end();
    assert.deepEqual(await first, { done: false, value: 'a1' });
    const rest: string[] = [];
    for await (const answer of bench.answers) rest.push(answer);
    assert.deepEqual(rest, ['a2', 'b1', 'c1']);
  });

  test('asks a source for no more than its first answer before the reader wants it', async () => {
    const bench = start(['a', 'b']);
    void bench.answers.next();
    await settled();
    source(bench, 'a').give('a1');
    source(bench, 'b').give('b1', 'b2');
    await settled();
    assert.deepEqual([source(bench, 'a').asked, source(bench, 'b').asked], [1, 1]);
  });

  test('reads no request beyond the number or the bytes that may be unfinished', async () => {
    for (const limits of [{ maxRequests: 2 }, { maxBytes: 2 }]) {
      const bench = start(['a', 'b', 'c', 'd'], limits);
      const first = bench.answers.next();
      await settled();
      assert.deepEqual([...bench.sources.keys()], ['a', 'b']);
      source(bench, 'a').give('a1');
      await first;
      const second = bench.answers.next();
      source(bench, 'a').end();
      await settled();
      assert.deepEqual([...bench.sources.keys()], ['a', 'b', 'c']);
      source(bench, 'b').give('b1');
      assert.deepEqual(await second, { done: false, value: 'b1' });
    }
  });

  test('takes one request that is larger than all may be', async () => {
    const bench = start(['large', 'b'], { maxBytes: 1 });
    void bench.answers.next();
    await settled();
    assert.deepEqual([...bench.sources.keys()], ['large']);
  });

  test('fails with the requests, after all answers', async () => {
    const failure = new Error('broken');
    const bench = start(['a'], { failure });
    const first = bench.answers.next();
    await settled();
    source(bench, 'a').give('a1');
    source(bench, 'a').end();
    assert.deepEqual(await first, { done: false, value: 'a1' });
    await assert.rejects(bench.answers.next(), failure);
    assert.deepEqual(await bench.answers.next(), { done: true, value: undefined });
  });

  test('endWith answers what was begun, reads no more, and fails then', async () => {
    const bench = start(['a', 'b'], { maxRequests: 1 });
    const first = bench.answers.next();
    await settled();
    const failure = new Error('enough');
    bench.answers.endWith(failure);
    source(bench, 'a').give('a1');
    source(bench, 'a').end();
    assert.deepEqual(await first, { done: false, value: 'a1' });
    await assert.rejects(bench.answers.next(), failure);
    assert.deepEqual([...bench.sources.keys()], ['a']);
    assert.ok(bench.requests.isEnded);
  });

  test('a reader that leaves ends every source and the requests', async () => {
    const bench = start(['a', 'b', 'c'], { maxRequests: 2 });
    const first = bench.answers.next();
    await settled();
    await bench.answers.return();
    assert.deepEqual(
      [...bench.sources].map(([request, { isEnded }]) => [request, isEnded]),
      [
        ['a', true],
        ['b', true],
      ],
    );
    assert.ok(bench.requests.isEnded);
    assert.equal((await first).done, true);
  });
});
