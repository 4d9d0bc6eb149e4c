import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { JubakoError } from '#dist/errors.js';
import type { PoolPlan } from '#dist/supervisor/plan.js';
import { RunnerControl, type ControlledPool, type ControlledPools } from '#dist/supervisor/runner-control.js';
import { runnerManifest } from '../../support/manifests.js';

type Step = () => void | Promise<void>;

/** Pools that write down what is done to them; what they do next can be held or made to fail. */
class FakePools implements ControlledPools {
  readonly done: string[] = [];
  readonly list: readonly ControlledPool[];
  /** By what is written down: `stop a`. */
  readonly steps = new Map<string, Step>();
  readonly #unloaded = new Map<string, string>();

  /** @param calls - runner → runners that it calls. */
  constructor(calls: Readonly<Record<string, readonly string[]>>) {
    this.list = Object.entries(calls).map(([runner, called]) => this.#createPool(runner, called));
  }

  isUnloaded(runner: string): boolean {
    return this.#unloaded.has(runner);
  }

  reasonOf(runner: string): string | undefined {
    return this.#unloaded.get(runner);
  }

  async tellUnloaded(runners: readonly string[], reason: string): Promise<void> {
    for (const runner of runners) this.#unloaded.set(runner, reason);
    await this.#do(`told ${runners.join(' ')} ${reason}`);
  }

  async tellLoaded(runner: string): Promise<void> {
    this.#unloaded.delete(runner);
    await this.#do(`told ${runner} loaded`);
  }

  /** Holds a step until the returned function is called. */
  hold(step: string): () => void {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.steps.set(step, () => held);
    return release;
  }

  async #do(step: string): Promise<void> {
    this.done.push(step);
    await this.steps.get(step)?.();
  }

  #createPool(runner: string, calls: readonly string[]): ControlledPool {
    let failure: JubakoError | undefined;
    const plan: PoolPlan = {
      name: `runner-${runner}`,
      role: 'runner',
      runner,
      workers: [],
      threads: 1,
      hasSockets: true,
      calls,
      mayFail: false,
    };
    return {
      plan,
      get failure() {
        return failure;
      },
      start: () => {
        failure = undefined;
        return this.#do(`start ${runner}`);
      },
      stop: () => this.#do(`stop ${runner}`),
      serverIsUp: () => this.done.push(`up ${runner}`),
      fail: (error) => {
        failure = error;
        this.done.push(`fail ${runner}`);
      },
    };
  }
}

function make(calls: Readonly<Record<string, readonly string[]>> = { a: ['b'], b: [], c: [] }): {
  readonly pools: FakePools;
  readonly control: RunnerControl;
  readonly stop: () => void;
} {
  const pools = new FakePools(calls);
  const stopping = new AbortController();
  const control = new RunnerControl({
    runners: Object.entries(calls).map(([name, runners]) => runnerManifest({ name, runners, methods: [] })),
    pools,
    graceMs: 1000,
    stopping: stopping.signal,
    logger: pino({ level: 'silent' }),
  });
  control.serverIsUp();
  const stop = (): void => {
    stopping.abort(new JubakoError('DRAINING', 'the server was told to stop'));
  };
  return { pools, control, stop };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('RunnerControl unloads: callers have confirmed before the workers go, and these have gone before it is done', async () => {
  const { pools, control } = make();
  const confirm = pools.hold('told a b unloaded');
  const gone = pools.hold('stop a');
  let isDone = false;
  const unloaded = control.unload(['a', 'b']).then(() => (isDone = true));
  await turn();
  assert.deepEqual(pools.done, ['told a b unloaded']);
  confirm();
  await turn();
  assert.deepEqual(pools.done.slice(1), ['stop a']); // it calls b, which stays until it has gone
  gone();
  await turn();
  assert.deepEqual(pools.done.slice(2), ['stop b']);
  await unloaded;
  assert.equal(isDone, true);
  await control.unload(['a']);
  assert.deepEqual(pools.done.slice(3), ['told a unloaded']); // nothing is left to be stopped
});

test('RunnerControl loads what is called first, and is done when the callers are connected', async () => {
  const { pools, control } = make();
  await control.unload(['a', 'b']);
  pools.done.length = 0;
  const connected = pools.hold('told a loaded');
  let isDone = false;
  const loaded = control.load(['a']).then(() => (isDone = true));
  await turn();
  assert.deepEqual(pools.done, [
    'told b loading',
    'start b',
    'up b',
    'told b loaded',
    'told a loading',
    'start a',
    'up a',
    'told a loaded',
  ]);
  assert.equal(isDone, false);
  connected();
  await loaded;
  await control.load(['a', 'b', 'c']); // they are
  assert.equal(pools.done.length, 8);
});

test('RunnerControl leaves unloaded what cannot be loaded, with the reason, and what calls it', async () => {
  const { pools, control } = make();
  await control.unload(['a', 'b']);
  pools.steps.set('start b', () => {
    throw new JubakoError('SERVICE_INVALID', 'cut off');
  });
  const refusal = { code: 'NOT_READY', message: 'Cannot load runner "b": cut off' };
  await assert.rejects(control.load(['a']), refusal);
  assert.equal(pools.reasonOf('b'), 'unloaded: the last load failed: cut off');
  assert.equal(pools.reasonOf('a'), 'unloaded');
  assert.ok(!pools.done.includes('start a'));
  pools.steps.clear();
  await control.load(['a']);
  assert.equal(pools.isUnloaded('a') || pools.isUnloaded('b'), false);
});

test('RunnerControl loads a runner that failed when the server started', async () => {
  const { pools, control } = make();
  pools.list[2]?.fail(new JubakoError('SERVICE_INVALID', 'cut off'));
  await control.load(['c']);
  assert.deepEqual(pools.done.slice(1), ['told c loading', 'start c', 'up c', 'told c loaded']);
});

test('RunnerControl decides on what has become of the asks before', async () => {
  const { pools, control } = make();
  await control.unload(['a']);
  const started = pools.hold('start a');
  const loaded = control.load(['a']);
  const refused = control.unload(['b']); // allowed when it was asked, not when it is its turn
  refused.catch(() => undefined);
  const other = control.unload(['c']); // needs not wait
  await other;
  assert.ok(!pools.done.includes('stop b'));
  started();
  await loaded;
  await assert.rejects(refused, { code: 'INVALID_INPUT', message: /"a" calls it/ });
});

test('RunnerControl refuses before the server is up and when it stops, and a load ends with the server', async () => {
  const { pools, control, stop } = make();
  const early = new RunnerControl({
    runners: [],
    pools,
    graceMs: 0,
    stopping: new AbortController().signal,
    logger: pino({ level: 'silent' }),
  });
  await assert.rejects(early.load(['a']), { code: 'NOT_READY' });
  await control.unload(['c']);
  pools.hold('start c');
  const loading = control.load(['c']);
  await turn();
  stop();
  await assert.rejects(loading, { code: 'DRAINING' });
  assert.ok(!pools.done.includes('fail c'));
  await assert.rejects(control.unload(['a']), { code: 'DRAINING' });
});
