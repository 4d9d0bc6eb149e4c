// Sends rows that carry their identity through the scheduler, with random cancels, failures, splits, shapes and priorities,
// and checks that every caller gets its own rows back and nothing is left behind. Needs a build.
// Usage: node scripts/soak/identity.mjs [--items N] [--seed S]; the seed is printed. It fixes what is drawn, not the order of
// events: the planner looks at the clock.
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { JubakoError } from '../../dist/errors.js';
import { LaneError } from '../../dist/compute/lane.js';
import { Scheduler } from '../../dist/runner/scheduler.js';
import { Metrics } from '../../dist/telemetry/metrics.js';
import { decodeValue, encodeValue, tensorOf } from '../../dist/tensor/index.js';
import { seededRandom } from '../seeded-random.mjs';

const { values } = parseArgs({
  options: { items: { type: 'string', default: '1000000' }, seed: { type: 'string', default: `${Date.now() % 1e9}` } },
});
const ITEMS = Number(values.items);
const SEED = Number(values.seed);
const MAX_SIZE = 16;
const IN_FLIGHT = 64;
const WIDTHS = [2, 3];
const PRIORITIES = ['high', 'normal', 'low'];
/** Heap that may be more in use at the end than when a tenth was done, both after a collection. */
const MAX_GROWTH_BYTES = 16 * 2 ** 20;

const random = seededRandom(SEED);
const chance = (share) => random() < share;
const below = (limit) => Math.floor(random() * limit);

/** Runs a batch after some turns of the loop: row → row + 0.5, and fails as a whole where a row is poison. */
class TestLane {
  run(job) {
    const done = afterTurns(below(4)).then(() => {
      const [{ shape, data }] = job.payload.tensors;
      const width = shape[1];
      for (let at = 0; at < data.length; at += width) {
        if (isPoison(data[at])) throw new LaneError(new JubakoError('USER_CODE', `poison ${data[at]}`), 0, undefined);
      }
      const tensors = [{ name: '', dtype: 'float64', shape, data: data.map((x) => x + 0.5) }];
      return { result: { kind: 'tensors', tensors }, computeMs: 0 };
    });
    return { done, abort: () => undefined };
  }

  stream() {
    throw new TypeError('nothing streams here');
  }
}

const isPoison = (id) => id % 997 === 0;
const spec = { kind: 'tensor', dtype: 'float64', shape: [-1, -1], allowNonFinite: false };
const runner = {
  name: 'soak',
  methods: [
    { name: 'm', input: spec, output: spec, concurrency: 2, idempotent: true },
    { name: 'n', input: spec, output: spec, concurrency: 1, idempotent: true },
  ].map((method) => ({ ...method, batch: { maxSize: MAX_SIZE, maxQueueSize: 1e6, maxLatencyMs: null } })),
};
const scheduler = new Scheduler({
  runner,
  lanes: [new TestLane(), new TestLane()],
  metrics: new Metrics(),
  logger: pino({ level: 'silent' }),
});

const ends = { answered: 0, failed: 0, cancelled: 0 };
let nextId = 1;
let open = 0;
let wake = () => undefined;
let heapAtTenth = 0;

async function main() {
  const startedAtMs = performance.now();
  while (nextId <= ITEMS) {
    if (open >= IN_FLIGHT) await new Promise((resolve) => (wake = resolve));
    else if (chance(0.1)) await afterTurns(1);
    submit();
    if (heapAtTenth === 0 && nextId > ITEMS / 10) heapAtTenth = heapInUse();
  }
  while (open > 0) await new Promise((resolve) => (wake = resolve));
  await afterTurns(8); // runs that only cancelled calls were in
  const { queuedRows, inFlightRows } = scheduler.load;
  if (queuedRows !== 0 || inFlightRows !== 0)
    fail(`${queuedRows} rows are queued and ${inFlightRows} in flight at the end`);
  const growth = heapInUse() - heapAtTenth;
  if (growth > MAX_GROWTH_BYTES) fail(`the heap has grown by ${growth} bytes`);
  scheduler.close();
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  const { answered, failed, cancelled } = ends;
  process.stdout.write(
    `identity: seed ${SEED}, ${nextId - 1} rows in ${answered + failed + cancelled} calls: ${answered} answered, ` +
      `${failed} failed, ${cancelled} cancelled, no cross-talk, nothing left, in ${seconds} s\n`,
  );
}

function submit() {
  const rows = chance(0.1) ? 1 + below(3 * MAX_SIZE) : 1 + below(4);
  const width = WIDTHS[below(WIDTHS.length)];
  const data = new Float64Array(rows * width);
  for (let i = 0; i < data.length; i += 1) data[i] = nextId + Math.floor(i / width);
  const ids = Array.from({ length: rows }, (_, i) => nextId + i);
  nextId += rows;
  open += 1;
  let end = 'open';
  const settle = (how, check) => {
    if (end !== 'open') fail(`call of row ${ids[0]} was ${how} after it was ${end}`);
    end = how;
    check?.();
    ends[how] += 1;
    open -= 1;
    wake();
  };
  const call = {
    method: chance(0.8) ? 'm' : 'n',
    body: bytesOf(encodeValue(tensorOf('float64', [rows, width], data))),
    requestId: 'soak',
    deadlineAtMs: undefined,
    priority: PRIORITIES[below(3)],
    isReplay: chance(0.01),
    credit: 0,
    begin: () => undefined,
    onCancel: undefined,
    onCredit: undefined,
    respond: (value) => settle('answered', () => checkAnswer(ids, width, decodeValue(bytesOf(value)))),
    fail: (error) => settle('failed', () => checkFailure(ids, error)),
    sendItem: () => fail('an item came'),
    end: () => fail('a stream ended'),
  };
  scheduler.submit(call);
  if (chance(0.05)) {
    void afterTurns(below(6)).then(() => {
      if (end !== 'open') return;
      call.onCancel?.();
      settle('cancelled');
    });
  }
}

function checkAnswer(ids, width, { shape, data }) {
  if (shape[0] !== ids.length || shape[1] !== width) fail(`row ${ids[0]}: the answer has shape ${shape}`);
  if (ids.some(isPoison)) fail(`row ${ids[0]}: a call with poison was answered`);
  for (let i = 0; i < data.length; i += 1) {
    const wanted = ids[Math.floor(i / width)] + 0.5;
    if (data[i] !== wanted) fail(`row ${wanted - 0.5} got ${data[i]}, wanted ${wanted}`);
  }
}

function checkFailure(ids, error) {
  if (!ids.some(isPoison)) fail(`row ${ids[0]}: a call without poison failed: ${error.message}`);
}

function fail(why) {
  process.stderr.write(`identity: seed ${SEED}: ${why}\n`);
  process.exit(1);
}

function bytesOf({ head, parts }) {
  return Buffer.concat([head, ...parts]);
}

async function afterTurns(count) {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

function heapInUse() {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

await main();
