import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { JubakoError, type ErrorCode } from '#dist/errors.js';
import type { MethodManifest } from '#dist/ipc/manifest.js';
import type { ServedCall } from '#dist/link/incoming-call.js';
import {
  LaneError,
  type Lane,
  type LaneDone,
  type LaneJob,
  type RunningJob,
  type RunningStream,
} from '#dist/compute/lane.js';
import { Scheduler, type SchedulerOptions } from '#dist/runner/scheduler.js';
import type { ThreadResult, WireTensor } from '#dist/compute/thread-messages.js';
import { Metrics } from '#dist/telemetry/metrics.js';
import { decodeValue, encodeValue, tensorOf, type EncodedValue, type Tensor } from '#dist/tensor/index.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

/** A lane that runs nothing by itself: the test ends each job. */
class FakeLane implements Lane {
  readonly jobs: FakeJob[] = [];
  #wakers: (() => void)[] = [];

  run(job: LaneJob): RunningJob {
    const entry = new FakeJob(job);
    this.#add(entry);
    return { done: entry.promise, abort: () => void (entry.aborted = true) };
  }

  stream(job: LaneJob, onItem: (item: ThreadResult) => void): RunningStream {
    const entry = new FakeJob(job, onItem);
    this.#add(entry);
    return {
      done: entry.promise,
      pull: (count) => void (entry.pulled += count),
      abort: () => void (entry.aborted = true),
    };
  }

  #add(entry: FakeJob): void {
    this.jobs.push(entry);
    for (const wake of this.#wakers.splice(0)) wake();
  }

