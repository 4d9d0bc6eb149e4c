import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { JubakoError } from '#dist/errors.js';
import type { MethodManifest } from '#dist/ipc/manifest.js';
import type { IncomingCall } from '#dist/link/link-server.js';
import { LaneError, type LaneDone, type LaneJob, type RunningJob } from '#dist/runner/lane.js';
import { Scheduler } from '#dist/runner/scheduler.js';
import type { WireTensor } from '#dist/runner/thread-messages.js';
import { Metrics } from '#dist/telemetry/metrics.js';
import { decodeValue, encodeValue, tensorOf, type EncodedValue, type Tensor } from '#dist/tensor/index.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

/** A lane that runs nothing by itself: the test ends each job. */
class FakeLane {
  readonly jobs: {
    job: LaneJob;
    aborted: boolean;
    done: (result: LaneDone) => void;
    fail: (error: LaneError) => void;
  }[] = [];
  #wakers: (() => void)[] = [];

  run(job: LaneJob): RunningJob {
    let done: (result: LaneDone) => void = () => undefined;
    let fail: (error: LaneError) => void = () => undefined;
    const promise = new Promise<LaneDone>((resolve, reject) => {
      done = resolve;
      fail = reject;
    });
    const entry = { job, aborted: false, done, fail };
    this.jobs.push(entry);
    for (const wake of this.#wakers.splice(0)) wake();
    return { done: promise, abort: () => void (entry.aborted = true) };
  }

  async job(index: number): Promise<(typeof this.jobs)[number]> {
    for (;;) {
      const entry = this.jobs[index];
      if (entry !== undefined) return entry;
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  /** Ends job `index` with its own input, each number plus one. */
  async addOne(index: number): Promise<void> {
    const { job, done } = await this.job(index);
    assert.ok(job.payload.kind === 'tensors');
    const tensors = job.payload.tensors.map((wire): WireTensor => ({
      ...wire,
      data: (wire.data as Float32Array).map((x) => x + 1),
    }));
    done({ result: { kind: 'tensors', tensors }, computeMs: 1 });
  }
}

const FLOATS = { kind: 'tensor', dtype: 'float32', shape: [-1, 2], allowNonFinite: false } as const;
const METHOD: MethodManifest = methodManifest({
  name: 'add',
  input: FLOATS,
  output: FLOATS,
  batch: { maxSize: 4, maxQueueSize: 8, maxLatencyMs: null },
});

function start(methods: readonly MethodManifest[] = [METHOD]): { lane: FakeLane; scheduler: Scheduler } {
  const runner = runnerManifest({ name: 'r', methods });
  const lane = new FakeLane();
  return {
    lane,
    scheduler: new Scheduler({ runner, lane, metrics: new Metrics(), logger: pino({ level: 'silent' }) }),
  };
}

interface FakeCall extends Pick<IncomingCall, 'method' | 'requestId' | 'deadlineAtMs' | 'onCancel'> {
  readonly answer: Promise<unknown>;
}

function bytesOfValue(value: EncodedValue): Uint8Array {
  return Buffer.concat([value.head, ...value.parts]);
}

function callWith(value: unknown, extra: { method?: string; deadlineAtMs?: number } = {}): FakeCall & IncomingCall {
  let respond: (value: EncodedValue) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const answer = new Promise<unknown>((resolve, reject) => {
    respond = (encoded) => {
      resolve(decodeValue(bytesOfValue(encoded)));
    };
    fail = reject;
  });
  answer.catch(() => undefined); // tests look at it where it matters
  const call = {
    method: extra.method ?? 'add',
    body: bytesOfValue(encodeValue(value)),
    requestId: 'id',
    deadlineAtMs: extra.deadlineAtMs,
    onCancel: undefined,
    respond,
    fail,
    answer,
  };
  return call as unknown as FakeCall & IncomingCall;
}

const rows = (...numbers: number[]): Tensor =>
  tensorOf(
    'float32',
    [numbers.length, 2],
    numbers.flatMap((n) => [n, n]),
  );
const column = (answer: unknown): number[] =>
  [...((answer as Tensor).data as Float32Array)].filter((_, index) => index % 2 === 0);

test('Scheduler joins the calls of one turn and gives each its own rows', async () => {
  const { lane, scheduler } = start();
  const calls = [callWith(rows(1)), callWith(rows(10, 20)), callWith(rows(100))];
  for (const call of calls) scheduler.submit(call);
  await lane.addOne(0);
  assert.equal(lane.jobs[0]?.job.rows, 4);
  assert.deepEqual(await Promise.all(calls.map(async ({ answer }) => column(await answer))), [[2], [11, 21], [101]]);
});

test('Scheduler splits a call larger than maxSize and joins its answer in order', async () => {
  const { lane, scheduler } = start();
  const call = callWith(rows(1, 2, 3, 4, 5, 6, 7));
  scheduler.submit(call);
  await lane.addOne(0);
  await lane.addOne(1);
  assert.deepEqual(
    lane.jobs.map(({ job }) => job.rows),
    [4, 3],
  );
  assert.deepEqual(column(await call.answer), [2, 3, 4, 5, 6, 7, 8]);
});

test('Scheduler runs what arrived while the lane was busy as the next batch', async () => {
  const { lane, scheduler } = start();
  scheduler.submit(callWith(rows(1)));
  await lane.job(0);
  for (let i = 0; i < 3; i += 1) scheduler.submit(callWith(rows(i)));
  assert.deepEqual(scheduler.load, { queuedRows: 3, inFlightRows: 1 });
  await lane.addOne(0);
  assert.equal((await lane.job(1)).job.rows, 3);
});

test('Scheduler runs the calls of a failed batch apart, so that one bad input fails alone', async () => {
  const { lane, scheduler } = start();
  const calls = [callWith(rows(1)), callWith(rows(666)), callWith(rows(3))];
  for (const call of calls) scheduler.submit(call);
  (await lane.job(0)).fail(new LaneError(new JubakoError('USER_CODE', 'bad'), 1, undefined));
  await lane.addOne(1);
  (await lane.job(2)).fail(new LaneError(new JubakoError('USER_CODE', 'bad'), 1, undefined));
  await lane.addOne(3);
  assert.deepEqual(column(await calls[0]?.answer), [2]);
  await assert.rejects(calls[1]?.answer ?? Promise.resolve(), { code: 'USER_CODE' });
  assert.deepEqual(column(await calls[2]?.answer), [4]);
});

test('Scheduler takes a cancelled call out of the queue at once and never runs it', async () => {
  const { lane, scheduler } = start();
  scheduler.submit(callWith(rows(1)));
  await lane.job(0);
  const gone = callWith(rows(2));
  const stays = callWith(rows(3));
  scheduler.submit(gone);
  scheduler.submit(stays);
  gone.onCancel?.();
  assert.equal(scheduler.load.queuedRows, 1);
  await lane.addOne(0);
  assert.equal((await lane.job(1)).job.rows, 1);
  await lane.addOne(1);
  assert.deepEqual(column(await stays.answer), [4]);
});

test('Scheduler aborts a running batch when the last of its callers has gone, not before', async () => {
  const { lane, scheduler } = start();
  const calls = [callWith(rows(1)), callWith(rows(2))];
  for (const call of calls) scheduler.submit(call);
  const running = await lane.job(0);
  calls[0]?.onCancel?.();
  assert.equal(running.aborted, false);
  calls[1]?.onCancel?.();
  assert.equal(running.aborted, true);
});

test('Scheduler refuses with QUEUE_FULL beyond maxQueueSize, counted in rows', async () => {
  const { lane, scheduler } = start();
  scheduler.submit(callWith(rows(1)));
  await lane.job(0);
  scheduler.submit(callWith(rows(1, 2, 3, 4, 5, 6)));
  const refused = callWith(rows(1, 2, 3));
  scheduler.submit(refused);
  await assert.rejects(refused.answer, { code: 'QUEUE_FULL' });
});

test('Scheduler answers DEADLINE_EXCEEDED for a call whose deadline passed in the queue', async () => {
  const { lane, scheduler } = start();
  scheduler.submit(callWith(rows(1)));
  await lane.job(0);
  const late = callWith(rows(2), { deadlineAtMs: performance.now() });
  scheduler.submit(late);
  await lane.addOne(0);
  await assert.rejects(late.answer, { code: 'DEADLINE_EXCEEDED' });
  assert.equal(lane.jobs.length, 1);
});

test('Scheduler keeps different shapes beyond axis 0 in different batches', async () => {
  const open = { ...FLOATS, shape: [-1, -1] };
  const { lane, scheduler } = start([{ ...METHOD, input: open, output: open }]);
  scheduler.submit(callWith(tensorOf('float32', [1, 2], [1, 2])));
  scheduler.submit(callWith(tensorOf('float32', [1, 3], [1, 2, 3])));
  await lane.addOne(0);
  await lane.addOne(1);
  assert.deepEqual(
    lane.jobs.map(({ job }) => job.rows),
    [1, 1],
  );
});

for (const [what, value, pattern] of [
  ['a wrong dtype', tensorOf('int32', [1, 2], [1, 2]), /wanted float32/],
  ['a wrong shape', tensorOf('float32', [1, 3], [1, 2, 3]), /wanted float32 \[-1, 2\]/],
  ['no rows', tensorOf('float32', [0, 2], []), /at least 1/],
  ['no tensor', { a: 1 }, /must be a tensor/],
] as const) {
  test(`Scheduler refuses ${what} with INVALID_INPUT`, async () => {
    const { scheduler } = start();
    const call = callWith(value);
    scheduler.submit(call);
    await assert.rejects(call.answer, { code: 'INVALID_INPUT', message: pattern });
  });
}

test('Scheduler refuses an unknown method with NOT_FOUND and names the known ones', async () => {
  const { scheduler } = start();
  const call = callWith(rows(1), { method: 'nope' });
  scheduler.submit(call);
  await assert.rejects(call.answer, { code: 'NOT_FOUND', message: /the methods are add/ });
});
