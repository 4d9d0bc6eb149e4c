import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { EntryPoint } from '../ipc/manifest.js';
import { DeadlineTimer } from '../link/deadline-timer.js';
import type { LinkMethod } from '../link/hello.js';
import {
  deadlineError,
  expireDue,
  MAX_WAITING,
  OutgoingCall,
  type CallHolder,
  type LinkRequest,
} from '../link/outgoing-call.js';
import { reconnectDelayMs } from '../link/reconnect-delay.js';
import { RetryBudget } from '../link/retry-budget.js';
import { openStream, type StreamReader } from '../link/stream-reader.js';
import { noMethod } from '../link/worker-terms.js';
import type { RunnerTransport } from '../service/bound-runners.js';
import type { LoadContext } from '../service/define.js';
import type { RunnerManifest } from '../service/manifest.js';
import { encodeValue } from '../tensor/index.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { LaneGroup } from './lane-group.js';
import { toLinkMethod } from './link-method.js';
import { LocalAttempt } from './local-attempt.js';
import { Scheduler } from './scheduler.js';
import type { NestedCalls } from '../compute/thread-messages.js';

// A runner with `embedded` placement: compute threads and a scheduler inside an API worker, no process and no socket.
// M1 What a caller sees is what it would see of a runner worker: the same values, failures, metrics and times to wait.
// M2 A thread that ends takes all threads of the runner along, as a process would; new ones follow. Calls that were open are
//    repeated once where the method is idempotent and the retry budget allows, others are RUNNER_LOST.
// M3 A call is with a scheduler, or waits in `#waiting`, each with a time at which it expires. Nothing hangs.

export interface LocalRunnerOptions {
  readonly entry: EntryPoint;
  readonly runner: RunnerManifest;
  readonly place: Omit<LoadContext, 'thread'>;
  /** For a runner that calls others. */
  readonly calls: NestedCalls;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** See `SchedulerOptions`. */
  readonly stuckAfterMs?: number;
}

/** One set of threads, from their start to the end of the first one. */
interface Generation {
  readonly group: LaneGroup;
  readonly scheduler: Scheduler;
  /** Undefined: still loading. */
  readyAtMs: number | undefined;
}

/** Threads that lived so long have proved themselves: their end counts as the first. */
const STABLE_AFTER_MS = 10_000;

