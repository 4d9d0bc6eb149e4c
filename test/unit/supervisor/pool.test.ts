import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { JubakoError } from '#dist/errors.js';
import type { FromWorker, ToWorker } from '#dist/ipc/messages.js';
import type { ForkedWorker, ForkListeners } from '#dist/supervisor/forked-worker.js';
import type { PoolPlan } from '#dist/supervisor/plan.js';
import { Pool, type Place } from '#dist/supervisor/pool.js';
import { Metrics } from '#dist/telemetry/metrics.js';

const WORKER = { env: {}, cpus: 1, device: null, affinity: null };
const PLAN: PoolPlan = {
  name: 'runner-a',
  role: 'runner',
  runner: 'a',
  workers: [WORKER, WORKER],
  threads: 1,
  hasSockets: true,
  calls: [],
  mayFail: false,
};

/** A process in the hands of the test. */
class FakeProcess implements ForkedWorker {
  readonly place: Place;
  readonly pid: number;
  readonly sent: ToWorker['type'][] = [];
  readonly signals: string[] = [];
  readonly #listeners: ForkListeners;

  constructor(place: Place, pid: number, listeners: ForkListeners) {
    this.place = place;
    this.pid = pid;
    this.#listeners = listeners;
  }

  send(message: ToWorker): void {
    this.sent.push(message.type);
  }

  kill(signal: NodeJS.Signals): void {
    this.signals.push(signal);
  }

  say(message: FromWorker): void {
    this.#listeners.onMessage(message);
  }

  becomeReady(): void {
    this.say({ type: 'accepting' });
    this.say({ type: 'ready' });
  }

  exit(cause = 'code 0'): void {
    this.#listeners.onExit(cause, 0);
  }
}

class PoolUnderTest {
  readonly processes: FakeProcess[] = [];
  /** What happened, in order. */
  readonly events: string[] = [];
  readonly metrics = new Metrics();
  readonly pool: Pool;

  constructor(plan: PoolPlan = PLAN) {
    this.pool = new Pool({
      plan,
      logger: pino({ level: 'silent' }),
      metrics: this.metrics,
      onMessage: () => undefined,
      onStates: () => undefined,
      onAccepting: () => undefined,
      onReady: (worker) => {
        this.events.push(`ready ${worker.pid}: ${this.pool.workers.map(({ pid }) => pid).join(' ')}`);
      },
      onExit: (worker) => {
        this.events.push(`exit ${worker.generation}`);
      },
      fork: (place) => ({
        fork: (listeners) => {
          const process = new FakeProcess(place, this.processes.length + 1, listeners);
          this.processes.push(process);
          return process;
        },
        boot: () => ({ type: 'drain', graceMs: 0 }), // what it boots with is not looked at
      }),
    });
  }

  at(pid: number): FakeProcess {
    const process = this.processes[pid - 1];
    assert.ok(process !== undefined, `no process ${pid}`);
    return process;
  }

  async up(): Promise<Pool> {
    const started = this.pool.start();
    for (const process of this.processes) process.becomeReady();
    await started;
    this.pool.serverIsUp();
    this.events.length = 0;
    return this.pool;
  }

  recycles(): number | undefined {
    return this.metrics.takeDelta().counters['jubako_worker_recycles_total{role="runner",cause="memory"}'];
  }
}

test('Pool replaces a worker: the successor is ready, callers are told, then the one before drains', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  const [, second] = pool.workers;
  assert.ok(second !== undefined);
  const replaced = pool.replace(second, 'memory', 5000);

  const successor = under.at(3);
  assert.deepEqual(successor.place, { name: 'runner-a-1', index: 1, generation: 1 });
  successor.say({ type: 'accepting' });
  assert.deepEqual(
    pool.workers.map(({ pid }) => pid),
    [1, 2],
  );
  assert.deepEqual(under.at(2).sent, []);
  successor.say({ type: 'ready' });
  assert.deepEqual(under.events, ['ready 3: 1 3']);
  assert.deepEqual(under.at(2).sent, ['drain']);
  assert.equal(under.recycles(), undefined);

  under.at(2).exit();
  assert.equal(await replaced, true);
  assert.equal(under.recycles(), 1);
  assert.deepEqual(
    pool.all.map(({ pid }) => pid),
    [1, 3],
  );
});

test('Pool keeps a worker whose successor refuses to boot or dies', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  const [first] = pool.workers;
  assert.ok(first !== undefined);
  const refused = pool.replace(first, 'memory', 5000);
  under.at(3).say({ type: 'bootRefused', error: new JubakoError('SERVICE_INVALID', 'no').toBody() });
  under.at(3).exit('code 78');
  assert.equal(await refused, false);

  const died = pool.replace(first, 'memory', 5000);
  under.at(4).exit('signal SIGKILL');
  assert.equal(await died, false);
  assert.equal(under.processes.length, 4); // it is not started again
  assert.deepEqual(
    pool.all.map(({ pid }) => pid),
    [1, 2],
  );
  assert.deepEqual(under.at(1).sent, []);
  assert.equal(under.recycles(), undefined);
});

