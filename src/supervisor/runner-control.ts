import { JubakoError } from '../errors.js';
import type { RunnerManifest } from '../ipc/manifest.js';
import type { Logger } from '../telemetry/logger.js';
import { drainOrder } from './drain-order.js';
import { decideLoad, decideUnload, type RunnerView } from './model-decisions.js';
import { PerKeyQueue } from './per-key-queue.js';
import type { Pool } from './pool.js';
import type { ServerPools } from './server-pools.js';
import { unlessAborted } from './unless-aborted.js';

// Loads and unloads runners while the server serves.
// U1 Unload: callers are told and have said that they call it no more, then its workers finish what they have and go. No
//    call fails that was begun before; one that comes after is NOT_FOUND at once.
// U2 Load: its workers are ready, then callers are told, and are connected before it is said to be done. A load that fails
//    leaves it unloaded, with the reason.
// U3 Asks that touch one runner are done one after the other.

export type ControlledPool = Pick<Pool, 'plan' | 'failure' | 'start' | 'serverIsUp' | 'fail' | 'stop'>;

export interface ControlledPools extends Pick<ServerPools, 'isUnloaded' | 'tellUnloaded' | 'tellLoaded'> {
  readonly list: readonly ControlledPool[];
}

export interface RunnerControlOptions {
  /** Those of the service. */
  readonly runners: readonly RunnerManifest[];
  readonly pools: ControlledPools;
  /** Time that calls in flight get when their runner is unloaded. */
  readonly graceMs: number;
  /** Aborted when the server is told to stop. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
}

export class RunnerControl {
  readonly #options: RunnerControlOptions;
  readonly #queue = new PerKeyQueue();
  #isUp = false;

  constructor(options: RunnerControlOptions) {
    this.#options = options;
  }

  /** From here on it can be asked: before that the start decides what runs. */
  serverIsUp(): void {
    this.#isUp = true;
  }

  /**
   * Resolves when every worker of these runners has ended and nobody calls them any more.
   * @throws {JubakoError} NOT_FOUND, INVALID_INPUT - see `decideUnload`; NOT_READY, DRAINING - the server comes up or goes.
   */
  async unload(asked: readonly string[]): Promise<void> {
    this.#checkServer('unload');
    const touched = decideUnload(asked, this.#views());
    await this.#queue.run(touched, async () => {
      this.#checkServer('unload');
      decideUnload(asked, this.#views()); // what was asked before may have loaded a caller
      const { pools, graceMs, logger } = this.#options;
      const loaded = this.#poolsOf(touched.filter((name) => !pools.isUnloaded(name)));
      await pools.tellUnloaded(touched, 'unloaded');
      for (const step of drainOrder(loaded)) {
        this.#checkServer('unload'); // from here on it is the server that ends them
        await Promise.all(step.map((pool) => pool.stop(graceMs)));
      }
      for (const { plan } of loaded) {
        const runner = plan.runner ?? '';
        logger.info({ event: 'model.unloaded', runner }, `runner "${runner}" is unloaded`);
      }
    });
  }

  /**
   * Resolves when these runners, and those that they call, serve.
   * @throws {JubakoError} as `unload`; NOT_READY - one could not be started: it says why, those that it calls stay loaded.
   */
  async load(asked: readonly string[]): Promise<void> {
    this.#checkServer('load');
    const touched = decideLoad(asked, this.#views());
    await this.#queue.run(touched, async () => {
      this.#checkServer('load');
      const absent = this.#views().filter(({ name, isLoaded }) => touched.includes(name) && !isLoaded);
      const steps = drainOrder(this.#poolsOf(absent.map(({ name }) => name))).toReversed();
      for (const step of steps) {
        const ends = await Promise.allSettled(step.map((pool) => this.#loadOne(pool))); // U3: all have come to an end
        for (const end of ends) if (end.status === 'rejected') throw end.reason;
      }
    });
  }

  async #loadOne(pool: ControlledPool): Promise<void> {
    const { pools, logger, stopping } = this.#options;
    const runner = pool.plan.runner ?? '';
    const startedAtMs = performance.now();
    await pools.tellUnloaded([runner], 'loading'); // one that had failed is called by nobody until it is there
    this.#checkServer('load');
    try {
      await unlessAborted(stopping, pool.start());
    } catch (thrown) {
      const error = JubakoError.from(thrown);
      if (stopping.aborted) throw error;
      pool.fail(error);
      await pools.tellUnloaded([runner], `unloaded: the last load failed: ${error.message}`);
      const { code, message, details } = error;
      logger.error({ event: 'model.failed', runner, code, details }, `runner "${runner}" is not loaded: ${message}`);
      throw new JubakoError('NOT_READY', `Cannot load runner "${runner}": ${message}`, { cause: error });
    }
    pool.serverIsUp();
    await pools.tellLoaded(runner);
    const loadMs = Math.round(performance.now() - startedAtMs);
    logger.info({ event: 'model.loaded', runner, loadMs }, `runner "${runner}" is loaded`);
  }

  #checkServer(action: string): void {
    if (this.#options.stopping.aborted)
      throw new JubakoError('DRAINING', `Cannot ${action} runners: the server is stopping`);
    if (!this.#isUp) throw new JubakoError('NOT_READY', `Cannot ${action} runners: the server is starting`);
  }

  #views(): readonly RunnerView[] {
    const { runners, pools } = this.#options;
    return runners.map(({ name, placement, runners: calls }) => {
      const pool = pools.list.find(({ plan }) => plan.runner === name);
      const place = pool !== undefined ? 'pool' : placement === 'embedded' ? 'embedded' : 'remote';
      const isLoaded = pool === undefined || (pool.failure === undefined && !pools.isUnloaded(name));
      return { name, place, isLoaded, calls };
    });
  }

  #poolsOf(runners: readonly string[]): readonly ControlledPool[] {
    return this.#options.pools.list.filter(({ plan }) => runners.includes(plan.runner ?? ''));
  }
}
