import { JubakoError } from '../errors.js';
import type { ServedCall } from '../link/incoming-call.js';
import type { LinkLoad } from '../link/frame-meta.js';
import type { MethodManifest, RunnerManifest } from '../service/manifest.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { joinBatch, sliceResult } from './assemble-batch.js';
import type { BatchReason } from '../batching/batch-decision.js';
import { BatchPlanner, type Refusal } from '../batching/batch-planner.js';
import { readCallInput } from './call-input.js';
import { LaneError, type Lane, type LaneDone, type LaneJob } from '../compute/lane.js';
import { LaneLoad } from './lane-load.js';
import { createMethodMetrics, type MethodMetrics } from './method-metrics.js';
import { PendingCall, splitPiece, type Piece } from './pending-call.js';
import { refusalError, tooLateError } from './refusals.js';
import { RunningBatches, type RunningBatch } from './running-batches.js';
import { serveStream } from './serve-stream.js';

// The shell around the planner: it has the clock, the timer and the lanes.
// S1 Every call that `submit` takes is answered once: by its rows, by a failure, or not at all if its caller has gone.
// S2 When a lane falls free, what is queued leaves in the same turn; when a call finds a lane free, the batch leaves at the
//    end of the turn, so that calls which arrived together go together.
// S3 A batch of several calls that fails runs again in two halves, and so on: one bad input fails alone. A call whose last
//    worker died with it runs alone from the start.
// S4 Work that nobody waits for leaves: calls from the queue at once, a batch by its signal, a run that goes on by `onStuck`.

interface MethodState {
  readonly manifest: MethodManifest;
  readonly metrics: MethodMetrics;
}

/** Calls that run together and apart from all others. */
interface ApartGroup {
  readonly method: number;
  readonly pieces: readonly Piece[];
}

