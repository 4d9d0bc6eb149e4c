import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import { createInvoker, type RunnerTransport } from '#dist/service/create-invoker.js';
import { defineRunner, defineService, json, stream, tensor } from '#dist/service/index.js';
import { newTiming, type ApiCall, type Invoker, type RunnerCall } from '#dist/service/invoke.js';
import { tensorOf } from '#dist/tensor/index.js';

const runner = defineRunner({
  name: 'r',
  load: () => null,
  methods: {
    twice: { input: tensor('float32', [-1]), output: tensor('float32', [-1]), batch: {}, run: (_model, x) => x },
    count: {
      input: json<number>(),
      output: stream(json<number>()),
      async *run() {
        yield await Promise.resolve(1);
      },
    },
  },
});

const never = new Promise<never>(() => undefined);

const service = defineService({
  name: 's',
  runners: [runner],
  apis: {
    double: {
      input: json<number>({ type: 'number' }),
      output: json(),
      handler: async (x, { runners }) => [...(await runners.r.twice(tensorOf('float32', [1], [x]))).data],
    },
    hang: { input: json(), output: json(), handler: () => never },
    signal: {
      input: json(),
      output: json(),
      handler: (_input, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            reject(signal.reason as Error);
          }),
        ),
    },
    throws: {
      input: json(),
      output: json(),
      handler: () => {
        throw new Error('secret');
      },
    },
    refuses: {
      input: json(),
      output: json(),
      handler: () => {
        throw new JubakoError('RATE_LIMITED', 'slow down');
      },
    },
    wrongOutput: { input: json(), output: json<number>({ type: 'number' }), handler: () => 'x' as unknown as number },
    sum: {
      input: json<number>(),
      output: json(),
      handler: async (input, { runners }) => {
        let sum = 0;
        for await (const value of runners.r.count(input)) sum += value;
        return sum;
      },
    },
    first: {
      input: json<number>(),
      output: json(),
      handler: async (input, { runners }) => {
        const read = await runners.r.count(input)[Symbol.asyncIterator]().next();
        if (input === 13) throw new Error('unlucky');
        return read.done === true ? null : read.value;
      },
    },
    wrongTensor: {
      input: json(),
      output: json(),
      handler: (_input, { runners }) => runners.r.twice(tensorOf('float32', [1, 1], [1])),
    },
  },
});

type Call = RunnerTransport['call'];

function invoker(
  runnerCall: Call = (given) => Promise.resolve(given.input),
  timeoutMs = 0,
  runnerStream: RunnerTransport['stream'] = () => assert.fail('no stream was expected'),
): Invoker {
  return createInvoker({
    service,
    timeoutMs,
    streamLimits: { firstMs: 0, idleMs: 0, wholeMs: 0 },
    transport: { call: runnerCall, stream: runnerStream },
  });
}

