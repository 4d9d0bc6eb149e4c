import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { JubakoError } from '#dist/errors.js';
import type { IncomingCall } from '#dist/link/link-server.js';
import type { ComputeLane } from '#dist/compute/compute-lane.js';
import type { NestedCalls } from '#dist/compute/thread-messages.js';
import { decodeValue, encodeValue, tensorOf, type Tensor } from '#dist/tensor/index.js';
import { ask, isLaneError, jsonJob, Reading, rowsJob, startLane, valuesOf } from './lane-harness.js';
import { socketPath, startRunner, TIMING, type RunnerOptions, type TestRunner } from './link-harness.js';

const METHODS = [
  { name: 'double', idempotent: true, streams: false },
  { name: 'greet', idempotent: true, streams: false },
  { name: 'count', idempotent: false, streams: true },
];

const ONCE = METHODS.map((method) => ({ ...method, idempotent: false }));
const HELLO = { runner: 'model', worker: 'runner-model-0', methods: METHODS };

/** The runner `model` behind a real socket, answered by the test. */
function startModel(t: TestContext, options: RunnerOptions): Promise<TestRunner> {
  return startRunner(t, { hello: HELLO, ...options });
}

function calls(addresses: readonly string[], changes: Partial<NestedCalls> = {}): NestedCalls {
  return {
    map: { model: addresses, other: ['unix:///nowhere.sock'] },
    peer: 'runner-caller-0',
    token: null,
    tls: undefined,
    timeoutMs: 0,
    ...changes,
  };
}

function startCaller(t: TestContext, addresses: readonly string[], changes: Partial<NestedCalls> = {}): ComputeLane {
  return startLane(t, 'caller', { calls: calls(addresses, changes) });
}

function answerGreeting(call: IncomingCall): void {
  const { key } = decodeValue(call.body) as { readonly key: string };
  call.respond(encodeValue(`${call.requestId} greets ${key}`), TIMING);
}

test('a model calls the runners that its definition names', async (t) => {
  const model = await startModel(t, {
    onCall(call) {
      if (call.method === 'greet') return answerGreeting(call);
      const { data } = decodeValue(call.body) as Tensor<'float32'>;
      call.respond(
        encodeValue(
          tensorOf(
            'float32',
            [2, 2],
            data.map((x) => x + 1),
          ),
        ),
        TIMING,
      );
    },
  });
  const lane = startCaller(t, [model.address]);
  await lane.ready;
  const doubled = await lane.run(
    rowsJob('double', [
      [1, 2],
      [3, 4],
    ]),
  ).done;
  assert.deepEqual(valuesOf(doubled.result), [2, 3, 4, 5]);

  const greeted = await lane.run(jsonJob('greet', { key: 'you' }, { requestIds: ['first', 'second'] })).done;
  assert.deepEqual(valuesOf(greeted.result), ['first greets you']);
});

test('what a model gives another runner is checked before it is sent', async (t) => {
  const model = await startModel(t, {});
  const lane = startCaller(t, [model.address]);
  await lane.ready;
  await assert.rejects(
    lane.run(jsonJob('wrong', {})).done,
    isLaneError('USER_CODE', /runners\.model\.double.*shape \[1, 3\]/),
  );
  assert.equal(model.calls.length, 0);
});

test('an abort of the run cancels the calls that it has made', async (t) => {
  let onCancelled: () => void = () => undefined;
  const cancelled = new Promise<void>((resolve) => (onCancelled = resolve));
  let onCalled: () => void = () => undefined;
  const called = new Promise<void>((resolve) => (onCalled = resolve));
  const model = await startModel(t, {
    onCall(call) {
      call.onCancel = onCancelled;
      onCalled();
    },
  });
  const lane = startCaller(t, [model.address]);
  await lane.ready;
  const run = lane.run(jsonJob('greet', { key: 'x' }));
  await called;
  run.abort();
  await assert.rejects(run.done, isLaneError('CLIENT_GONE'));
  await cancelled;
});

