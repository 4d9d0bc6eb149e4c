import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import { createRunnersClass, endStreams, type RunnerTransport } from '#dist/service/bound-runners.js';
import type { AnyRunners } from '#dist/service/define.js';
import { defineRunner, json, stream, tensor } from '#dist/service/index.js';
import { newTiming, type CallContext, type RunnerCall } from '#dist/service/invoke.js';
import { tensorOf } from '#dist/tensor/index.js';

const runner = defineRunner({
  name: 'r',
  load: () => null,
  methods: {
    twice: { input: tensor('float32', [-1]), output: tensor('float32', [-1]), batch: {}, run: (_model, x) => x },
    count: {
      input: json<number>({ type: 'number' }),
      output: stream(json<number>()),
      async *run(_model, to: number) {
        for (let i = 0; i < to; i += 1) yield await Promise.resolve(i);
      },
    },
  },
});

/** A transport that answers with the input and streams the numbers below it, and says what became of each stream. */
class FakeTransport implements RunnerTransport {
  readonly calls: RunnerCall[] = [];
  readonly ends: string[] = [];

  call(call: RunnerCall): Promise<unknown> {
    this.calls.push(call);
    return Promise.resolve(call.input);
  }

  async *stream(call: RunnerCall): AsyncIterable<unknown> {
    this.calls.push(call);
    call.cancellation.add({ onCancel: ({ code }) => this.ends.push(`cancelled ${code}`) });
    let end = 'returned';
    try {
      for (let i = 0; i < (call.input as number); i += 1) yield i;
      end = 'read to its end';
    } finally {
      this.ends.push(end);
    }
  }
}

/** Gives no value before it is cancelled. */
class SilentTransport extends FakeTransport {
  override stream(call: RunnerCall): AsyncIterable<unknown> {
    this.calls.push(call);
    const next = (): Promise<IteratorResult<unknown>> =>
      new Promise((_resolve, reject) => {
        call.cancellation.add({ onCancel: reject });
      });
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }
}

type Count = (input: unknown, options?: object) => AsyncIterableIterator<number>;

interface Made {
  readonly runners: AnyRunners;
  readonly call: CallContext;
  readonly twice: (input: unknown, options?: object) => Promise<unknown>;
  readonly count: Count;
}

function make(transport: RunnerTransport = new FakeTransport(), given: Partial<CallContext> = {}): Made {
  const call: CallContext = {
    requestId: 'id-1',
    cancellation: new Cancellation(),
    deadlineAtMs: 123,
    timing: newTiming(),
    ...given,
  };
  const runners = new (createRunnersClass([runner], transport))(call);
  const { r } = runners as unknown as { r: { twice: Made['twice']; count: Count } };
  return { runners, call, twice: r.twice, count: r.count };
}

async function gather(values: AsyncIterable<number>): Promise<readonly number[]> {
  const read: number[] = [];
  for await (const value of values) read.push(value);
  return read;
}

const rows = tensorOf('float32', [1], [1]);
const gone = new JubakoError('CLIENT_GONE', 'gone');

test('a method calls the transport with what belongs to the request, at normal priority', async () => {
  const transport = new FakeTransport();
  const { call, twice } = make(transport);
  assert.equal(await twice(rows), rows);
  assert.deepEqual(transport.calls, [{ ...call, runner: 'r', method: 'twice', input: rows, priority: 'normal' }]);
});

test('a method passes on the priority that it is given', async () => {
  const transport = new FakeTransport();
  const { twice, count } = make(transport);
  await twice(rows, { priority: 'high' });
  await twice(rows, {});
  await count(1, { priority: 'low' }).next();
  assert.deepEqual(
    transport.calls.map(({ priority }) => priority),
    ['high', 'normal', 'low'],
  );
});