export class LocalRunner implements RunnerTransport, CallHolder {
  /** Resolves when the model is loaded and warm for the first time; rejects with the load's own failure. */
  readonly ready: Promise<void>;
  readonly #options: LocalRunnerOptions;
  readonly #methods: readonly LinkMethod[];
  readonly #open = new Set<LocalAttempt>();
  readonly #waiting = new Set<OutgoingCall>();
  readonly #budget = new RetryBudget();
  readonly #timer = new DeadlineTimer((nowMs) => this.#sweep(nowMs));
  readonly #onOver = (attempt: LocalAttempt): void => {
    this.#open.delete(attempt);
    this.#tellEmpty();
  };
  #map: RunnerMap;
  #generation: Generation | undefined;
  #endsInARow = 0;
  #restart: NodeJS.Timeout | undefined;
  #isClosed = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: LocalRunnerOptions) {
    this.#options = options;
    this.#map = options.calls.map;
    this.#methods = options.runner.methods.map(toLinkMethod);
    this.#generation = this.#start();
    this.ready = this.#generation.group.ready;
  }

  get name(): string {
    return this.#options.runner.name;
  }

  get isReady(): boolean {
    return this.#generation?.readyAtMs !== undefined;
  }

  /** Always settles. @throws {JubakoError} as `RunnerLinks.call`. */
  call(request: LinkRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#begin(request, resolve, reject, undefined);
    });
  }

  /** As `RunnerLinks.stream`. */
  stream(request: LinkRequest): AsyncIterableIterator<unknown> {
    return openStream((resolve, reject, reader) => this.#begin(request, resolve, reject, reader));
  }

  /** Where the runners are that this one calls. */
  setRunnerMap(map: RunnerMap): void {
    this.#map = map;
    this.#generation?.group.setRunnerMap(map);
  }

  /** Takes no more calls, lets open ones finish for up to `graceMs`, then ends the threads. Never rejects. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    this.#failWaiting();
    await this.#whenEmpty(graceMs);
    const generation = this.#generation;
    this.#generation = undefined;
    for (const { call } of [...this.#open]) call.onCancel(this.#closed());
    this.#timer.stop();
    generation?.scheduler.close();
    await generation?.group.close();
  }

  /** A call that waited here needs no thread any more. */
  drop(call: OutgoingCall): void {
    this.#waiting.delete(call);
    this.#tellEmpty();
  }

  #begin(
    request: LinkRequest,
    resolve: (value: unknown) => void,
    reject: (error: JubakoError) => void,
    reader: StreamReader | undefined,
  ): OutgoingCall {
    const { cancellation, deadlineAtMs } = request;
    if (this.#isClosed) throw this.#closed();
    if (cancellation.reason !== undefined) throw cancellation.reason;
    if (deadlineAtMs !== undefined && deadlineAtMs <= performance.now()) throw deadlineError(request);
    const call = new OutgoingCall(request, encodeValue(request.input), resolve, reject, reader);
    this.#budget.earn();
    if (deadlineAtMs !== undefined) this.#timer.watch(deadlineAtMs);
    this.#dispatch(call);
    return call;
  }

  #dispatch(call: OutgoingCall): void {
    const method = this.#methods.find(({ name }) => name === call.request.method);
    if (method?.streams !== (call.reader !== undefined)) return call.fail(noMethod(call, this.#methods));
    const generation = this.#generation;
    if (generation?.readyAtMs === undefined) return this.#wait(call);
    call.expiresAtMs = call.request.deadlineAtMs ?? Infinity;
    const attempt = new LocalAttempt(call, method.idempotent, this.#onOver);
    this.#open.add(attempt);
    generation.scheduler.submit(attempt);
  }

  /** M3 */
  #wait(call: OutgoingCall): void {
    const { method } = call.request;
    if (this.#waiting.size >= MAX_WAITING) {
      const why = `${MAX_WAITING} calls wait for it to be loaded already`;
      return call.fail(new JubakoError('NOT_READY', `Cannot call ${this.name}.${method}: ${why}`));
    }
    call.wait(this);
    this.#waiting.add(call);
    this.#timer.watch(call.expiresAtMs);
  }

  #start(): Generation {
    const { entry, runner, place, calls, metrics, logger, stuckAfterMs } = this.#options;
    const group = new LaneGroup({ entry, runner, place, calls: { ...calls, map: this.#map }, logger });
    const lose = (reason: string): void => {
      this.#onLost(generation, reason);
    };
    const scheduler = new Scheduler({
      runner,
      lanes: group.lanes,
      metrics,
      logger,
      onStuck: lose,
      ...(stuckAfterMs !== undefined && { stuckAfterMs }),
    });
    const generation: Generation = { group, scheduler, readyAtMs: undefined };
    void group.ended.then(lose);
    group.ready.then(
      () => {
        this.#onReady(generation);
      },
      (thrown: unknown) => {
        lose(JubakoError.from(thrown).message);
      },
    );
    return generation;
  }

  #onReady(generation: Generation): void {
    if (this.#generation !== generation) return;
    generation.readyAtMs = performance.now();
    for (const call of [...this.#waiting]) {
      this.#waiting.delete(call);
      this.#dispatch(call);
    }
  }

  /** M2 */
  #onLost(generation: Generation, reason: string): void {
    if (this.#generation !== generation) return; // already replaced, or closed
    const { logger, metrics, runner } = this.#options;
    const { readyAtMs } = generation;
    const wasStable = readyAtMs !== undefined && performance.now() - readyAtMs >= STABLE_AFTER_MS;
    this.#endsInARow = wasStable ? 1 : this.#endsInARow + 1;
    const pauseMs = this.#endsInARow === 1 ? 0 : Math.round(reconnectDelayMs(this.#endsInARow, Math.random()));
    logger.error(
      { event: 'runner.lost', runner: runner.name, reason, restartInMs: pauseMs },
      `runner "${runner.name}": ${reason}`,
    );
    this.#generation = undefined;
    generation.scheduler.close();
    void generation.group.close();
    for (const { name } of runner.methods) {
      metrics.gauge('jubako_runner_queue_rows', { runner: runner.name, method: name }).set(0);
    }
    for (const attempt of [...this.#open]) {
      attempt.detach();
      this.#onCallLost(attempt.call);
    }
    if (this.#isClosed) return;
    this.#restart = setTimeout(() => {
      this.#generation = this.#start();
    }, pauseMs);
  }

  #onCallLost(call: OutgoingCall): void {
    const { method } = call.request;
    const lost = new JubakoError('RUNNER_LOST', `Lost ${this.name}.${method}: the thread that it ran in has ended`);
    if (!call.isRepeatable || this.#isClosed || !this.#budget.spend()) return call.fail(lost);
    call.isReplay = true;
    call.lost = lost;
    this.#wait(call);
  }

  #failWaiting(): void {
    for (const call of [...this.#waiting]) {
      this.#waiting.delete(call);
      call.fail(call.lost ?? this.#closed());
    }
  }

  async #whenEmpty(withinMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const cut = setTimeout(resolve, withinMs);
      this.#onEmpty = (): void => {
        clearTimeout(cut);
        resolve();
      };
    });
  }

  #tellEmpty(): void {
    if (this.#open.size === 0 && this.#waiting.size === 0) this.#onEmpty?.();
  }

  #sweep(nowMs: number): number {
    return expireDue([...this.#waiting, ...[...this.#open].map(({ call }) => call)], nowMs);
  }

  #closed(): JubakoError {
    return new JubakoError('DRAINING', `Cannot call runner "${this.name}" any more: this worker is stopping`);
  }
}
