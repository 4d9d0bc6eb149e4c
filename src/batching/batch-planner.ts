import type { BatchManifest, MethodManifest } from '../ipc/manifest.js';
import { ArrivalModel } from './arrival-model.js';
import { decideBatch, MIN_COST_MS, type BatchReason, type BucketView } from './batch-decision.js';
import {
  BatchQueue,
  countsFromMs,
  type Bucket,
  type Priority,
  type QueueEntry,
  type SplitEntry,
} from './batch-queue.js';
import { selectRows, shareRows } from './batch-selection.js';
import type { CostModel } from './cost-model.js';
import { ShapeCosts } from './shape-costs.js';
import { doubtMs, forecastWaitMs, type QueueForecast } from './wait-forecast.js';

// All that a runner knows about what waits and what runs, and the decisions made from it. It has no clock, no timer and no
// lane: the scheduler tells it what happens and when, and so does the simulation.
// P1 A call is refused only for a reason that can be said: the bound of the queue, or a learned time that breaks its target
//    or its deadline. Where the runner is idle nothing is refused, however slow the model is; nor is anything for a target
//    that an idle runner would miss as well.
// P2 The method whose head has waited longest goes first, so no method starves another.
// P3 Late work is dropped only where it keeps work waiting that can still be in time.

/** Why a call is not taken, or is taken out again without a run. */
export type RefusalCause = 'full' | 'late' | 'deadline';

export interface Refusal {
  readonly cause: RefusalCause;
  /** The learned time to its answer, in ms; undefined: not known yet. */
  readonly waitMs: number | undefined;
}

export interface LateEntry<E> {
  readonly entry: E;
  readonly cause: RefusalCause;
}

export type Plan<E> =
  | {
      readonly kind: 'run';
      readonly method: number;
      readonly batchKey: string;
      /** Empty: all that was taken is late. */
      readonly entries: readonly E[];
      readonly rows: number;
      readonly reason: BatchReason;
      readonly oldestWaitMs: number;
      /** Out of the queue with them: to be answered without a run. */
      readonly late: readonly LateEntry<E>[];
    }
  /** Nothing leaves before `untilMs` unless something happens. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'idle' };

/** A run under way. */
export interface PlannedRun {
  readonly method: number;
  readonly batchKey: string;
  readonly rows: number;
  readonly startedAtMs: number;
  /** As learned; long past for a run that takes longer than ever. */
  readonly endsAtMs: number;
}

/** A method without batches: runs of one call, with a bound all the same. */
const UNBATCHED: BatchManifest = { maxSize: 1, maxQueueSize: 1024, maxLatencyMs: null };
/** Share of a learned time that even a lucky run takes: a deadline nearer than that is missed for certain. */
const LUCKY_SHARE = 0.5;

const IDLE: Plan<never> = { kind: 'idle' };

interface MethodState<E extends QueueEntry> extends QueueForecast<E> {
  readonly shapes: ShapeCosts;
  readonly arrivals: ArrivalModel;
  /** False: no run takes long enough for a wait, so nobody asks who will come. */
  mayWait: boolean;
  lastRows: number;
  waitedSinceMs: number | undefined;
  /** What the decision looks at; one object for all decisions. */
  readonly view: { -readonly [K in keyof BucketView]: BucketView[K] };
}

export class BatchPlanner<E extends QueueEntry> {
  readonly #methods: readonly MethodState<E>[];
  readonly #runs = new Set<PlannedRun>();
  #laneFreeAtMs = -Infinity;
  /** The method that ran last: what the load that callers see is about. */
  #lastMethod = 0;