test('Pool replaces one worker at a time, and none before the server is up or while it ends', async () => {
  const under = new PoolUnderTest();
  const { pool } = under;
  const [first, second] = pool.workers;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(await pool.replace(first, 'memory', 5000), false);
  await under.up();
  const replaced = pool.replace(first, 'memory', 5000);
  assert.equal(await pool.replace(second, 'memory', 5000), false);
  under.at(3).becomeReady();
  assert.equal(await pool.replace(second, 'memory', 5000), false); // the one before has not left yet
  under.at(1).exit();
  assert.equal(await replaced, true);
  assert.equal(await pool.replace(first, 'memory', 5000), false); // it has no place any more

  const drained = pool.drain(1000);
  assert.equal(await pool.replace(second, 'memory', 5000), false);
  under.at(2).exit();
  under.at(3).exit();
  await drained;
});

test('Pool puts the successor in the place of a worker that died meanwhile', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  const [first] = pool.workers;
  assert.ok(first !== undefined);
  const replaced = pool.replace(first, 'memory', 5000);
  under.at(1).exit('signal SIGKILL'); // in backoff: started again in a moment
  under.at(3).becomeReady();
  assert.equal(await replaced, true);
  assert.deepEqual(
    pool.all.map(({ pid }) => pid),
    [3, 2],
  );
});

test('Pool that drains while a worker is replaced waits for all three', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  const [first] = pool.workers;
  assert.ok(first !== undefined);
  const replaced = pool.replace(first, 'memory', 5000);
  let isDrained = false;
  const drained = pool.drain(1000).then(() => {
    isDrained = true;
  });
  under.at(3).becomeReady(); // too late to take the place
  under.at(1).exit();
  under.at(2).exit();
  await Promise.resolve();
  assert.equal(isDrained, false);
  under.at(3).exit();
  await drained;
  assert.equal(await replaced, false);
});

test('Pool that is given up ends its workers, starts them no more, and is drained at once', async () => {
  const under = new PoolUnderTest();
  const { pool } = under;
  const started = pool.start();
  under.at(1).say({ type: 'bootRefused', error: new JubakoError('SERVICE_INVALID', 'damaged').toBody() });
  await assert.rejects(started, { code: 'SERVICE_INVALID', message: 'damaged' });
  pool.fail(new JubakoError('SERVICE_INVALID', 'damaged'));
  assert.deepEqual(under.at(2).signals, ['SIGKILL']);
  under.at(1).exit('code 78');
  under.at(2).exit('signal SIGKILL');
  assert.equal(under.processes.length, 2);
  assert.equal(pool.failure?.message, 'damaged');
  await pool.drain(1000);
});

test('Pool that is stopped ends its workers gently, keeps their deaths, and starts with new ones', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  const stopped = pool.stop(5000);
  assert.deepEqual(under.at(1).sent, ['drain']);
  assert.deepEqual(under.at(1).signals, []);
  assert.equal(pool.canReplace, false);
  under.at(1).exit();
  under.at(2).exit('signal SIGKILL'); // while it drained: it is not started again
  await stopped;
  assert.equal(under.processes.length, 2);

  const started = pool.start();
  assert.deepEqual(
    under.processes.slice(2).map(({ place }) => place),
    [
      { name: 'runner-a-0', index: 0, generation: 1 },
      { name: 'runner-a-1', index: 1, generation: 1 },
    ],
  );
  under.at(3).becomeReady();
  under.at(4).becomeReady();
  await started;
  pool.serverIsUp();
  assert.equal(pool.canReplace, true);
});

test('Pool ends the pause of a worker that has died when it is stopped', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  under.at(1).exit('signal SIGKILL');
  const stopped = pool.stop(5000);
  under.at(2).exit();
  await stopped;
  assert.equal(under.processes.length, 2);
});

test('Pool whose second start fails can be started a third time', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  const stopped = pool.stop(5000);
  under.at(1).exit();
  under.at(2).exit();
  await stopped;

  const failing = pool.start();
  under.at(3).say({ type: 'bootRefused', error: new JubakoError('SERVICE_INVALID', 'cut off').toBody() });
  await assert.rejects(failing, { message: 'cut off' });
  pool.fail(new JubakoError('SERVICE_INVALID', 'cut off'));
  assert.equal(pool.failure?.message, 'cut off');
  assert.deepEqual(under.at(4).signals, ['SIGKILL']);

  const started = pool.start(); // the two before have not quite gone
  assert.equal(pool.failure, undefined);
  assert.equal(pool.all.length, 4);
  under.at(3).exit('code 78');
  under.at(4).exit('signal SIGKILL');
  under.at(5).becomeReady();
  under.at(6).becomeReady();
  await started;
  assert.deepEqual(
    pool.all.map(({ pid }) => pid),
    [5, 6],
  );
});

test('Pool that stops when the server does is gone for good', async () => {
  const under = new PoolUnderTest();
  const pool = await under.up();
  const ends = Promise.all([pool.stop(5000), pool.drain(1000)]);
  under.at(1).exit();
  under.at(2).exit();
  await ends;
  await assert.rejects(async () => pool.start(), /Cannot apply "startAsked" to a pool that is "ending"/);
});
