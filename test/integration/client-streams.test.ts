import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { ClientError, Tensor, tensorOf } from '#dist/client/index.js';
import { encodeError } from '#dist/tensor/value-stream.js';
import {
  answerError,
  answerJson,
  beginStream,
  endStream,
  JSON_SPEC,
  LIMIT,
  Milestone,
  startServer,
  STREAM_SPEC,
  type HandmadeApi,
} from './client-harness.js';

function streaming(answer: HandmadeApi['answer']): HandmadeApi {
  return { input: JSON_SPEC, output: STREAM_SPEC, answer };
}

/** What came, and what it failed with. */
async function drain(values: AsyncIterable<unknown>): Promise<{ values: unknown[]; error?: unknown }> {
  const seen: unknown[] = [];
  try {
    for await (const value of values) seen.push(value);
  } catch (error) {
    return { values: seen, error };
  }
  return { values: seen };
}

test('a stream gives its values as they were, and asks for them in the exact form', LIMIT, async (t) => {
  const sent = ['text', { n: 1 }, new Uint8Array([1, 2]), tensorOf('int64', [2], [1n, 2n ** 62n]), null];
  const server = await startServer(t, {
    count: streaming((response) => {
      beginStream(response, ...sent);
      endStream(response);
    }),
  });
  const { values, error } = await drain(server.streams().count({ upTo: 5 }));
  assert.equal(error, undefined);
  assert.deepEqual(values, sent);
  assert.ok(values[3] instanceof Tensor);
  assert.equal(server.calls()[0]?.headers.accept, 'application/vnd.jubako.values');
  assert.equal(server.calls()[0]?.body.toString(), '{"upTo":5}');
});

test('a stream that is not read sends nothing, and is itself when it is awaited', LIMIT, async (t) => {
  const server = await startServer(t, {
    count: streaming((response) => {
      beginStream(response, 1);
      endStream(response);
    }),
  });
  const client = server.streams();
  client.count(0);
  // eslint-disable-next-line @typescript-eslint/await-thenable -- what an async function that returns it would do
  const awaited = await client.count(0);
  assert.equal(server.calls().length, 0);
  assert.deepEqual((await drain(awaited)).values, [1]);
  assert.equal(server.calls().length, 1);
});

test('a failure after the first value is thrown in its place, with its code and id', LIMIT, async (t) => {
  const server = await startServer(t, {
    fail: streaming((response) => {
      beginStream(response, 1, 2);
      response.end(encodeError(JSON.stringify({ code: 'RUNNER_LOST', message: 'Lost', requestId: 'r5', details: 3 })));
    }),
  });
  const { values, error } = await drain(server.streams().fail(0));
  assert.deepEqual(values, [1, 2]);
  assert.ok(error instanceof ClientError);
  const { code, message, requestId, details, status } = error;
  assert.deepEqual([code, message, requestId, details, status], ['RUNNER_LOST', 'Lost', 'r5', 3, 200]);
});

test('a failure before the first value is that of any call', LIMIT, async (t) => {
  const server = await startServer(t, {
    refuse: streaming((response) => {
      answerError(response, 400, { code: 'INVALID_INPUT', message: 'No', requestId: 'r1' });
    }),
  });
  const client = server.streams();
  const { error } = await drain(client.refuse(0));
  assert.ok(error instanceof ClientError && error.code === 'INVALID_INPUT' && error.status === 400);
  const unknown = await drain(client.$call('other' as 'refuse', 0));
  assert.ok(unknown.error instanceof ClientError && unknown.error.code === 'NOT_FOUND');
});

test('a stream that fails before it is read keeps its failure for its reader', LIMIT, async (t) => {
  const server = await startServer(
    t,
    { count: streaming((response) => beginStream(response)) },
    {
      document: (response) => {
        answerError(response, 503, { code: 'NOT_READY', message: 'not yet', requestId: 'r1' });
      },
    },
  );
  const client = server.streams();
  const values = client.count(0);
  // Long after the first one has failed; a rejection that nobody handles would end this test.
  for (let i = 0; i < 3; i += 1) await drain(client.count(0));
  const { error } = await drain(values);
  assert.ok(error instanceof ClientError && error.code === 'NOT_READY');
});

