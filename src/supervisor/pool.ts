import { JubakoError } from '../errors.js';
import type { FromWorker, ToWorker } from '../ipc/messages.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { ConnectionDispatcher } from './connection-dispatcher.js';
import type { PoolPlan } from './plan.js';
import { WorkerHandle, type WorkerChange, type WorkerHandleOptions } from './worker-handle.js';

// O1 A pool has as many places as the plan has workers; each is filled by one worker at any time.
// O2 A place changes hands in this order: the successor is ready, callers know it, the one before drains. Nobody waits.
// O3 One place at a time: a pool never holds more than one worker beyond its plan, apart from those that are leaving.

/** Deaths of one worker before it was ever ready, after which a start is given up. */
const MAX_DEATHS_WHILE_STARTING = 3;

/** A place, and which of the workers that fill it one after another. */
export interface Place {
  /** Of the worker: `http-0`, `runner-digits-1`. */
  readonly name: string;
  readonly index: number;
  readonly generation: number;
}

export interface PoolOptions {
  readonly plan: PoolPlan;
  readonly fork: (place: Place) => Pick<WorkerHandleOptions, 'fork' | 'boot' | 'prepare'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly onMessage: (worker: WorkerHandle, message: FromWorker) => void;
  /** A worker has loaded the service and hears what is sent to it from here on. */
  readonly onAccepting: (worker: WorkerHandle) => void;
  /** A worker in a place became ready, at the start or again, or as the successor of one that drains after this. */
  readonly onReady: (worker: WorkerHandle) => void;
  /** The states of its workers may have changed. */
  readonly onStates: () => void;
  /** Told of every death, so that what the worker had counted is kept apart from what it showed. */
  readonly onExit: (worker: WorkerHandle) => void;
}

/** Why a worker is replaced: a label of the metrics, so only words from here. */
export type ReplaceReason = 'memory';

interface Replacement {
  readonly index: number;
  readonly before: WorkerHandle;
  readonly successor: WorkerHandle;
  readonly graceMs: number;
  readonly settle: (isReplaced: boolean) => void;
}

/** The workers of one kind: started together, replaced one by one, drained together. */
export class Pool {
  readonly plan: PoolPlan;
  /** Set where this pool serves a port of the primary. */
  dispatcher: ConnectionDispatcher | undefined;
  readonly #options: PoolOptions;
  readonly #workers: WorkerHandle[];
  /** On their way out, with what is done when they are gone. */
  readonly #leaving = new Map<WorkerHandle, () => void>();
  #replacement: Replacement | undefined;
  #failure: JubakoError | undefined;
  #isUp = false;
  #isEnding = false;
  #resolveReady: (() => void) | undefined;
  #rejectReady: ((error: JubakoError) => void) | undefined;
  #resolveDrained: (() => void) | undefined;

  constructor(options: PoolOptions) {
    this.plan = options.plan;
    this.#options = options;
    this.#workers = options.plan.workers.map((_, index) => this.#create(index, 0));
  }

  /** Those that fill the places at this moment, in their order. */
  get workers(): readonly WorkerHandle[] {
    return this.#workers;
  }

  /** Every worker that may have a process. */
  get all(): readonly WorkerHandle[] {
    const successor = this.#replacement?.successor;
    return [...this.#workers, ...this.#leaving.keys(), ...(successor === undefined ? [] : [successor])];
  }

  /** Why it was given up; undefined: it was not. */
  get failure(): JubakoError | undefined {
    return this.#failure;
  }

  /** True: one of its workers may be replaced now (O3). */
  get canReplace(): boolean {
    return this.#isUp && !this.#isEnding && this.#replacement === undefined && this.#leaving.size === 0;
  }

  /** Resolves when every worker is ready; rejects when one refuses to boot or dies again and again before that. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
      for (const worker of this.#workers) worker.start();
      this.#options.onStates();
    });
  }

  /** To every worker that runs. */
  send(message: ToWorker): void {
    for (const worker of this.all) worker.send(message);
  }

  serverIsUp(): void {
    this.#isUp = true;
    for (const worker of this.#workers) worker.serverIsUp();
  }

  /** Ends its workers and starts them no more: the server goes on without them. */
  fail(error: JubakoError): void {
    this.#failure = error;
    this.kill();
    this.#rejectReady?.(error);
  }

  /**
   * Puts another worker in the place of one, and ends that when it has finished what it has begun (O2). Never rejects.
   *
   * @param graceMs - time for what it has begun.
   * @returns true: done, the one before has ended. False: it stays, because the successor did not become ready, another
   * replacement is under way, the worker has no place here, or the pool is starting or ending.
   */
  replace(worker: WorkerHandle, why: ReplaceReason, graceMs: number): Promise<boolean> {
    const index = this.#workers.indexOf(worker);
    if (index === -1 || !this.canReplace) return Promise.resolve(false);
    const successor = this.#create(index, worker.generation + 1);
    const { logger, metrics } = this.#options;
    const facts = { event: 'worker.replacing', name: worker.name, why, workerPid: worker.pid };
    logger.info(facts, `${worker.name} will be replaced (${why})`);
    return new Promise((resolve) => {
      const settle = (isReplaced: boolean): void => {
        if (isReplaced) metrics.counter('jubako_worker_recycles_total', { role: this.plan.role, cause: why }).add(1);
        resolve(isReplaced);
      };
      this.#replacement = { index, before: worker, successor, graceMs, settle };
      successor.start();
      this.#options.onStates();
    });
  }

  /** Resolves when every worker has ended; those that are left after `graceMs` and a second more are killed. */
  async drain(graceMs: number): Promise<void> {
    this.#end();
    const drained = new Promise<void>((resolve) => {
      this.#resolveDrained = resolve;
    });
    for (const worker of this.all) worker.drain(graceMs);
    this.#resolveIfDrained();
    await drained;
  }

  kill(): void {
    this.#end();
    for (const worker of this.all) worker.kill();
  }

  /** A replacement that is under way ends with the rest. */
  #end(): void {
    this.#isEnding = true;
    if (this.#replacement === undefined) return;
    const { successor, settle } = this.#replacement;
    this.#replacement = undefined;
    this.#leaving.set(successor, () => {
      settle(false);
    });
  }