for (const [what, options, message] of [
  ['a priority that is none', { priority: 'urgent' }, /priority is "urgent", wanted "high", "normal" or "low"/],
  ['a priority of another type', { priority: 1 }, /priority is 1, wanted/],
  ['an unknown option', { prio: 'high' }, /runners\.r\.\w+: it has no option "prio", wanted "priority"/],
  ['options that are no object', 5, /options are 5, wanted an object/],
  ['options that are null', null, /options are null, wanted an object/],
] as const) {
  test(`a method refuses ${what} as the fault of the code that calls it`, async () => {
    const transport = new FakeTransport();
    const { twice, count } = make(transport);
    await assert.rejects(twice(rows, options as object), { code: 'USER_CODE', message });
    await assert.rejects(count(1, options as object).next(), { code: 'USER_CODE', message });
    assert.equal(transport.calls.length, 0);
  });
}

test('a method refuses an input that does not fit before anything is sent', async () => {
  const transport = new FakeTransport();
  const { twice, count } = make(transport);
  await assert.rejects(twice(tensorOf('int32', [1], [1])), {
    code: 'USER_CODE',
    message: /Cannot call runners\.r\.twice with this input: /,
  });
  const values = count('x');
  await assert.rejects(values.next(), {
    code: 'USER_CODE',
    message: /Cannot call runners\.r\.count with this input: /,
  });
  await assert.rejects(values.next(), { code: 'USER_CODE' });
  assert.equal(transport.calls.length, 0);
});

test('a stream gives its values in order, then ends, and leaves nothing behind', async () => {
  const transport = new FakeTransport();
  const { runners, count } = make(transport);
  const values = count(3);
  assert.deepEqual(await gather(values), [0, 1, 2]);
  assert.deepEqual(await values.next(), { done: true, value: undefined });
  endStreams(runners);
  assert.deepEqual(transport.ends, ['read to its end']);
});

test('a stream begins when it is read, not when it is made', async () => {
  const transport = new FakeTransport();
  const { count } = make(transport);
  const values = count(1);
  assert.equal(transport.calls.length, 0);
  await values.next();
  assert.equal(transport.calls.length, 1);
});

test('a stream that its reader leaves is cancelled and returned', async () => {
  const transport = new FakeTransport();
  const { count } = make(transport);
  for await (const value of count(3)) if (value === 1) break;
  assert.deepEqual(transport.ends, ['cancelled CLIENT_GONE', 'returned']);
});

test('a stream that is returned while a value is awaited ends that wait', async () => {
  const { count } = make(new SilentTransport());
  const values = count(1);
  const next = values.next();
  await values.return?.();
  assert.deepEqual(await next, { done: true, value: undefined });
});

test('endStreams cancels what is open, and its reader cannot take it for the end', async () => {
  const transport = new FakeTransport();
  const { runners, count } = make(transport);
  const values = count(3);
  await values.next();
  endStreams(runners);
  assert.deepEqual(transport.ends, ['cancelled CLIENT_GONE']);
  await assert.rejects(values.next(), { code: 'CLIENT_GONE' });
  await assert.rejects(values.next(), { code: 'CLIENT_GONE' });
});

test('endStreams ends a wait for a value', async () => {
  const { runners, count } = make(new SilentTransport());
  const next = count(3).next();
  endStreams(runners);
  await assert.rejects(next, { code: 'CLIENT_GONE' });
});

test('a stream cannot be opened once its request has ended', async () => {
  const transport = new FakeTransport();
  const { runners, count } = make(transport);
  const before = count(1);
  endStreams(runners);
  await assert.rejects(before.next(), { code: 'USER_CODE', message: /runners\.r\.count: the request .* has ended/ });
  await assert.rejects(count(1).next(), { code: 'USER_CODE' });
  assert.equal(transport.calls.length, 0);
});

test('a cancelled request cancels its streams, with its reason, and opens no more', async () => {
  const transport = new FakeTransport();
  const { call, count } = make(transport);
  const values = count(3);
  await values.next();
  call.cancellation.cancel(gone);
  assert.deepEqual(transport.ends, ['cancelled CLIENT_GONE']);
  await assert.rejects(values.next(), gone);
  await assert.rejects(count(3).next(), gone);
  assert.equal(transport.calls.length, 1);
});

test('a stream that fails fails its reader with what the runner said', async () => {
  const { count } = make({
    call: () => Promise.reject(gone),
    stream: () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new JubakoError('QUEUE_FULL', 'full')) }),
    }),
  });
  await assert.rejects(gather(count(3)), { code: 'QUEUE_FULL', message: 'full' });
});