  async job(index: number): Promise<FakeJob> {
    for (;;) {
      const entry = this.jobs[index];
      if (entry !== undefined) return entry;
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  /** Ends job `index` with its own input, each number plus one. */
  async addOne(index: number): Promise<void> {
    (await this.job(index)).addOne();
  }

  async fail(index: number, code: ErrorCode = 'USER_CODE'): Promise<void> {
    (await this.job(index)).fail(new LaneError(new JubakoError(code, 'bad'), 1, undefined));
  }
}

class FakeJob {
  aborted = false;
  pulled = 0;
  done!: (result: LaneDone) => void;
  fail!: (error: LaneError) => void;
  readonly promise = new Promise<LaneDone>((resolve, reject) => {
    this.done = resolve;
    this.fail = reject;
  });
  readonly job: LaneJob;
  readonly item: (item: ThreadResult) => void;

  constructor(job: LaneJob, item: (item: ThreadResult) => void = () => undefined) {
    this.job = job;
    this.item = item;
  }

  /** The first number of each row of its input. */
  get numbers(): number[] {
    const { payload } = this.job;
    assert.ok(payload.kind === 'tensors');
    return [...(payload.tensors[0]?.data as Float32Array)].filter((_, index) => index % 2 === 0);
  }

  addOne(): void {
    const { payload } = this.job;
    assert.ok(payload.kind === 'tensors');
    const tensors = payload.tensors.map((wire): WireTensor => ({
      ...wire,
      data: (wire.data as Float32Array).map((x) => x + 1),
    }));
    this.done({ result: { kind: 'tensors', tensors }, computeMs: 1 });
  }
}

const FLOATS = { kind: 'tensor', dtype: 'float32', shape: [-1, 2], allowNonFinite: false } as const;
const METHOD: MethodManifest = methodManifest({
  name: 'add',
  input: FLOATS,
  output: FLOATS,
  batch: { maxSize: 4, maxQueueSize: 8, maxLatencyMs: null },
});

function start(
  t: TestContext,
  methods: readonly MethodManifest[] = [METHOD],
  extra: Partial<SchedulerOptions> = {},
): { lane: FakeLane; scheduler: Scheduler } {
  const runner = runnerManifest({ name: 'r', methods });
  const lane = new FakeLane();
  const logger = pino({ level: 'silent' });
  const scheduler = new Scheduler({ runner, lanes: [lane], metrics: new Metrics(), logger, ...extra });
  t.after(() => {
    scheduler.close();
  });
  return { lane, scheduler };
}

interface FakeCall extends ServedCall {
  readonly answer: Promise<unknown>;
  readonly items: unknown[];
}

function bytesOfValue(value: EncodedValue): Uint8Array {
  return Buffer.concat([value.head, ...value.parts]);
}

type CallExtra = Partial<Pick<ServedCall, 'method' | 'deadlineAtMs' | 'priority' | 'isReplay' | 'credit'>>;

function callWith(value: unknown, extra: CallExtra = {}): FakeCall {
  let respond: (value: EncodedValue) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  let end: () => void = () => undefined;
  const answer = new Promise<unknown>((resolve, reject) => {
    respond = (encoded) => {
      resolve(decodeValue(bytesOfValue(encoded)));
    };
    fail = reject;
    end = () => {
      resolve('ended');
    };
  });
  answer.catch(() => undefined); // tests look at it where it matters
  const items: unknown[] = [];
  return {
    method: 'add',
    body: bytesOfValue(encodeValue(value)),
    requestId: 'id',
    deadlineAtMs: undefined,
    priority: 'normal',
    isReplay: false,
    begin: () => undefined,
    onCancel: undefined,
    credit: 0,
    onCredit: undefined,
    respond,
    fail,
    sendItem: (item) => void items.push(decodeValue(bytesOfValue(item))),
    end,
    answer,
    items,
    ...extra,
  };
}

const rows = (...numbers: number[]): Tensor =>
  tensorOf(
    'float32',
    [numbers.length, 2],
    numbers.flatMap((n) => [n, n]),
  );
const column = (answer: unknown): number[] =>
  [...((answer as Tensor).data as Float32Array)].filter((_, index) => index % 2 === 0);

test('Scheduler joins the calls of one turn and gives each its own rows', async (t) => {
  const { lane, scheduler } = start(t);
  const calls = [callWith(rows(1)), callWith(rows(10, 20)), callWith(rows(100))];
  for (const call of calls) scheduler.submit(call);
  await lane.addOne(0);
  assert.equal(lane.jobs[0]?.job.rows, 4);
  assert.deepEqual(await Promise.all(calls.map(async ({ answer }) => column(await answer))), [[2], [11, 21], [101]]);
});

test('Scheduler splits a call larger than maxSize and joins its answer in order', async (t) => {
  const { lane, scheduler } = start(t);
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

test('Scheduler runs what arrived while the lane was busy as the next batch', async (t) => {
  const { lane, scheduler } = start(t);
  scheduler.submit(callWith(rows(1)));
  await lane.job(0);
  for (let i = 0; i < 3; i += 1) scheduler.submit(callWith(rows(i)));
  assert.deepEqual([scheduler.load.queuedRows, scheduler.load.inFlightRows], [3, 1]);
  await lane.addOne(0);
  assert.equal((await lane.job(1)).job.rows, 3);
});

test('Scheduler runs a failed batch again in halves, so that one bad input fails alone', async (t) => {
  const { lane, scheduler } = start(t);
  const calls = [callWith(rows(1)), callWith(rows(666)), callWith(rows(3))];
  for (const call of calls) scheduler.submit(call);
  await lane.fail(0);
  await lane.fail(1);
  for (const index of [2, 3, 4]) {
    const job = await lane.job(index);
    if (job.numbers.includes(666)) await lane.fail(index);
    else job.addOne();
  }
  assert.deepEqual(
    lane.jobs.map(({ numbers }) => numbers),
    [[1, 666, 3], [1, 666], [3], [1], [666]],
  );
  assert.deepEqual(column(await calls[0]?.answer), [2]);
  await assert.rejects(calls[1]?.answer ?? Promise.resolve(), { code: 'USER_CODE' });
  assert.deepEqual(column(await calls[2]?.answer), [4]);
});

test('Scheduler finds one bad call among 64 in 12 more runs, and the others get what they would have got without it', async (t) => {
  const batch = { maxSize: 64, maxQueueSize: 64, maxLatencyMs: null };
  const { lane, scheduler } = start(t, [{ ...METHOD, batch }]);
  const calls = Array.from({ length: 64 }, (_, index) => callWith(rows(index)));
  for (const call of calls) scheduler.submit(call);
  for (let index = 0; index <= 12; index += 1) {
    const job = await lane.job(index);
    if (job.numbers.includes(37)) await lane.fail(index);
    else job.addOne();
  }
  const answers = await Promise.allSettled(calls.map(({ answer }) => answer));
  answers.forEach((answer, index) => {
    if (index === 37) assert.equal(answer.status, 'rejected');
    else assert.deepEqual(answer.status === 'fulfilled' && column(answer.value), [index + 1]);
  });
  assert.equal(lane.jobs.length, 13);
});

test('Scheduler runs a call alone that was sent before to a worker that died with it', async (t) => {
  const { lane, scheduler } = start(t);
  const calls = [callWith(rows(1)), callWith(rows(2), { isReplay: true }), callWith(rows(3))];
  for (const call of calls) scheduler.submit(call);
  await lane.addOne(0);
  await lane.addOne(1);
  assert.deepEqual(
    lane.jobs.map(({ numbers }) => numbers),
    [[2], [1, 3]],
  );
});

test('Scheduler does not repeat what a dead thread has lost', async (t) => {
  const { lane, scheduler } = start(t);
  const calls = [callWith(rows(1)), callWith(rows(2))];
  for (const call of calls) scheduler.submit(call);
  await lane.fail(0, 'RUNNER_LOST');
  for (const { answer } of calls) await assert.rejects(answer, { code: 'RUNNER_LOST' });
  assert.equal(lane.jobs.length, 1);
});

test('Scheduler runs as many batches at a time as the method allows, and no more', async (t) => {
  const { lane, scheduler } = start(t, [{ ...METHOD, batch: null, concurrency: 2 }]);
  const calls = [callWith(rows(1)), callWith(rows(2)), callWith(rows(3))];
  for (const call of calls) scheduler.submit(call);
  await lane.job(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(lane.jobs.length, 2);
  await lane.addOne(0);
  await lane.addOne(2);
  assert.deepEqual(column(await calls[2]?.answer), [4]);
});

test('Scheduler spreads batches over its lanes', async (t) => {
  const other = new FakeLane();
  const lane = new FakeLane();
  const { scheduler } = start(t, [{ ...METHOD, batch: null }], { lanes: [lane, other] });
  scheduler.submit(callWith(rows(1)));
  scheduler.submit(callWith(rows(2)));
  assert.deepEqual([(await lane.job(0)).numbers, (await other.job(0)).numbers], [[1], [2]]);
});

test('Scheduler takes high before normal before low where they came together', async (t) => {
  const { lane, scheduler } = start(t, [{ ...METHOD, batch: { maxSize: 1, maxQueueSize: 8, maxLatencyMs: null } }]);
  scheduler.submit(callWith(rows(0)));
  await lane.job(0);
  for (const [n, priority] of [
    [1, 'low'],
    [2, 'normal'],
    [3, 'high'],
  ] as const)
    scheduler.submit(callWith(rows(n), { priority }));
  for (let index = 0; index < 4; index += 1) await lane.addOne(index);
  assert.deepEqual(
    lane.jobs.map(({ numbers }) => numbers[0]),
    [0, 3, 2, 1],
  );
});

test('Scheduler streams: items go to the caller, its credit to the model, its leaving ends the run', async (t) => {
  const { lane, scheduler } = start(t, [{ ...METHOD, batch: null, output: { kind: 'stream', of: FLOATS } }]);
  const call = callWith(rows(1), { credit: 2 });
  scheduler.submit(call);
  const job = await lane.job(0);
  assert.equal(job.pulled, 2);
  call.onCredit?.(3);
  assert.equal(job.pulled, 5);
  const item = { name: '', dtype: 'float32', shape: [1, 2], data: new Float32Array([5, 6]) } as const;
  job.item({ kind: 'tensors', tensors: [item] });
  assert.deepEqual(call.items, [tensorOf('float32', [1, 2], [5, 6])]);
  call.onCancel?.();
  assert.equal(job.aborted, true);
  job.done({ result: { kind: 'tensors', tensors: [] }, computeMs: 1 });
  const next = callWith(rows(2), { credit: 1 });
  scheduler.submit(next);
  const second = await lane.job(1);
  second.done({ result: { kind: 'tensors', tensors: [] }, computeMs: 1 });
  assert.equal(await next.answer, 'ended');
});

test('Scheduler gives up a run that does not end after everybody has left it', async (t) => {
  const stuck = new Promise<string>((onStuck) => {
    const { lane, scheduler } = start(t, [METHOD], { onStuck, stuckAfterMs: 10 });
    const call = callWith(rows(1));
    scheduler.submit(call);
    void lane.job(0).then(() => call.onCancel?.());
  });
  assert.match(await stuck, /a run of "add" on 1 rows is stuck: nobody has waited for it/);
});

test('Scheduler takes a cancelled call out of the queue at once and never runs it', async (t) => {
  const { lane, scheduler } = start(t);
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

test('Scheduler aborts a running batch when the last of its callers has gone, not before', async (t) => {
  const { lane, scheduler } = start(t);
  const calls = [callWith(rows(1)), callWith(rows(2))];
  for (const call of calls) scheduler.submit(call);
  const running = await lane.job(0);
  calls[0]?.onCancel?.();
  assert.equal(running.aborted, false);
  calls[1]?.onCancel?.();
  assert.equal(running.aborted, true);
});

test('Scheduler refuses with QUEUE_FULL beyond maxQueueSize, counted in rows', async (t) => {
  const { lane, scheduler } = start(t);
  scheduler.submit(callWith(rows(1)));
  await lane.job(0);
  scheduler.submit(callWith(rows(1, 2, 3, 4, 5, 6)));
  const refused = callWith(rows(1, 2, 3));
  scheduler.submit(refused);
  await assert.rejects(refused.answer, { code: 'QUEUE_FULL' });
});

test('Scheduler answers DEADLINE_EXCEEDED for a call whose deadline passed in the queue', async (t) => {
  const { lane, scheduler } = start(t);
  scheduler.submit(callWith(rows(1)));
  await lane.job(0);
  const late = callWith(rows(2), { deadlineAtMs: performance.now() });
  scheduler.submit(late);
  await lane.addOne(0);
  await assert.rejects(late.answer, { code: 'DEADLINE_EXCEEDED' });
  assert.equal(lane.jobs.length, 1);
});

test('Scheduler keeps different shapes beyond axis 0 in different batches', async (t) => {
  const open = { ...FLOATS, shape: [-1, -1] };
  const { lane, scheduler } = start(t, [{ ...METHOD, input: open, output: open }]);
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
  test(`Scheduler refuses ${what} with INVALID_INPUT`, async (t) => {
    const { scheduler } = start(t);
    const call = callWith(value);
    scheduler.submit(call);
    await assert.rejects(call.answer, { code: 'INVALID_INPUT', message: pattern });
  });
}

test('Scheduler refuses an unknown method with NOT_FOUND and names the known ones', async (t) => {
  const { scheduler } = start(t);
  const call = callWith(rows(1), { method: 'nope' });
  scheduler.submit(call);
  await assert.rejects(call.answer, { code: 'NOT_FOUND', message: /the methods are add/ });
});
