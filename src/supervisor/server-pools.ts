import { formatRunnerAddress, type RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { FromWorker, MapConfirmation, ToWorker } from '../ipc/messages.js';
import type { MountsBoot, UnloadedRunners, WorkerBoot } from '../ipc/worker-boot.js';
import type { RuntimeDir } from '../net/runtime-dir.js';
import type { Logger } from '../telemetry/logger.js';
import { forkWorker } from './forked-worker.js';
import { MapConfirmations } from './map-confirmations.js';
import type { MetricsHub } from './metrics-hub.js';
import { pinProcess } from './pin-worker.js';
import type { Plan, PoolPlan, WorkerPlan } from './plan.js';
import { Pool, type Place, type PoolOptions } from './pool.js';
import type { WorkerHandle } from './worker-handle.js';

// All pools of a server, and what they know of each other.
// V1 The runner map is made from the workers that fill the places now, whenever it is asked for; whoever calls a runner
//    is told each time one of its workers becomes ready or another takes its place.
// V2 A worker learns the addresses of the runners that it calls and of no others: to wait for itself would be for ever.
// V3 A runner that is unloaded has no address, and its callers know that it is; nobody waits for it.

/** The longest suffix that a socket gets in the life of a server; with it the path must still be short enough. */
const LAST_GENERATION = 999_999;

export interface ServerPoolsOptions {
  readonly plan: Plan;
  /** What is the same for all workers. */
  readonly boot: Omit<WorkerBoot, 'runner' | 'embedded' | 'unloaded' | 'mounts'>;
  /** As it is now. */
  readonly mounts: () => MountsBoot;
  readonly runtimeDir: RuntimeDir;
  readonly logger: Logger;
  readonly metrics: MetricsHub;
  /** What a worker says beside how far it is. */
  readonly onMessage: (worker: WorkerHandle, message: FromWorker) => void;
  /** A worker became ready. */
  readonly onReady: (worker: WorkerHandle) => void;
}

export class ServerPools {
  readonly list: readonly Pool[];
  /** Of the maps that are sent by `tellUnloaded` and `tellLoaded`. */
  readonly confirmations = new MapConfirmations();
  readonly #options: ServerPoolsOptions;
  readonly #unloaded = new Map<string, string>();

  /** @throws {JubakoError} CONFIG_INVALID - the path of a socket is too long. */
  constructor(options: ServerPoolsOptions) {
    this.#options = options;
    for (const { runner, workers, hasSockets } of options.plan.pools) {
      if (hasSockets && runner !== null) this.#socketPath(runner, workers.length - 1, LAST_GENERATION);
    }
    this.list = options.plan.pools.map((plan) => new Pool(this.#poolOptions(plan)));
  }

  /** Resolves when every pool is ready, or given up where the server may do without it. */
  async start(): Promise<void> {
    await Promise.all(
      this.list.map(async (pool) => {
        try {
          await pool.start();
        } catch (thrown) {
          this.#onFailed(pool, JubakoError.from(thrown));
        }
      }),
    );
  }

  /** Every worker that may have a process. */
  get workers(): readonly WorkerHandle[] {
    return this.list.flatMap(({ all }) => all);
  }

  /** Those of a runner; undefined: it has none here. */
  poolOf(runner: string): Pool | undefined {
    return this.list.find(({ plan }) => plan.runner === runner);
  }

  isUnloaded(runner: string): boolean {
    return this.#unloaded.has(runner);
  }

  /** Resolves when nobody calls these runners any more. @param reason - for people. */
  async tellUnloaded(runners: readonly string[], reason: string): Promise<void> {
    for (const runner of runners) this.#unloaded.set(runner, reason);
    await this.#tellAndConfirm(runners, []);
  }

  /** Resolves when the callers of a runner are connected to it. */
  async tellLoaded(runner: string): Promise<void> {
    this.#unloaded.delete(runner);
    await this.#tellAndConfirm([runner], [runner]);
  }

  /** API workers learn which mounts are still starting. */
  tellMounts(): void {
    const { starting } = this.#options.mounts();
    for (const { plan, all } of this.list) {
      if (plan.role !== 'runner') for (const worker of all) worker.send({ type: 'mounts', starting });
    }
  }

  async #tellAndConfirm(runners: readonly string[], connectedTo: readonly string[]): Promise<void> {
    const callers = this.list.filter(({ plan }) => plan.calls.some((called) => runners.includes(called)));
    const told = callers.flatMap(({ plan, all }) => {
      // One that has not booted is told when it has, before it gets anything to do.
      const workers = all.filter(({ listens }) => listens);
      return workers.map((worker) =>
        this.confirmations.send(worker, connectedTo, (confirm) => this.#mapMessage(plan, confirm)),
      );
    });
    await Promise.all(told);
  }

  /** @throws {JubakoError} the server cannot do without it. */
  #onFailed(pool: Pool, error: JubakoError): void {
    if (pool.failure !== undefined) return; // given up with a runner that it calls
    if (!pool.plan.mayFail) throw error;
    pool.fail(error);
    const runner = pool.plan.runner ?? '';
    this.#options.logger.error(
      { event: 'model.failed', runner, code: error.code, details: error.details },
      `the model of runner "${runner}" is not served: ${error.message}`,
    );
    const runners = this.list.filter(({ plan }) => plan.role === 'runner');
    for (const caller of runners.filter(({ plan }) => plan.calls.includes(runner))) {
      const why = `Cannot start runner "${caller.plan.runner ?? ''}": it calls "${runner}", which has failed: ${error.message}`;
      this.#onFailed(caller, new JubakoError(error.code, why, { cause: error }));
    }
    if (runners.every(({ failure }) => failure !== undefined)) throw error; // nothing is left to be served
    this.#tellCallers(pool.plan);
  }

  #poolOptions(plan: PoolPlan): PoolOptions {
    const { logger, metrics } = this.#options;
    return {
      plan,
      logger,
      metrics: metrics.own,
      onMessage: this.#options.onMessage,
      onAccepting: (worker) => {
        // The map that it was forked with may be old by now, and what was sent since then it has not heard.
        if (plan.calls.length > 0) worker.send(this.#mapMessage(plan, null));
      },
      onReady: (worker) => {
        this.#options.onReady(worker);
        if (plan.role === 'runner') this.#tellCallers(plan);
      },
      onStates: () => {
        this.#showStates(plan.role);
      },
      onExit: (worker) => {
        metrics.forget(worker);
        this.confirmations.workerGone(worker);
      },
      fork: (place) => this.#forkOptions(plan, place),
    };
  }

  #forkOptions(plan: PoolPlan, place: Place): ReturnType<PoolOptions['fork']> {
    const { name, index } = place;
    const { env, affinity } = plan.workers[index] as WorkerPlan;
    return {
      fork: (listeners) => {
        const map = JSON.stringify(this.#mapFor(plan));
        return forkWorker({ role: plan.role, name }, { ...env, JUBAKO_RUNNER_MAP: map }, listeners);
      },
      ...(affinity !== null && { prepare: (pid: number) => pinProcess(pid, affinity) }),
      boot: () => ({ type: 'boot', boot: this.#bootOf(plan, place) }),
    };
  }

  #bootOf(plan: PoolPlan, { index, generation }: Place): WorkerBoot {
    const { plan: whole, mounts } = this.#options;
    const unloaded: UnloadedRunners = Object.fromEntries(this.#unloaded);
    const boot = { ...this.#options.boot, unloaded, mounts: mounts() };
    if (plan.runner === null) return { ...boot, runner: null, embedded: whole.embedded };
    const { cpus, device } = plan.workers[index] as WorkerPlan;
    const socketPath = plan.hasSockets ? this.#socketPath(plan.runner, index, generation) : null;
    return { ...boot, runner: { name: plan.runner, socketPath, worker: index, cpus, device }, embedded: [] };
  }

  /** Callers connect at once instead of at their next try. */
  #tellCallers({ runner }: PoolPlan): void {
    for (const pool of this.list) {
      if (pool.plan.calls.includes(runner ?? '')) pool.send(this.#mapMessage(pool.plan, null));
    }
  }

  #mapMessage(plan: PoolPlan, confirm: MapConfirmation | null): ToWorker {
    const unloaded = [...this.#unloaded].filter(([runner]) => plan.calls.includes(runner));
    return { type: 'runnerMap', map: this.#mapFor(plan), unloaded: Object.fromEntries(unloaded), confirm };
  }

  #mapFor({ calls }: PoolPlan): RunnerMap {
    return Object.fromEntries(calls.map((name) => [name, this.#addressesOf(name)]));
  }

  #addressesOf(runner: string): readonly string[] {
    const remote = this.#options.plan.remoteRunners[runner];
    if (remote !== undefined) return remote;
    const pool = this.poolOf(runner);
    if (pool === undefined || pool.failure !== undefined || this.#unloaded.has(runner)) return [];
    return pool.workers.map(({ generation }, index) =>
      formatRunnerAddress({ kind: 'unix', path: this.#socketPath(runner, index, generation) }),
    );
  }

  #socketPath(runner: string, index: number, generation: number): string {
    const suffix = generation === 0 ? '' : `.${generation}`;
    return this.#options.runtimeDir.socketPath(`${runner}.${index}${suffix}`);
  }

  #showStates(role: PoolPlan['role']): void {
    const workers = this.list.filter(({ plan }) => plan.role === role).flatMap(({ all }) => all);
    for (const state of ['starting', 'accepting', 'ready', 'draining', 'backoff', 'failed'] as const) {
      const count = workers.filter((worker) => worker.state === state).length;
      this.#options.metrics.own.gauge('jubako_workers', { role, state }).set(count);
    }
  }
}