test('a stream that is cut, cleanly or not, is never taken for one that ended', LIMIT, async (t) => {
  const server = await startServer(t, {
    clean: streaming((response) => {
      beginStream(response, 1);
      response.end();
    }),
    reset: streaming((response) => {
      beginStream(response, 1);
      response.write(Buffer.of(9, 0), () => response.destroy());
    }),
    more: streaming((response) => {
      beginStream(response, 1);
      endStream(response);
    }),
    noise: streaming((response) => {
      beginStream(response, 1);
      response.end(Buffer.alloc(16));
    }),
  });
  const client = server.streams();
  const codes: Record<string, unknown> = {};
  for (const name of ['clean', 'reset', 'more', 'noise'] as const) {
    const { values, error } = await drain(client.$call(name, 0));
    if (name !== 'noise') assert.deepEqual(values, [1]);
    codes[name] = error instanceof ClientError ? error.code : error;
  }
  assert.deepEqual(codes, { clean: 'NOT_READY', reset: 'NOT_READY', more: undefined, noise: 'INTERNAL' });
});

test('whoever stops reading ends the request', LIMIT, async (t) => {
  const left = new Milestone();
  const server = await startServer(t, {
    endless: streaming((response) => {
      response.on('close', left.reach);
      beginStream(response, 1, 2, 3);
    }),
  });
  for await (const value of server.streams().endless(0)) if (value === 2) break;
  await left.reached;
});

test('return() ends a stream also while its next value is waited for', LIMIT, async (t) => {
  const left = new Milestone();
  const server = await startServer(t, {
    endless: streaming((response) => {
      response.on('close', left.reach);
      beginStream(response, 1);
    }),
  });
  const values = server.streams().endless(0)[Symbol.asyncIterator]();
  assert.deepEqual(await values.next(), { done: false, value: 1 });
  const pending = values.next();
  assert.deepEqual(await values.return?.(), { done: true, value: undefined });
  assert.deepEqual(await pending, { done: true, value: undefined });
  assert.deepEqual(await values.next(), { done: true, value: undefined });
  await left.reached;
});

test('an aborted stream fails with the reason of the signal', LIMIT, async (t) => {
  const left = new Milestone();
  const server = await startServer(t, {
    endless: streaming((response) => {
      response.on('close', left.reach);
      beginStream(response, 1);
    }),
  });
  const controller = new AbortController();
  const values: unknown[] = [];
  const read = async (): Promise<void> => {
    for await (const value of server.streams().endless(0, { signal: controller.signal })) {
      values.push(value);
      controller.abort('enough');
    }
  };
  assert.equal(await read().catch((thrown: unknown) => thrown), 'enough');
  assert.deepEqual(values, [1]);
  await left.reached;
});

test('timeoutMs of a stream counts while a value is waited for, not while the reader is busy', LIMIT, async (t) => {
  const streams: ServerResponse[] = [];
  const server = await startServer(t, {
    slow: streaming((response) => {
      streams.push(response);
      beginStream(response, 1);
    }),
  });
  const client = server.streams();
  const busy = client.slow(0, { timeoutMs: 1000 })[Symbol.asyncIterator]();
  assert.deepEqual(await busy.next(), { done: false, value: 1 });
  // A timer that began after the value came outlasts one that would have begun with the request.
  const other = await drain(client.slow(0, { timeoutMs: 1000 }));
  assert.deepEqual(other.values, [1]);
  assert.ok(other.error instanceof ClientError && other.error.code === 'DEADLINE_EXCEEDED');
  const [first] = streams;
  assert.ok(first !== undefined && !first.destroyed, 'the busy one is still open');
  endStream(first);
  assert.deepEqual(await busy.next(), { done: true, value: undefined });
});

test('iterating over an API that gives one value says so', LIMIT, async (t) => {
  const server = await startServer(t, {
    one: { input: JSON_SPEC, output: JSON_SPEC, answer: (response) => answerJson(response, 1) },
  });
  const { error } = await drain(server.streams().one(0));
  assert.ok(error instanceof ClientError);
  assert.match(error.message, /answer of API "one": it is one value/);
});