  #create(index: number, generation: number): WorkerHandle {
    const { plan, logger, fork } = this.#options;
    const name = `${plan.name}-${index}`;
    return new WorkerHandle({
      name,
      role: plan.role,
      generation,
      logger,
      ...fork({ name, index, generation }),
      onMessage: (worker, message) => {
        this.#onMessage(worker, message);
      },
      onChange: (worker, change) => {
        if (this.#replacement?.successor === worker) this.#onSuccessor(this.#replacement, change);
        else this.#onChange(worker, change);
        this.#options.onStates();
      },
    });
  }

  #onMessage(worker: WorkerHandle, message: FromWorker): void {
    if (message.type === 'accepted') this.dispatcher?.accepted(message.connectionId);
    else if (message.type === 'rejected') this.dispatcher?.rejected(message.connectionId);
    else this.#options.onMessage(worker, message);
  }

  #onChange(worker: WorkerHandle, change: WorkerChange): void {
    switch (change.kind) {
      case 'accepting':
        this.#options.onAccepting(worker);
        this.dispatcher?.flush();
        return;
      case 'ready':
        this.dispatcher?.flush();
        this.#options.onReady(worker);
        if (this.#workers.every(({ state }) => state === 'ready')) this.#resolveReady?.();
        return;
      case 'refused':
        this.#rejectReady?.(change.error);
        return;
      case 'left':
        this.#onGone(worker);
        return;
      case 'exited':
        this.dispatcher?.workerGone(worker);
        this.#countExit(worker, change.cause);
        this.#options.onExit(worker);
        this.#onGone(worker);
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

  #onSuccessor(replacement: Replacement, change: WorkerChange): void {
    switch (change.kind) {
      case 'accepting':
        this.#options.onAccepting(replacement.successor);
        return; // it gets connections when it is ready: the one before has them until then
      case 'ready':
        this.#shift(replacement);
        return;
      case 'refused':
        this.#giveUp(replacement, change.error.message);
        return;
      case 'exited':
        this.#countExit(replacement.successor, change.cause);
        this.#options.onExit(replacement.successor);
        this.#giveUp(replacement, change.cause);
        return;
      case 'left':
        return this.#giveUp(replacement, 'it was told to go');
      default:
        change satisfies never;
    }
  }

  #shift({ index, before, successor, graceMs, settle }: Replacement): void {
    const { logger, onReady } = this.#options;
    this.#replacement = undefined;
    this.#workers[index] = successor;
    this.#leaving.set(before, () => {
      settle(true);
    });
    successor.serverIsUp();
    onReady(successor);
    this.dispatcher?.flush();
    logger.info(
      { event: 'worker.replaced', name: before.name, workerPid: before.pid, successorPid: successor.pid },
      `${before.name} is replaced, its successor serves`,
    );
    before.drain(graceMs);
  }

  #giveUp({ before, successor, settle }: Replacement, reason: string): void {
    this.#replacement = undefined;
    this.#options.logger.error(
      { event: 'worker.replace_failed', name: before.name, reason },
      `${before.name} stays: its successor did not become ready (${reason})`,
    );
    this.#leaving.set(successor, () => {
      settle(false);
    });
    successor.kill();
  }

  #onGone(worker: WorkerHandle): void {
    if (worker.state === 'backoff') return;
    this.#leaving.get(worker)?.();
    this.#leaving.delete(worker);
    this.#resolveIfDrained();
  }

  #resolveIfDrained(): void {
    if (this.all.every(({ state }) => state === 'stopped' || state === 'failed')) this.#resolveDrained?.();
  }

  #countExit(worker: WorkerHandle, cause: string): void {
    const asked = worker.state === 'stopped' ? 'drained' : cause;
    this.#options.metrics.counter('jubako_worker_exits_total', { role: this.plan.role, cause: asked }).add(1);
  }
}
