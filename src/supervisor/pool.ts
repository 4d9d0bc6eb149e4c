import { JubakoError } from '../errors.js';
import type { FromWorker, ToWorker } from '../ipc/messages.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { ConnectionDispatcher } from './connection-dispatcher.js';
import type { PoolPlan } from './plan.js';
import { nextPoolState, type PoolEvent, type PoolState } from './pool-state.js';
import { WorkerHandle, type WorkerChange, type WorkerHandleOptions } from './worker-handle.js';

// O1 A pool has as many places as the plan has workers; each is filled by one worker at any time while the pool is up.
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

/** The workers of one kind: started together, replaced one by one, stopped together, and perhaps started again. */
export class Pool {
  readonly plan: PoolPlan;
  /** Set where this pool serves a port of the primary. */
  dispatcher: ConnectionDispatcher | undefined;
  readonly #options: PoolOptions;
  readonly #workers: WorkerHandle[];
  /** On their way out, with what is done when they are gone. */
  readonly #leaving = new Map<WorkerHandle, () => void>();
  #replacement: Replacement | undefined;
  #state: PoolState = 'new';
  #failure: JubakoError | undefined;
  #resolveReady: (() => void) | undefined;
  #rejectReady: ((error: JubakoError) => void) | undefined;
  #onAllGone: (() => void)[] = [];

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
    return this.#state === 'up' && this.#replacement === undefined && this.#leaving.size === 0;
  }

  /**
   * Starts every worker, after a stop or a failure anew. Resolves when all are ready; rejects when one refuses to boot or
   * dies again and again before that. The one who asked says next whether it is up (`serverIsUp`) or given up (`fail`).
   */
  start(): Promise<void> {
    if (this.#state !== 'new') this.#refill();
    this.#apply('startAsked');
    this.#failure = undefined;
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
    this.#apply('serverIsUp');
    for (const worker of this.#workers) worker.serverIsUp();
  }

  /** Ends its workers at once: the server goes on without them. */
  fail(error: JubakoError): void {
    this.#apply('gaveUp');
    this.#failure = error;
    this.#killAll();
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

  /**
   * Ends its workers when they have finished what they have begun; the pool can be started again. Resolves when all have
   * ended; those that are left after `graceMs` and a second more are killed.
   */
  async stop(graceMs: number): Promise<void> {
    this.#apply('stopAsked');
    this.#failure = undefined;
    await this.#drainAll(graceMs);
    this.#apply('allGone');
  }

  /** The same with the server: it is never started again. */
  async drain(graceMs: number): Promise<void> {
    this.#apply('endAsked');
    await this.#drainAll(graceMs);
  }

  kill(): void {
    this.#apply('endAsked');
    this.#killAll();
  }

  #apply(event: PoolEvent): void {
    this.#state = nextPoolState(this.#state, event);
  }

  async #drainAll(graceMs: number): Promise<void> {
    this.#endReplacement();
    const allGone = new Promise<void>((resolve) => this.#onAllGone.push(resolve));
    for (const worker of this.all) worker.drain(graceMs);
    this.#tellIfAllGone();
    await allGone;
  }

  #killAll(): void {
    this.#endReplacement();
    for (const worker of this.all) worker.kill();
  }

  /** A replacement that is under way ends with the rest. */
  #endReplacement(): void {
    if (this.#replacement === undefined) return;
    const { successor, settle } = this.#replacement;
    this.#replacement = undefined;
    this.#leaving.set(successor, () => {
      settle(false);
    });
  }

  /** New workers for all places; one before that has not quite gone leaves. */
  #refill(): void {
    this.#workers.forEach((before, index) => {
      if (before.pid !== undefined) this.#leaving.set(before, () => undefined);
      this.#workers[index] = this.#create(index, before.generation + 1);
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
    this.#tellIfAllGone();
  }

  #tellIfAllGone(): void {
    if (this.#onAllGone.length === 0) return;
    if (!this.all.every(({ state }) => state === 'stopped' || state === 'failed')) return;
    for (const tell of this.#onAllGone.splice(0)) tell();
  }

  #countExit(worker: WorkerHandle, cause: string): void {
    const asked = worker.state === 'stopped' ? 'drained' : cause;
    this.#options.metrics.counter('jubako_worker_exits_total', { role: this.plan.role, cause: asked }).add(1);
  }
}
