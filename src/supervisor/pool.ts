import { JubakoError } from '../errors.js';
import type { FromWorker, ToWorker } from '../ipc/messages.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { ConnectionDispatcher } from './connection-dispatcher.js';
import type { PoolPlan } from './plan.js';
import { WorkerHandle, type WorkerChange, type WorkerHandleOptions } from './worker-handle.js';

/** Deaths of one worker before it was ever ready, after which a start is given up. */
const MAX_DEATHS_WHILE_STARTING = 3;

export interface PoolOptions {
  readonly plan: PoolPlan;
  readonly fork: (name: string, index: number) => Pick<WorkerHandleOptions, 'fork' | 'boot'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly onMessage: (worker: WorkerHandle, message: FromWorker) => void;
  /** A worker became ready, at the start or again. */
  readonly onReady: (worker: WorkerHandle) => void;
  /** Told of every death, so that what the worker had counted is kept apart from what it showed. */
  readonly onExit: (worker: WorkerHandle) => void;
}

/** The workers of one kind: started together, replaced one by one, drained together. */
export class Pool {
  readonly plan: PoolPlan;
  /** Set where this pool serves a port of the primary. */
  dispatcher: ConnectionDispatcher | undefined;
  readonly workers: readonly WorkerHandle[];
  readonly #options: PoolOptions;
  #resolveReady: (() => void) | undefined;
  #rejectReady: ((error: JubakoError) => void) | undefined;
  #resolveDrained: (() => void) | undefined;

  constructor(options: PoolOptions) {
    const { plan } = options;
    this.plan = plan;
    this.#options = options;
    this.workers = Array.from({ length: plan.workers }, (_, index) => {
      const name = `${plan.name}-${index}`;
      return new WorkerHandle({
        name,
        role: plan.role,
        logger: options.logger,
        ...options.fork(name, index),
        onMessage: (worker, message) => {
          this.#onMessage(worker, message);
        },
        onChange: (worker, change) => {
          this.#onChange(worker, change);
        },
      });
    });
  }

  /** Resolves when every worker is ready; rejects when one refuses to boot or dies again and again before that. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
      for (const worker of this.workers) worker.start();
      this.#showStates();
    });
  }

  /** To every worker that runs. */
  send(message: ToWorker): void {
    for (const worker of this.workers) worker.send(message);
  }

  serverIsUp(): void {
    for (const worker of this.workers) worker.serverIsUp();
  }

  /** Resolves when every worker has ended; those that are left after `graceMs` and a second more are killed. */
  async drain(graceMs: number): Promise<void> {
    const drained = new Promise<void>((resolve) => {
      this.#resolveDrained = resolve;
    });
    for (const worker of this.workers) worker.drain(graceMs);
    this.#checkDrained();
    const killer = setTimeout(() => {
      this.kill();
    }, graceMs + 1000);
    await drained;
    clearTimeout(killer);
  }

  kill(): void {
    for (const worker of this.workers) worker.kill();
  }

  #onMessage(worker: WorkerHandle, message: FromWorker): void {
    if (message.type === 'accepted') this.dispatcher?.accepted(message.connectionId);
    else if (message.type === 'rejected') this.dispatcher?.rejected(message.connectionId);
    else this.#options.onMessage(worker, message);
  }

  #onChange(worker: WorkerHandle, change: WorkerChange): void {
    this.#showStates();
    switch (change.kind) {
      case 'accepting':
        this.dispatcher?.flush();
        return;
      case 'ready':
        this.dispatcher?.flush();
        this.#options.onReady(worker);
        if (this.workers.every(({ state }) => state === 'ready')) this.#resolveReady?.();
        return;
      case 'refused':
        this.#rejectReady?.(change.error);
        return;
      case 'exited':
        this.dispatcher?.workerGone(worker);
        this.#options.onExit(worker);
        this.#countExit(worker, change.cause);
        this.#checkDrained();
        if (worker.state === 'backoff' && worker.deathsInARow >= MAX_DEATHS_WHILE_STARTING) {
          this.#rejectReady?.(
            new JubakoError(
              'SERVICE_INVALID',
              `Cannot start ${worker.name}: it died ${worker.deathsInARow} times before it was ready, last by ${change.cause}`,
            ),
          );
        }
        return;
      default:
        change satisfies never;
    }
  }

  #checkDrained(): void {
    if (this.workers.every(({ state }) => state === 'stopped' || state === 'failed')) this.#resolveDrained?.();
  }

  #countExit(worker: WorkerHandle, cause: string): void {
    const asked = worker.state === 'stopped' ? 'drained' : cause;
    this.#options.metrics.counter('jubako_worker_exits_total', { role: this.plan.role, cause: asked }).add(1);
  }

  #showStates(): void {
    for (const state of ['starting', 'accepting', 'ready', 'draining', 'backoff', 'failed'] as const) {
      const count = this.workers.filter((worker) => worker.state === state).length;
      this.#options.metrics.gauge('jubako_workers', { role: this.plan.role, state }).set(count);
    }
  }
}