  /** @param lanes - compute threads; each runs as many batches of a method at a time as its `concurrency` says. */
  constructor(methods: readonly Pick<MethodManifest, 'batch' | 'concurrency'>[], lanes: number, split: SplitEntry<E>) {
    this.#methods = methods.map(({ batch, concurrency }) => {
      const { maxSize, maxQueueSize, maxLatencyMs } = batch ?? UNBATCHED;
      const slots = lanes * concurrency;
      const shapes = new ShapeCosts();
      return {
        maxSize,
        maxLatencyMs,
        slots,
        queue: new BatchQueue<E>(maxQueueSize, split),
        shapes,
        costs: shapes.all,
        arrivals: new ArrivalModel(slots),
        mayWait: maxSize > 1,
        lastRows: 1,
        waitedSinceMs: undefined,
        view: {
          rows: 0,
          oldestAtMs: 0,
          maxSize,
          maxLatencyMs: maxLatencyMs ?? Infinity,
          mayWait: false,
          waitedSinceMs: undefined,
          laneFreeAtMs: -Infinity,
        },
      };
    });
  }

  get queuedRows(): number {
    let rows = 0;
    for (const { queue } of this.#methods) rows += queue.rows;
    return rows;
  }

  get runningRows(): number {
    let rows = 0;
    for (const run of this.#runs) rows += run.rows;
    return rows;
  }

  queuedRowsOf(method: number): number {
    return this.#method(method).queue.rows;
  }

  /** The longest run of a method that is not long forgotten, and how many runs it has had. */
  historyOf(method: number): { readonly runs: number; readonly slowestMs: number } {
    return this.#method(method).costs;
  }

  /**
   * Undefined: the call may be pushed.
   * @param batchKey - its shape, where it is known; it makes the forecast better.
   */
  admit(
    method: number,
    rows: number,
    deadlineAtMs: number | undefined,
    nowMs: number,
    priority: Priority = 'normal',
    batchKey = '',
  ): Refusal | undefined {
    const refusal = this.#refusal(method, rows, deadlineAtMs, nowMs, priority, batchKey);
    // Who is refused has come all the same.
    if (refusal !== undefined) {
      const { arrivals, mayWait } = this.#method(method);
      if (mayWait) arrivals.arrived(rows, false, nowMs);
    }
    return refusal;
  }

  /** Ms until a call of `rows` rows that comes now would be answered; undefined while the model is not known. */
  waitMs(
    method: number,
    rows: number,
    nowMs: number,
    priority: Priority = 'normal',
    batchKey = '',
  ): number | undefined {
    const state = this.#method(method);
    const freeMs = this.#runs.size < state.slots ? 0 : this.#nextEndMs(nowMs);
    let waitMs = forecastWaitMs(state, rows, priority, batchKey, freeMs, nowMs);
    if (waitMs === undefined || this.#methods.length === 1) return waitMs;
    for (const { queue, costs, maxSize, slots } of this.#methods) {
      if (queue === state.queue || queue.rows === 0) continue;
      waitMs += (Math.ceil(queue.rows / maxSize) * (costs.predictMs(maxSize) ?? 0)) / slots;
    }
    return waitMs;
  }

  /** What callers of this runner are told: the wait of one row, and whether it would be refused. */
  load(nowMs: number): { readonly waitMs: number; readonly isFull: boolean } {
    const method = this.#lastMethod;
    return {
      waitMs: this.waitMs(method, 1, nowMs) ?? -1,
      // Callers send nothing at all to a worker that is full: so it is only where it takes no call of any kind.
      isFull: this.#methods.every((_, i) => this.#refusal(i, 1, undefined, nowMs, 'high', '') !== undefined),
    };
  }

  push(method: number, entry: E, nowMs: number): void {
    const state = this.#method(method);
    const { queue, arrivals, mayWait } = state;
    if (mayWait) arrivals.arrived(entry.rows, this.#runs.size === 0 && queue.rows === 0, nowMs);
    if (queue.rows === 0) state.waitedSinceMs = undefined; // those it waited for have gone
    queue.push(entry);
  }

  /** The caller has gone. */
  remove(method: number, entry: E): void {
    this.#method(method).queue.remove(entry);
  }

  /** What to do now. @param isFree - whether a lane can take a run of that method. */
  next(isFree: (method: number) => boolean, nowMs: number): Plan<E> {
    let chosen = -1;
    let bucket: Bucket<E> | undefined;
    let turnAtMs = Infinity;
    let waiting = 0;
    for (let i = 0; i < this.#methods.length; i += 1) {
      const { queue } = this.#method(i);
      if (queue.rows === 0 || !isFree(i)) continue;
      waiting += queue.rows;
      const next = queue.next();
      if (next === undefined || next.turnAtMs >= turnAtMs) continue; // P2
      chosen = i;
      bucket = next;
      turnAtMs = next.turnAtMs;
    }
    if (bucket === undefined) return IDLE;
    const state = this.#method(chosen);
    const costs = state.shapes.of(bucket.key);
    const { view } = state;
    view.rows = bucket.rows;
    view.oldestAtMs = bucket.oldestAtMs;
    // A lane that has other work does not stand idle for more of this.
    view.mayWait = state.mayWait && waiting === bucket.rows;
    view.waitedSinceMs = state.waitedSinceMs;
    view.laneFreeAtMs = this.#laneFreeAtMs;
    const decision = decideBatch(view, costs, state.arrivals, nowMs);
    if (decision.kind === 'wait') {
      state.waitedSinceMs ??= nowMs;
      return decision;
    }
    state.waitedSinceMs = undefined;
    return this.#plan(chosen, state, bucket, costs, decision.reason, nowMs);
  }

  started(method: number, batchKey: string, rows: number, nowMs: number): PlannedRun {
    const state = this.#method(method);
    const endsAtMs = nowMs + (state.shapes.of(batchKey).predictMs(rows) ?? 0);
    const run = { method, batchKey, rows, startedAtMs: nowMs, endsAtMs };
    this.#runs.add(run);
    this.#lastMethod = method;
    state.lastRows = rows;
    return run;
  }

  /** @param wasTypical - false: it failed or was aborted, so its time says nothing. */
  finished(run: PlannedRun, wasTypical: boolean, nowMs: number): void {
    this.#runs.delete(run);
    this.#laneFreeAtMs = nowMs;
    const state = this.#method(run.method);
    const { arrivals, shapes, costs, maxSize } = state;
    if (wasTypical) shapes.observe(run.batchKey, run.rows, nowMs - run.startedAtMs);
    state.mayWait = maxSize > 1 && (costs.predictMs(maxSize) ?? 0) >= MIN_COST_MS;
    if (state.mayWait) arrivals.answered(run.rows, nowMs);
  }

  #refusal(
    method: number,
    rows: number,
    deadlineAtMs: number | undefined,
    nowMs: number,
    priority: Priority,
    batchKey: string,
  ): Refusal | undefined {
    if (deadlineAtMs !== undefined && deadlineAtMs <= nowMs) return { cause: 'deadline', waitMs: undefined };
    if (this.#runs.size === 0 && this.queuedRows === 0) return undefined; // P1
    const state = this.#method(method);
    const { queue, costs, maxLatencyMs } = state;
    const hasRoom = queue.hasRoomFor(rows);
    if (hasRoom && !costs.isWarm) return undefined;
    const waitMs = this.waitMs(method, rows, nowMs, priority, batchKey);
    if (!hasRoom) return { cause: 'full', waitMs };
    if (waitMs === undefined) return undefined;
    const isLate = maxLatencyMs !== null && waitMs + doubtMs(state, rows) > maxLatencyMs;
    if (isLate && (costs.predictMs(1) ?? 0) <= maxLatencyMs) return { cause: 'late', waitMs };
    if (deadlineAtMs !== undefined && nowMs + LUCKY_SHARE * waitMs > deadlineAtMs) return { cause: 'deadline', waitMs };
    return undefined;
  }

  #plan(
    method: number,
    { queue, maxSize, maxLatencyMs, slots }: MethodState<E>,
    bucket: Bucket<E>,
    costs: CostModel,
    reason: BatchReason,
    nowMs: number,
  ): Plan<E> {
    let most = Math.min(bucket.rows, maxSize);
    let lateBeforeMs = -Infinity;
    if (maxLatencyMs !== null && costs.isWarm) {
      const selection = selectRows(bucket, maxSize, maxLatencyMs, costs, nowMs);
      most = selection.rows;
      lateBeforeMs = selection.lateBeforeMs;
    }
    if (slots > 1 && bucket.rows <= maxSize) {
      const share = Math.ceil((bucket.rows + this.runningRows) / slots);
      const otherLaneMs = slots - this.#runs.size > 1 ? 0 : this.#nextEndMs(nowMs);
      most = Math.min(most, shareRows(bucket.rows, share, otherLaneMs, costs));
    }
    const late: LateEntry<E>[] = [];
    const deadlineMs = nowMs + (costs.isWarm ? LUCKY_SHARE * (costs.predictMs(1) ?? 0) : 0);
    let oldestAtMs = nowMs;
    const { entries, rows } = queue.take(bucket, most, (entry) => {
      const isExpired = entry.deadlineAtMs !== undefined && entry.deadlineAtMs <= deadlineMs;
      if (isExpired || countsFromMs(entry) < lateBeforeMs) {
        late.push({ entry, cause: isExpired ? 'deadline' : 'late' });
        return true;
      }
      oldestAtMs = Math.min(oldestAtMs, entry.queuedAtMs);
      return false;
    });
    const { key: batchKey } = bucket;
    return { kind: 'run', method, batchKey, entries, rows, reason, oldestWaitMs: nowMs - oldestAtMs, late };
  }

  /** Until the next lane falls free. */
  #nextEndMs(nowMs: number): number {
    let leastMs = Infinity;
    for (const { endsAtMs } of this.#runs) leastMs = Math.min(leastMs, endsAtMs - nowMs);
    return Math.max(0, leastMs);
  }

  #method(index: number): MethodState<E> {
    const state = this.#methods[index];
    if (state === undefined) throw new TypeError(`There is no method ${index}`);
    return state;
  }
}