function call(api: string, input: unknown, extra: Partial<ApiCall> = {}): ApiCall {
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

test('callApi runs the handler, and its runner call carries id, deadline, signal and timing', async () => {
  const seen: RunnerCall[] = [];
  const request = call('double', 4, { deadlineAtMs: performance.now() + 60_000 });
  const output = await invoker((runnerCall) => {
    seen.push(runnerCall);
    return Promise.resolve(runnerCall.input);
  }).callApi(request);
  assert.deepEqual(output, [4]);
  assert.equal(seen[0]?.requestId, 'id-1');
  assert.equal(seen[0].deadlineAtMs, request.deadlineAtMs);
  assert.equal(seen[0].timing, request.timing);
});

for (const [api, input, code, message] of [
  ['nope', 1, 'NOT_FOUND', /the APIs are double/],
  ['__proto__', 1, 'NOT_FOUND', /Cannot find the API/],
  ['double', 'x', 'INVALID_INPUT', /must be number/],
  ['throws', 1, 'USER_CODE', /secret/],
  ['refuses', 1, 'RATE_LIMITED', /slow down/],
  ['wrongOutput', 1, 'USER_CODE', /API "wrongOutput" gave an output that does not fit/],
  ['wrongTensor', 1, 'USER_CODE', /Cannot call runners\.r\.twice with this input/],
] as const) {
  test(`callApi answers ${code} for ${api} with ${JSON.stringify(input)}`, async () => {
    await assert.rejects(invoker().callApi(call(api, input)), { code, message });
  });
}

test('callApi keeps what a runner answers, code and all', async () => {
  const failing = invoker(() => Promise.reject(new JubakoError('QUEUE_FULL', 'full')));
  await assert.rejects(failing.callApi(call('double', 1)), { code: 'QUEUE_FULL' });
});

test('callApi answers DEADLINE_EXCEEDED for a handler that never ends', async () => {
  await assert.rejects(invoker(undefined, 5).callApi(call('hang', 1)), { code: 'DEADLINE_EXCEEDED' });
  await assert.rejects(invoker().callApi(call('hang', 1, { deadlineAtMs: performance.now() - 1 })), {
    code: 'DEADLINE_EXCEEDED',
  });
});

test('callApi aborts the signal of the handler when the caller has gone, and answers CLIENT_GONE', async () => {
  const cancellation = new Cancellation();
  const answer = invoker().callApi(call('signal', 1, { cancellation }));
  cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
  await assert.rejects(answer, { code: 'CLIENT_GONE' });
});

test('callRunner checks the input and reaches the method without a handler', async () => {
  const direct = (runnerName: string, input: unknown): Promise<unknown> =>
    invoker().callRunner({ ...call('', null), runner: runnerName, method: 'twice', input, priority: 'normal' });
  const rows = tensorOf('float32', [2], [1, 2]);
  assert.equal(await direct('r', rows), rows);
  await assert.rejects(direct('r', tensorOf('int32', [1], [1])), { code: 'INVALID_INPUT' });
  await assert.rejects(direct('x', rows), { code: 'NOT_FOUND', message: /the methods are r\.twice/ });
});

test('callRunner refuses a method that streams, instead of waiting for its end', async () => {
  const answer = invoker().callRunner({
    ...call('', null),
    runner: 'r',
    method: 'count',
    input: 1,
    priority: 'normal',
  });
  await assert.rejects(answer, { code: 'INVALID_INPUT', message: /"r\.count" this way: it gives a stream/ });
});

/** Streams 0, 1, 2 … as many as the input says, for 0 never a value; `ended` tells why the runner was told to stop. */
function counting(): { readonly stream: RunnerTransport['stream']; readonly ended: Promise<string> } {
  let tell: (code: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => {
    tell = resolve;
  });
  return {
    ended,
    async *stream(given) {
      given.cancellation.add({
        onCancel: ({ code }) => {
          tell(code);
        },
      });
      const wanted = given.input as number;
      for (let i = 0; i < wanted; i += 1) yield i;
      if (wanted === 0) await never;
    },
  };
}

test('callApi gives a handler the values of a stream', async () => {
  assert.equal(await invoker(undefined, 0, counting().stream).callApi(call('sum', 4)), 6);
});

for (const [what, input, outcome] of [
  ['answered', 5, undefined],
  ['failed', 13, 'USER_CODE'],
] as const) {
  test(`callApi cancels a stream that the handler left open when it ${what}`, async () => {
    const { stream: source, ended } = counting();
    const answer = invoker(undefined, 0, source).callApi(call('first', input));
    if (outcome === undefined) assert.equal(await answer, 0);
    else await assert.rejects(answer, { code: outcome });
    assert.equal(await ended, 'CLIENT_GONE');
  });
}

test('callApi cancels an open stream at the deadline', async () => {
  const { stream: source, ended } = counting();
  await assert.rejects(invoker(undefined, 5, source).callApi(call('sum', 0)), { code: 'DEADLINE_EXCEEDED' });
  assert.equal(await ended, 'DEADLINE_EXCEEDED');
});

test('callApi cancels an open stream when its caller has gone', async () => {
  const cancellation = new Cancellation();
  const { stream: source, ended } = counting();
  const answer = invoker(undefined, 0, (given) => {
    setImmediate(() => {
      cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
    });
    return source(given);
  }).callApi(call('sum', 0, { cancellation }));
  await assert.rejects(answer, { code: 'CLIENT_GONE' });
  assert.equal(await ended, 'CLIENT_GONE');
});
