import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import { createInvoker, type RunnerTransport } from '#dist/service/create-invoker.js';
import { defineRunner, defineService, json, stream } from '#dist/service/index.js';
import { newTiming, type ApiCall, type Invoker } from '#dist/service/invoke.js';
import type { StreamLimits } from '#dist/service/limited-stream.js';

const never = new Promise<never>(() => undefined);
/** How each generator of the service ended, by its API. */
const ended: string[] = [];
/** Values that the generators were asked for, and for which they have not been asked twice. */
let asked = 0;

const runner = defineRunner({
  name: 'r',
  load: () => null,
  methods: {
    count: {
      input: json<number>(),
      output: stream(json<number>()),
      async *run() {
        yield await Promise.resolve(1);
      },
    },
    once: { input: json(), output: json(), run: (_model, input) => input },
  },
});

const service = defineService({
  name: 's',
  runners: [runner],
  apis: {
    count: {
      input: json<number>({ type: 'number' }),
      output: stream(json<number>({ type: 'number' })),
      async *handler(upTo) {
        try {
          for (let i = 0; i < upTo; i += 1) {
            asked += 1;
            yield await Promise.resolve(i);
          }
        } finally {
          ended.push('count');
        }
      },
    },
    relay: {
      input: json<number>(),
      output: stream(json<number>()),
      handler: (upTo, { runners }) => runners.r.count(upTo),
    },
    hang: {
      input: json(),
      output: stream(json()),
      async *handler() {
        yield 1;
        await never;
      },
    },
    waits: {
      input: json(),
      output: stream(json()),
      async *handler(_input, { signal }) {
        yield 1;
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            ended.push('waits');
            reject(signal.reason as Error);
          });
        });
      },
    },
    slowToBegin: { input: json(), output: stream(json()), handler: () => never },
    fails: {
      input: json(),
      output: stream(json()),
      async *handler() {
        yield await Promise.resolve(1);
        throw new Error('secret');
      },
    },
    wrongValue: {
      input: json(),
      output: stream(json<number>({ type: 'number' })),
      async *handler() {
        yield await Promise.resolve('x' as unknown as number);
      },
    },
    noStream: {
      input: json(),
      output: stream(json<number>()),
      handler: () => [1, 2] as unknown as AsyncIterable<number>,
    },
    value: { input: json(), output: json(), handler: () => 1 },
  },
});

const NO_LIMITS: StreamLimits = { firstMs: 0, idleMs: 0, wholeMs: 0 };

function invoker(limits: Partial<StreamLimits> = {}, runnerStream?: RunnerTransport['stream']): Invoker {
  return createInvoker({
    service,
    timeoutMs: 0,
    streamLimits: { ...NO_LIMITS, ...limits },
    transport: {
      call: () => assert.fail('no call was expected'),
      stream: runnerStream ?? (() => assert.fail('no stream was expected')),
    },
  });
}

function call(api: string, input: unknown = null, extra: Partial<ApiCall> = {}): ApiCall {
  return {
    api,
    input: { form: 'json', json: input },
    requestId: 'id-1',
    cancellation: new Cancellation(),
    deadlineAtMs: undefined,
    timing: newTiming(),
    ...extra,
  };
}

async function collect(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const value of values) list.push(value);
  return list;
}

test('streamApi gives the values of the generator, asks for each only when the reader does, and ends it', async () => {
  asked = 0;
  const values = invoker().streamApi(call('count', 3));
  assert.equal(asked, 0, 'nothing begins before the first next()');
  assert.deepEqual(await values.next(), { done: false, value: 0 });
  assert.equal(asked, 1);
  assert.deepEqual(await collect(values), [1, 2]);
  assert.equal(asked, 3);
  assert.equal(ended.pop(), 'count');
  assert.deepEqual(await values.next(), { done: true, value: undefined });
});

test('streamApi ends the generator when the reader stops', async () => {
  const cancellation = new Cancellation();
  for await (const value of invoker().streamApi(call('count', 1e9, { cancellation }))) if (value === 2) break;
  assert.equal(ended.pop(), 'count');
  assert.equal(cancellation.reason?.code, 'CLIENT_GONE');
});

for (const [api, code, message] of [
  ['fails', 'USER_CODE', /secret/],
  ['wrongValue', 'USER_CODE', /A value of API "wrongValue".*must be number/],
  ['noStream', 'USER_CODE', /wanted an async iterable/],
  ['value', 'INVALID_INPUT', /"value" this way: it gives one value/],
  ['nothing', 'NOT_FOUND', /the APIs are count/],
] as const) {
  test(`streamApi fails with ${code} for the API "${api}"`, async () => {
    const values = invoker().streamApi(call(api));
    await assert.rejects(collect(values), { code, message });
    await assert.rejects(values.next(), { code }, 'a stream that failed does not look like one that ended');
  });
}