test('the deadline of the run is that of its calls, and `timeoutMs` where it has none', async (t) => {
  const leftMs: number[] = [];
  const model = await startModel(t, {
    onCall(call) {
      leftMs.push((call.deadlineAtMs ?? Infinity) - performance.now());
      answerGreeting(call);
    },
  });
  const lane = startCaller(t, [model.address], { timeoutMs: 200_000 });
  await lane.ready;
  const deadlineAtMs = performance.now() + 100_000;
  await lane.run(jsonJob('greet', {}, { deadlineAtMs })).done;
  await lane.run(jsonJob('greet', {})).done;
  const [first = 0, second = 0] = leftMs;
  // Clocks of threads differ by the time between their starts, so a deadline that was not converted is too far away.
  assert.ok(first <= 100_001 && first > 50_000, `${first} ms are left of 100 s`);
  assert.ok(second <= 200_001 && second > 150_000, `${second} ms are left of 200 s`);

  const past = lane.run(jsonJob('greet', {}, { deadlineAtMs: performance.now() - 1 }));
  await assert.rejects(past.done, isLaneError('DEADLINE_EXCEEDED'));
  assert.equal(leftMs.length, 2);
});

test('a lane is ready when the runners that it calls are', async (t) => {
  const model = await startModel(t, { isReady: false });
  const lane = startCaller(t, [model.address]);
  let isReady = false;
  const ready = lane.ready.then(() => (isReady = true));
  const other = startLane(t);
  await other.ready; // as long as it takes to load
  assert.equal(isReady, false);
  model.link.setReady(model.hello);
  await ready;
});

test('a lane whose called runner has moved while it loads becomes ready at the new place', async (t) => {
  const lane = startCaller(t, ['unix:///nowhere/at-all.sock']);
  const model = await startModel(t, { onCall: answerGreeting });
  lane.setRunnerMap({ model: [model.address] });
  await lane.ready;
  assert.equal(await ask(lane, 'greet', { key: 'x' }), 'request-1 greets x');
});

test('a runner that is lost fails the calls to it, and the thread lives on', async (t) => {
  const path = socketPath(t);
  let onCalled: () => void = () => undefined;
  const called = new Promise<void>((resolve) => (onCalled = resolve));
  const model = await startModel(t, {
    path,
    onCall: () => {
      onCalled();
    },
  });
  const lane = startCaller(t, [model.address], { timeoutMs: 60_000 });
  await lane.ready;
  const lost = lane.run(jsonJob('greet', { key: 'x' }));
  await called;
  await model.kill();
  const again = await startModel(t, { path, onCall: answerGreeting, hello: { ...HELLO, methods: ONCE } });
  // Repeated on the worker that came back: `greet` is idempotent.
  assert.deepEqual(valuesOf((await lost.done).result), ['request-1 greets x']);
  await again.kill();
  await assert.rejects(
    lane.run(jsonJob('greet', { key: 'y' })).done,
    (thrown) => isLaneError('RUNNER_LOST')(thrown) || isLaneError('NOT_READY')(thrown), // before it is noticed, or after
  );
  assert.equal(await ask(lane, 'ping'), 'pong');
});

test('setRunnerMap moves the calls to where the runner is now', async (t) => {
  const first = await startModel(t, { onCall: answerGreeting });
  const second = await startModel(t, { onCall: answerGreeting });
  const lane = startCaller(t, [first.address]);
  await lane.ready;
  lane.setRunnerMap({ model: [first.address, second.address] });
  while (second.calls.length === 0) await ask(lane, 'greet', { key: 'x' });

  lane.setRunnerMap({ other: [first.address] });
  await assert.rejects(lane.run(jsonJob('greet', {})).done, isLaneError('NOT_READY'));
  lane.setRunnerMap({ model: [second.address] });
  assert.equal(await ask(lane, 'greet', { key: 'z' }), 'request-1 greets z');
});

