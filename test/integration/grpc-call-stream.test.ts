import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { Metadata, status, type Client, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import { defineService, json, stream, text } from '#dist/service/index.js';
import { service as kinds } from '../support/kinds-service.js';
import { connectJubako, fails, invalid, plainOf, startBento, valueOf, type Bento } from './grpc-bento-harness.js';
import type { HarnessOptions, Message } from './grpc-harness.js';

type StreamMethod = (request: unknown, metadata?: Metadata) => ClientReadableStream<Message>;

interface Streaming extends Bento {
  readonly open: (request: Message, metadata?: Metadata) => ClientReadableStream<Message>;
  /** All answers, or the failure, with the answers that came before it in `seen`. */
  readonly all: (request: Message, seen?: Message[]) => Promise<Message[]>;
}

async function start(t: TestContext, options: HarnessOptions = {}): Promise<Streaming> {
  const bento = await startBento(t, { service: kinds, ...options });
  const client: Client = connectJubako(t, bento.grpc);
  const { CallStream } = client as unknown as Record<'CallStream', StreamMethod>;
  const open: Streaming['open'] = (request, metadata = new Metadata()) => CallStream.call(client, request, metadata);
  return {
    ...bento,
    open,
    all: async (request, seen = []) => {
      for await (const answer of open(request)) seen.push(answer as Message);
      return seen;
    },
  };
}

describe('CallStream', () => {
  test('answers each value as Call would', async (t) => {
    const { all } = await start(t);
    assert.deepEqual(
      (await all({ api_name: 'tokens', text: { value: 'a b c' } })).map((answer) => answer['text']),
      [{ value: 'a' }, { value: 'b' }, { value: 'c' }],
    );
    const events = await all({ api_name: 'events', json: valueOf([1, { a: null }]) });
    assert.deepEqual(
      events.map((answer) => plainOf(answer['json'] as Message)),
      [1, { a: null }],
    );
    const blob = Buffer.from([0, 255]);
    assert.deepEqual(
      (await all({ api_name: 'chunks', serialized_bytes: blob })).map((answer) => answer['serialized_bytes']),
      [blob, blob],
    );
    const ndarray = { dtype: 'DTYPE_FLOAT', shape: [1, 2], float_values: [1, 2] };
    assert.deepEqual(
      (await all({ api_name: 'rows', ndarray })).map((answer) => answer['ndarray']),
      [ndarray, ndarray],
    );
    assert.deepEqual(await all({ api_name: 'events', json: valueOf([]) }), []);
  });

  test('is served whatever the version of the service of BentoML is', async (t) => {
    const { all } = await start(t, { config: { protocolVersion: 'v1alpha1' } });
    assert.equal((await all({ api_name: 'tokens', text: { value: 'a b' } })).length, 2);
  });

  test('is recorded under its route, with its request id', async (t) => {
    const { open, grpc } = await start(t);
    const metadata = new Metadata();
    metadata.set('x-request-id', 'r-7');
    const call = open({ api_name: 'tokens', text: { value: 'a' } }, metadata);
    const [initial] = (await once(call, 'metadata')) as [Metadata];
    assert.deepEqual(initial.get('x-request-id'), ['r-7']);
    await once(call.resume(), 'end');
    const { route, outcome, requestId } = await grpc.record(1);
    assert.deepEqual([route, outcome, requestId], ['/jubako.v1.Jubako/CallStream', 'ok', 'r-7']);
  });

  test('refuses APIs that give one value and names Call, as Call refuses streams and names CallStream', async (t) => {
    const { all, ask } = await start(t);
    await assert.rejects(
      all({ api_name: 'words', text: { value: 'x' } }),
      invalid(/"words" by \/jubako\.v1\.Jubako\/CallStream: it gives one value; wanted Call/),
    );
    await assert.rejects(
      ask('tokens', { text: { value: 'x' } }),
      invalid(/"tokens" by .*BentoService\/Call: it gives a stream of values; wanted \/jubako\.v1\.Jubako\/CallStream/),
    );
    await assert.rejects(
      all({ api_name: 'nope' }),
      fails(status.NOT_FOUND, 'NOT_FOUND', /"nope": the APIs are anything/),
    );
    await assert.rejects(all({ api_name: 'tokens', file: {} }), invalid(/"tokens": it is file; wanted text/));
    await assert.rejects(all({ api_name: 'events', json: valueOf('x') }), invalid(/must be array/));
  });

  test('ends with the status of a failure after the values before it', async (t) => {
    const failing = defineService({
      name: 'failing',
      apis: {
        two: {
          input: text(),
          output: stream(json()),
          handler: async function* (word) {
            yield await Promise.resolve(1);
            yield word;
            throw new JubakoError('RATE_LIMITED', 'enough of it');
          },
        },
        odd: {
          input: text(),
          output: stream(json({ type: 'number' })),
          handler: async function* (word) {
            yield await Promise.resolve(word);
          },
        },
        huge: {
          input: text(),
          output: stream(json()),
          handler: async function* () {
            yield await Promise.resolve(1n);
          },
        },
      },
    });
    const { all, grpc } = await start(t, { service: failing });
    const seen: Message[] = [];
    await assert.rejects(
      all({ api_name: 'two', text: { value: 'x' } }, seen),
      fails(status.RESOURCE_EXHAUSTED, 'RATE_LIMITED', /enough of it/),
    );
    assert.equal(seen.length, 2);
    const userCode = fails(status.INTERNAL, 'USER_CODE', /The code of the service failed/);
    await assert.rejects(all({ api_name: 'odd', text: { value: 'x' } }), userCode);
    await assert.rejects(all({ api_name: 'huge', text: { value: 'x' } }), userCode);
    const logged = grpc.logs.filter((line) => line['event'] === 'request.failed').at(-1);
    assert.match(String(logged?.['msg']), /Cannot write the output of the API "huge" as JSON/);
  });

  test('stops the generator when the client leaves, and goes on only as the client reads', async (t) => {
    let made = 0;
    let ended = (): void => undefined;
    const stopped = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const endless = defineService({
      name: 'endless',
      apis: {
        count: {
          input: text(),
          output: stream(text()),
          handler: async function* () {
            try {
              for (;;) {
                made += 1;
                yield await Promise.resolve('x'.repeat(64 * 1024));
              }
            } finally {
              ended();
            }
          },
        },
      },
    });
    const { open, grpc } = await start(t, { service: endless });
    const call = open({ api_name: 'count', text: { value: '' } });
    call.on('error', (error: ServiceError) => {
      assert.equal(error.code, status.CANCELLED);
    });
    await once(call, 'readable');
    call.cancel();
    await stopped;
    assert.equal((await grpc.record(1)).outcome, 'CLIENT_GONE');
    // 64 KiB is the window of HTTP/2: what it can't take is not made, but for a few that are under way.
    assert.ok(made < 200, String(made));
  });

  test('counts against maxConcurrency until it is over', async (t) => {
    const held = defineService({
      name: 'held',
      apis: {
        one: {
          input: text(),
          output: stream(text()),
          handler: async function* (_word, { signal }) {
            yield 'first';
            await once(signal, 'abort');
          },
        },
      },
    });
    const { open, all, grpc } = await start(t, { service: held, config: { maxConcurrency: 1 } });
    const request = { api_name: 'one', text: { value: '' } };
    const call = open(request);
    call.on('error', () => undefined);
    await once(call, 'data');
    await assert.rejects(all(request), fails(status.RESOURCE_EXHAUSTED, 'QUEUE_FULL', /the limit is 1/));
    call.cancel();
    await grpc.record(2);
    const again = open(request);
    again.on('error', () => undefined);
    await once(again, 'data');
    again.cancel();
    await grpc.record(3);
  });
});