test('streamApi refuses an input before the handler runs', async () => {
  await assert.rejects(collect(invoker().streamApi(call('count', 'x'))), {
    code: 'INVALID_INPUT',
    message: /must be number/,
  });
});

for (const [limit, api, values, message] of [
  ['firstMs', 'slowToBegin', 0, /the first value of the stream within 5 ms/],
  ['idleMs', 'hang', 1, /the next value of the stream within 5 ms/],
  ['wholeMs', 'hang', 1, /finish the stream within 5 ms/],
] as const) {
  test(`streamApi ends a stream at its limit ${limit}, whatever the generator does`, async () => {
    const reader = invoker({ [limit]: 5 }).streamApi(call(api));
    for (let i = 0; i < values; i += 1) await reader.next();
    await assert.rejects(reader.next(), { code: 'DEADLINE_EXCEEDED', message });
  });
}

test("streamApi ends a stream at the caller's own deadline, and does not begin behind it", async () => {
  const late = call('hang', null, { deadlineAtMs: performance.now() - 1 });
  await assert.rejects(invoker().streamApi(late).next(), { code: 'DEADLINE_EXCEEDED' });
  const near = invoker().streamApi(call('hang', null, { deadlineAtMs: performance.now() + 20 }));
  await near.next();
  await assert.rejects(near.next(), { code: 'DEADLINE_EXCEEDED' });
});

test('streamApi tells a generator that waits when the client has gone', async () => {
  const cancellation = new Cancellation();
  const reader = invoker().streamApi(call('waits', null, { cancellation }));
  await reader.next();
  const pending = reader.next();
  cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
  await assert.rejects(pending, { code: 'CLIENT_GONE' });
  assert.equal(ended.pop(), 'waits');
});

test('return() settles a next() that waits', async () => {
  const reader = invoker().streamApi(call('hang'));
  await reader.next();
  const pending = reader.next();
  await reader.return?.();
  assert.deepEqual(await pending, { done: true, value: undefined });
});

/** Streams 0, 1 … as many as the input says; `ended` tells why the runner was told to stop. */
function counting(): { readonly stream: RunnerTransport['stream']; readonly ended: Promise<string> } {
  let tell: (code: string) => void = () => undefined;
  const told = new Promise<string>((resolve) => {
    tell = resolve;
  });
  return {
    ended: told,
    async *stream(given) {
      given.cancellation.add({
        onCancel: ({ code }) => {
          tell(code);
        },
      });
      for (let i = 0; i < (given.input as number); i += 1) yield await Promise.resolve(i);
    },
  };
}

test('streamApi keeps the streams of runners open until its own end, and ends them with it', async () => {
  assert.deepEqual(await collect(invoker({}, counting().stream).streamApi(call('relay', 3))), [0, 1, 2]);
  const source = counting();
  for await (const value of invoker({}, source.stream).streamApi(call('relay', 1e9))) if (value === 5) break;
  assert.equal(await source.ended, 'CLIENT_GONE');
});

test('streamRunner streams a method without a handler, and refuses one that gives a value', async () => {
  const direct = (method: string): AsyncIterable<unknown> =>
    invoker({}, counting().stream).streamRunner({
      ...call(''),
      runner: 'r',
      method,
      input: 2,
      priority: 'normal',
    });
  assert.deepEqual(await collect(direct('count')), [0, 1]);
  await assert.rejects(collect(direct('once')), { code: 'INVALID_INPUT', message: /"r\.once" this way/ });
});

test('open gives what a handler gets, and ends the streams that were opened with it', async () => {
  const source = counting();
  const opened = invoker({}, source.stream).open(call(''));
  const runners = opened.context.runners as unknown as { r: { count(upTo: number): AsyncIterableIterator<number> } };
  assert.deepEqual(await runners.r.count(9).next(), { done: false, value: 0 });
  opened.end();
  assert.equal(await source.ended, 'CLIENT_GONE');
});

test('open limits a stream by the limit of whole streams, and anything else by that of calls', async () => {
  const limits = { firstMs: 0, idleMs: 0, wholeMs: 5 };
  const transport: RunnerTransport = {
    call: () => assert.fail('no call was expected'),
    stream: () => assert.fail('no stream was expected'),
  };
  const shortCalls = createInvoker({ service, timeoutMs: 5, streamLimits: NO_LIMITS, transport });
  const shortStreams = createInvoker({ service, timeoutMs: 0, streamLimits: limits, transport });
  for (const [of, isStream] of [
    [shortCalls, false],
    [shortStreams, true],
  ] as const) {
    const { context } = of.open(call(''), isStream);
    await new Promise((resolve) => {
      context.signal.addEventListener('abort', resolve);
    });
    assert.equal((context.signal.reason as JubakoError).code, 'DEADLINE_EXCEEDED');
  }
  const unlimited = shortCalls.open(call(''), true);
  assert.equal(unlimited.context.signal.aborted, false);
  unlimited.end();
});