test('a runner map without the runner that is called refuses the load', async (t) => {
  const lane = startCaller(t, [], { map: {} });
  await assert.rejects(lane.ready, {
    code: 'CONFIG_INVALID',
    message: 'Cannot run "caller": it calls the runner "model", which has no address in the runner map',
  });
});

test('an error that the called runner answers keeps its code', async (t) => {
  const model = await startModel(t, {
    onCall(call) {
      call.fail(new JubakoError('QUEUE_FULL', 'Cannot queue more'));
    },
  });
  const lane = startCaller(t, [model.address]);
  await lane.ready;
  await assert.rejects(lane.run(jsonJob('greet', {})).done, isLaneError('QUEUE_FULL', /Cannot queue more/));
});

test('what the links of the thread log is written by the logger of the lane', async (t) => {
  const model = await startModel(t, { onCall: answerGreeting });
  const lines: string[] = [];
  let onLine: () => void = () => undefined;
  const logger = pino(
    { level: 'debug' },
    {
      write(line: string) {
        lines.push(line);
        onLine();
      },
    },
  );
  const lane = startLane(t, 'caller', { calls: calls([model.address]) }, logger);
  await lane.ready;
  await model.kill();
  while (!lines.some((line) => line.includes('"event":"link.lost"')))
    await new Promise<void>((resolve) => (onLine = resolve));
  assert.match(lines.find((line) => line.includes('link.lost')) ?? '', /"runner":"model","address":"unix:/);
});

/** Answers `count` with the numbers 0, 1, 2 … up to `to`, as far as the caller takes them. */
function answerCount(call: IncomingCall, onCancel: () => void = () => undefined): void {
  const { to } = decodeValue(call.body) as { readonly to: number };
  let next = 0;
  const give = (): void => {
    while (call.credit > 0 && next < to) call.sendItem(encodeValue(next++));
    if (next === to) call.end(TIMING);
  };
  call.onCredit = give;
  call.onCancel = onCancel;
  give();
}

test('a model streams from another runner, through a generator of its own or as it comes', async (t) => {
  const model = await startModel(t, { onCall: answerCount });
  const lane = startCaller(t, [model.address]);
  await lane.ready;
  const made = new Reading(lane, jsonJob('count', { to: 100 }));
  made.pull(200);
  await made.done;
  assert.deepEqual(
    made.values,
    Array.from({ length: 100 }, (_, i) => i * 10),
  );

  const relayed = new Reading(lane, jsonJob('relay', { to: 3 }));
  relayed.pull(2);
  await relayed.has(2);
  assert.deepEqual(relayed.values, [0, 1]);
  relayed.pull(2);
  await relayed.done;
  assert.deepEqual(relayed.values, [0, 1, 2]);
});

test('an abort of a stream ends the stream that it reads from', async (t) => {
  for (const method of ['count', 'relay']) {
    let onCancel: () => void = () => undefined;
    const cancelled = new Promise<void>((resolve) => (onCancel = resolve));
    const model = await startModel(t, {
      onCall(call) {
        answerCount(call, onCancel);
      },
    });
    const lane = startCaller(t, [model.address]);
    await lane.ready;
    const reading = new Reading(lane, jsonJob(method, { to: 1_000_000 }));
    reading.pull(2);
    await reading.has(2);
    reading.abort();
    await reading.done.catch((thrown: unknown) => {
      if (!isLaneError('CLIENT_GONE')(thrown)) throw thrown;
    });
    await cancelled;
    assert.equal(reading.values.length, 2);
  }
});

test('a stream that a run left open ends with the run', async (t) => {
  let onCancel: () => void = () => undefined;
  const cancelled = new Promise<void>((resolve) => (onCancel = resolve));
  const model = await startModel(t, {
    onCall(call) {
      answerCount(call, onCancel);
    },
  });
  const lane = startCaller(t, [model.address]);
  await lane.ready;
  assert.equal(await ask(lane, 'first', { to: 1_000_000 }), 0);
  await cancelled;
});