export interface SchedulerOptions {
  readonly runner: RunnerManifest;
  /** One per compute thread. */
  readonly lanes: readonly Lane[];
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** A run does not end: this process is of no use any more. Called once. */
  readonly onStuck?: (reason: string) => void;
  /** Least time after which a run can be stuck, in ms. Default 5000. */
  readonly stuckAfterMs?: number;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #indexes = new Map<string, number>();
  readonly #methods: readonly MethodState[];
  readonly #planner: BatchPlanner<Piece>;
  readonly #lanes: LaneLoad;
  readonly #running: RunningBatches;
  #apart: ApartGroup[] = [];
  #stepIsDue = false;
  #timer: NodeJS.Timeout | undefined;
  #load: LinkLoad | undefined;
  readonly #isFree = (method: number): boolean => this.#lanes.freeFor(this.#method(method).manifest) !== undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const { runner, lanes, metrics } = options;
    this.#methods = runner.methods.map((manifest, index) => {
      this.#indexes.set(manifest.name, index);
      return { manifest, metrics: createMethodMetrics(metrics, runner.name, manifest.name) };
    });
    this.#lanes = new LaneLoad(lanes);
    this.#planner = new BatchPlanner(runner.methods, lanes.length, splitPiece);
    this.#running = new RunningBatches({
      historyOf: (method) => this.#planner.historyOf(method),
      stuckAfterMs: options.stuckAfterMs,
      onStuck: ({ run }, why) => {
        const { name } = this.#method(run.method).manifest;
        options.onStuck?.(`a run of "${name}" on ${run.rows} rows is stuck: ${why}`);
      },
    });
  }

  /** What a caller needs to choose the least loaded worker; the same object until something changes. */
  get load(): LinkLoad {
    this.#load ??= {
      queuedRows: this.#planner.queuedRows,
      inFlightRows: this.#planner.runningRows,
      ...this.#planner.load(performance.now()),
    };
    return this.#load;
  }

  submit(served: ServedCall): void {
    const index = this.#indexes.get(served.method);
    if (index === undefined) {
      const known = [...this.#indexes.keys()].join(', ');
      served.fail(new JubakoError('NOT_FOUND', `Cannot find the method "${served.method}": the methods are ${known}`));
      return;
    }
    try {
      this.#enqueue(served, index);
    } catch (thrown) {
      const error = JubakoError.from(thrown);
      this.#method(index).metrics.count(error.code);
      served.fail(error);
    }
  }

  /** Stops its timers: a scheduler that is let go leaves none behind. */
  close(): void {
    clearTimeout(this.#timer);
    this.#running.close();
  }

  #enqueue(served: ServedCall, index: number): void {
    const nowMs = performance.now();
    const { manifest, metrics } = this.#method(index);
    const input = readCallInput(manifest, served.body);
    const rows = manifest.batch === null ? 1 : input.rows;
    const refusal = this.#planner.admit(index, rows, served.deadlineAtMs, nowMs, served.priority, input.batchKey);
    if (refusal !== undefined) throw this.#refuse(refusal, index, rows);
    const call = new PendingCall(served, index, input, rows);
    const piece = call.whole(served.priority, nowMs);
    served.onCancel = (): void => {
      this.#abandon(call, 'CLIENT_GONE');
    };
    this.#load = undefined;
    if (served.isReplay) this.#apart.push({ method: index, pieces: [piece] });
    else {
      call.waiting = piece;
      this.#planner.push(index, piece, nowMs);
      metrics.queued(this.#planner.queuedRowsOf(index));
    }
    this.#stepSoon();
  }

  #stepSoon(): void {
    if (this.#stepIsDue || !this.#lanes.hasRoom) return;
    this.#stepIsDue = true;
    setImmediate(() => {
      this.#stepIsDue = false;
      this.#step();
    });
  }

  #step(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#load = undefined;
    this.#runApart();
    while (this.#lanes.hasRoom) {
      const nowMs = performance.now();
      const plan = this.#planner.next(this.#isFree, nowMs);
      if (plan.kind === 'idle') return;
      if (plan.kind === 'wait') {
        this.#timer = setTimeout(
          () => {
            this.#step();
          },
          Math.max(1, Math.ceil(plan.untilMs - nowMs)),
        );
        return;
      }
      const { method, entries, reason, late } = plan;
      for (const { entry, cause } of late) this.#fail(entry.call, tooLateError(cause, this.#method(method).manifest));
      this.#method(method).metrics.queued(this.#planner.queuedRowsOf(method));
      if (entries.length > 0) this.#run(method, entries, plan.rows, reason, plan.oldestWaitMs);
    }
  }

  /** Groups that run apart go first: they have waited for a run that failed already. */
  #runApart(): void {
    while (this.#apart.length > 0) {
      const at = this.#apart.findIndex(({ method }) => this.#isFree(method));
      const [group] = at === -1 ? [] : this.#apart.splice(at, 1);
      if (group === undefined) return;
      const pieces = group.pieces.filter(({ call }) => !call.isSettled);
      const [oldest] = pieces;
      if (oldest === undefined) continue;
      for (const { call } of pieces) call.served.begin();
      const nowMs = performance.now();
      const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0);
      this.#run(group.method, pieces, rows, 'alone', nowMs - oldest.queuedAtMs);
    }
  }

  #run(index: number, pieces: readonly Piece[], rows: number, reason: BatchReason, oldestWaitMs: number): void {
    const { manifest, metrics } = this.#method(index);
    const lane = this.#lanes.freeFor(manifest);
    if (lane === undefined) throw new TypeError('A batch was planned without a free lane');
    const startedAtMs = performance.now();
    const payload = this.#join(index, pieces);
    if (payload === undefined) return;
    const job = {
      method: manifest.name,
      rows,
      payload,
      requestIds: pieces.map(({ call }) => call.served.requestId),
      deadlineAtMs: lastDeadlineOf(pieces),
    };
    const sentAtMs = performance.now();
    for (const piece of pieces) piece.call.left(piece, startedAtMs - piece.queuedAtMs, sentAtMs - startedAtMs, rows);
    const run = this.#planner.started(index, pieces[0]?.batchKey ?? '', rows, startedAtMs);
    const release = this.#lanes.take(lane, manifest.concurrency);
    metrics.left(reason, rows, oldestWaitMs);
    const [first] = pieces;
    if (manifest.output.kind === 'stream' && first !== undefined) {
      const { done, abort } = serveStream(lane, job, first.call.served);
      const batch: RunningBatch = { run, pieces, isStream: true, abort, abandonedAtMs: undefined };
      this.#follow(batch, done, release, ({ computeMs }) => {
        this.#finishStream(batch, first.call, computeMs);
      });
      return;
    }
    const running = lane.run(job);
    const abort = (): void => {
      running.abort();
    };
    const batch: RunningBatch = { run, pieces, isStream: false, abort, abandonedAtMs: undefined };
    this.#follow(batch, running.done, release, (done) => {
      this.#finish(batch, done);
    });
  }

  /** From the start of a run to its end, which gives its place in the lane back first. */
  #follow<Done>(batch: RunningBatch, done: Promise<Done>, release: () => void, finish: (value: Done) => void): void {
    this.#running.add(batch);
    done.then(
      (value) => {
        release();
        finish(value);
      },
      (thrown: unknown) => {
        release();
        this.#finishFailed(batch, thrown);
      },
    );
  }

  /** Undefined: there is no memory for so many rows at once, and the calls have been looked after. */
  #join(index: number, pieces: readonly Piece[]): LaneJob['payload'] | undefined {
    try {
      return joinBatch(pieces, this.#method(index).manifest.batch !== null);
    } catch (thrown) {
      this.#afterFailure(index, pieces, pieces, JubakoError.from(thrown), undefined);
      return undefined;
    }
  }

  #ended(batch: RunningBatch, wasTypical: boolean): void {
    this.#running.delete(batch);
    this.#planner.finished(batch.run, wasTypical && batch.abandonedAtMs === undefined, performance.now());
  }

  #finish(batch: RunningBatch, { result, computeMs }: LaneDone): void {
    const { manifest, metrics } = this.#method(batch.run.method);
    this.#ended(batch, true);
    metrics.ran(computeMs);
    this.#step(); // the lane first: the model works while the answers are written
    const isBatched = manifest.batch !== null;
    let from = 0;
    for (const piece of batch.pieces) {
      const { call } = piece;
      call.computeMs += computeMs;
      if (!call.isSettled) {
        try {
          const value = call.add(piece, sliceResult(result, from, piece.rows, isBatched));
          if (value !== undefined) {
            metrics.answered(call.queueMs);
            call.respond(value);
          }
        } catch (thrown) {
          this.#fail(call, JubakoError.from(thrown));
        }
      }
      from += piece.rows;
    }
  }

  #finishStream(batch: RunningBatch, call: PendingCall, computeMs: number): void {
    this.#ended(batch, false); // it took as long as its caller liked
    this.#step();
    call.computeMs += computeMs;
    if (call.isSettled) return;
    call.isSettled = true;
    this.#method(call.method).metrics.answered(call.queueMs);
    call.served.end(call);
  }

  #finishFailed(batch: RunningBatch, thrown: unknown): void {
    this.#ended(batch, false);
    const { method } = batch.run;
    const { error, computeMs, userStack } =
      thrown instanceof LaneError ? thrown : new LaneError(JubakoError.from(thrown), 0, undefined);
    for (const { call } of batch.pieces) call.computeMs += computeMs;
    this.#afterFailure(
      method,
      batch.pieces,
      batch.pieces.filter(({ call }) => !call.isSettled),
      error,
      userStack,
    );
    this.#step();
  }

  /** @param open - those of `pieces` that somebody still waits for. */
  #afterFailure(
    method: number,
    pieces: readonly Piece[],
    open: readonly Piece[],
    error: JubakoError,
    userStack: string | undefined,
  ): void {
    if (pieces.length > 1 && error.code !== 'RUNNER_LOST') {
      const half = Math.ceil(open.length / 2);
      this.#apart.push({ method, pieces: open.slice(0, half) }, { method, pieces: open.slice(half) }); // S3
      this.#options.logger.warn(
        { event: 'batch.failed', method: this.#method(method).manifest.name, calls: open.length, err: error.message },
        'batch failed, its calls run again in two halves',
      );
      return;
    }
    for (const { call } of open) {
      if (error.kind.internal === true) this.#logFailure(call, error, userStack);
      this.#fail(call, error);
    }
  }

  #logFailure(call: PendingCall, error: JubakoError, stack: string | undefined): void {
    const { manifest } = this.#method(call.method);
    const { requestId } = call.served;
    const facts = { event: 'call.failed', method: manifest.name, requestId, code: error.code, stack };
    this.#options.logger.error(facts, error.message);
  }

  #fail(call: PendingCall, error: JubakoError): void {
    if (call.isSettled) return;
    this.#abandon(call, error.code);
    call.fail(error);
  }

  /** The call needs no more work (S4). */
  #abandon(call: PendingCall, outcome: JubakoError['code']): void {
    if (call.isSettled) return;
    call.isSettled = true;
    const { metrics } = this.#method(call.method);
    metrics.count(outcome);
    if (call.waiting !== undefined) this.#planner.remove(call.method, call.waiting);
    metrics.queued(this.#planner.queuedRowsOf(call.method));
    this.#load = undefined;
    this.#running.abortAbandoned();
  }

  #refuse(refusal: Refusal, index: number, rows: number): JubakoError {
    return refusalError(refusal, this.#method(index).manifest, rows, this.#planner.queuedRowsOf(index));
  }

  #method(index: number): MethodState {
    const method = this.#methods[index];
    if (method === undefined) throw new TypeError(`There is no method ${index}`);
    return method;
  }
}

/** When nobody waits any more; undefined: somebody waits without limit. */
function lastDeadlineOf(pieces: readonly Piece[]): number | undefined {
  let lastAtMs = 0;
  for (const { deadlineAtMs } of pieces) {
    if (deadlineAtMs === undefined) return undefined;
    if (deadlineAtMs > lastAtMs) lastAtMs = deadlineAtMs;
  }
  return lastAtMs;
}
