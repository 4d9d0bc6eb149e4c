import { JubakoError } from '../errors.js';
import type { IncomingCall } from '../link/link-server.js';
import type { MethodManifest, RunnerManifest } from '../service/manifest.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { encodeSlices, joinBatch, sliceResult, type ResultSlice, type Slice } from './assemble-batch.js';
import { decideBatch } from './batch-decision.js';
import { BatchQueue, type QueueEntry } from './batch-queue.js';
import { readCallInput } from './call-input.js';
import { LaneError, type Lane, type LaneDone, type RunningJob } from './lane.js';
import { createMethodMetrics, type MethodMetrics } from './method-metrics.js';

// The shell around `decideBatch`: it owns the queues, the clock and the lane.
// S1 Every call that `submit` takes is answered once: by its rows, by a failure, or not at all if its caller has gone.
// S2 One batch runs at a time. When the lane falls idle, what is queued leaves in the same turn; when a call finds the
//    lane idle, the batch leaves at the end of the turn, so that calls which arrived together go together.
// S3 When a batch of several calls fails, each runs once more alone: one bad input fails alone.

/** A call on its way through the queue; a call with more rows than one batch takes is several pieces. */
interface PendingCall {
  readonly incoming: IncomingCall;
  readonly method: MethodState;
  readonly pieces: Piece[];
  readonly results: (ResultSlice | undefined)[];
  readonly receivedAtMs: number;
  missing: number;
  queueMs: number;
  batchMs: number;
  computeMs: number;
  batchRows: number;
  settled: boolean;
}

interface Piece extends QueueEntry, Slice {
  readonly call: PendingCall;
  readonly index: number;
}

interface MethodState {
  readonly manifest: MethodManifest;
  readonly queue: BatchQueue<Piece>;
  readonly metrics: MethodMetrics;
}

interface RunningBatch {
  readonly job: RunningJob;
  readonly pieces: readonly Piece[];
  readonly rows: number;
}

export interface SchedulerOptions {
  readonly runner: RunnerManifest;
  readonly lane: Pick<Lane, 'run'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export class Scheduler {
  readonly #lane: Pick<Lane, 'run'>;
  readonly #logger: Logger;
  readonly #methods = new Map<string, MethodState>();
  readonly #states: readonly MethodState[];
  readonly #views: readonly BatchQueue<Piece>[];
  #running: RunningBatch | undefined;
  #alone: Piece[] = [];
  #stepIsDue = false;

  constructor(options: SchedulerOptions) {
    this.#lane = options.lane;
    this.#logger = options.logger;
    for (const manifest of options.runner.methods) {
      const { maxSize, maxQueueSize } = manifest.batch ?? { maxSize: 1, maxQueueSize: UNBATCHED_QUEUE };
      this.#methods.set(manifest.name, {
        manifest,
        queue: new BatchQueue(maxSize, maxQueueSize),
        metrics: createMethodMetrics(options.metrics, options.runner.name, manifest.name),
      });
    }
    this.#states = [...this.#methods.values()];
    this.#views = this.#states.map(({ queue }) => queue);
  }

  /** Rows that wait, and rows that the model works on: what a caller needs to choose the least loaded worker. */
  get load(): { readonly queuedRows: number; readonly inFlightRows: number } {
    let queuedRows = 0;
    for (const queue of this.#views) queuedRows += queue.rows;
    return { queuedRows, inFlightRows: this.#running?.rows ?? 0 };
  }

  submit(incoming: IncomingCall): void {
    const method = this.#methods.get(incoming.method);
    if (method === undefined) {
      const known = [...this.#methods.keys()].join(', ');
      incoming.fail(
        new JubakoError('NOT_FOUND', `Cannot find the method "${incoming.method}": the methods are ${known}`),
      );
      return;
    }
    try {
      this.#enqueue(incoming, method);
    } catch (thrown) {
      const error = JubakoError.from(thrown);
      method.metrics.count(error.code);
      incoming.fail(error);
    }
  }

  #enqueue(incoming: IncomingCall, method: MethodState): void {
    const nowMs = performance.now();
    const input = readCallInput(method.manifest, incoming.body);
    if (!method.queue.hasRoomFor(input.rows)) {
      throw new JubakoError(
        'QUEUE_FULL',
        `Cannot queue ${input.rows} rows for "${incoming.method}": ${method.queue.rows} rows wait already`,
      );
    }
    const call: PendingCall = {
      incoming,
      method,
      pieces: [],
      results: [],
      receivedAtMs: nowMs,
      missing: 0,
      queueMs: 0,
      batchMs: 0,
      computeMs: 0,
      batchRows: 0,
      settled: false,
    };
    const { maxSize } = method.queue;
    let from = 0;
    do {
      const rows = method.manifest.batch === null ? 1 : Math.min(maxSize, input.rows - from);
      const piece: Piece = {
        call,
        input,
        from,
        rows,
        index: call.missing,
        batchKey: input.batchKey,
        queuedAtMs: nowMs,
        deadlineAtMs: incoming.deadlineAtMs,
        left: false,
      };
      call.pieces.push(piece);
      call.missing += 1;
      method.queue.push(piece);
      from += rows;
    } while (from < input.rows);
    incoming.onCancel = () => {
      this.#abandon(call, 'CLIENT_GONE');
    };
    method.metrics.queued(method.queue.rows);
    this.#stepSoon();
  }

  #stepSoon(): void {
    if (this.#stepIsDue || this.#running !== undefined) return;
    this.#stepIsDue = true;
    setImmediate(() => {
      this.#stepIsDue = false;
      this.#step();
    });
  }

  #step(): void {
    while (this.#running === undefined) {
      const again = this.#alone.shift();
      if (again !== undefined) {
        if (!again.call.settled) this.#run(again.call.method, [again], again.rows);
        continue;
      }
      const decision = decideBatch(this.#views, true);
      if (decision.kind === 'idle') return;
      const method = this.#states[decision.queueIndex] as MethodState;
      const { entries, rows, expired } = method.queue.take(decision.maxRows, performance.now());
      for (const piece of expired) {
        this.#fail(
          piece.call,
          new JubakoError('DEADLINE_EXCEEDED', 'Cannot run the call: its deadline passed in the queue'),
        );
      }
      method.metrics.queued(method.queue.rows);
      if (entries.length > 0) this.#run(method, entries, rows);
    }
  }

  #run(method: MethodState, pieces: readonly Piece[], rows: number): void {
    const startMs = performance.now();
    const batched = method.manifest.batch !== null;
    const job = this.#lane.run({
      method: method.manifest.name,
      rows,
      payload: joinBatch(pieces, batched),
      requestIds: pieces.map(({ call }) => call.incoming.requestId),
      deadlineAtMs: undefined,
    });
    const sentMs = performance.now();
    for (const { call, queuedAtMs } of pieces) {
      call.queueMs = Math.max(call.queueMs, startMs - queuedAtMs);
      call.batchMs += sentMs - startMs;
      call.batchRows = Math.max(call.batchRows, rows);
    }
    this.#running = { job, pieces, rows };
    job.done.then(
      (done) => {
        this.#finish(method, pieces, rows, done);
      },
      (thrown: unknown) => {
        this.#finishFailed(method, pieces, thrown);
      },
    );
  }

  #finish(method: MethodState, pieces: readonly Piece[], rows: number, { result, computeMs }: LaneDone): void {
    this.#running = undefined;
    method.metrics.ran(rows, computeMs);
    this.#step(); // the lane first: the model works while the answers are written
    const batched = method.manifest.batch !== null;
    let from = 0;
    for (const piece of pieces) {
      const { call } = piece;
      call.computeMs += computeMs;
      if (!call.settled) this.#deliver(call, piece, sliceResult(result, from, piece.rows, batched));
      from += piece.rows;
    }
  }

  #deliver(call: PendingCall, piece: Piece, slice: ResultSlice): void {
    call.results[piece.index] = slice;
    call.missing -= 1;
    if (call.missing > 0) return;
    try {
      const value = encodeSlices(call.results as readonly ResultSlice[]);
      call.settled = true;
      call.method.metrics.answered(call.queueMs);
      call.incoming.respond(value, call);
    } catch (thrown) {
      this.#fail(call, JubakoError.from(thrown));
    }
  }

  #finishFailed(method: MethodState, pieces: readonly Piece[], thrown: unknown): void {
    this.#running = undefined;
    const { error, computeMs, userStack } =
      thrown instanceof LaneError ? thrown : new LaneError(JubakoError.from(thrown), 0, undefined);
    const isLoss = error.code === 'RUNNER_LOST';
    for (const piece of pieces) piece.call.computeMs += computeMs;
    if (pieces.length > 1 && !isLoss) {
      this.#alone.push(...pieces); // S3
      this.#logger.warn(
        { event: 'batch.failed', method: method.manifest.name, calls: pieces.length, err: error.message },
        'batch failed, its calls run apart',
      );
    } else {
      for (const { call } of pieces) {
        if (call.settled) continue;
        if (error.kind.internal === true) {
          this.#logger.error(
            {
              event: 'call.failed',
              method: method.manifest.name,
              requestId: call.incoming.requestId,
              code: error.code,
              stack: userStack,
            },
            error.message,
          );
        }
        this.#fail(call, error);
      }
    }
    this.#step();
  }

  #fail(call: PendingCall, error: JubakoError): void {
    if (call.settled) return;
    this.#abandon(call, error.code);
    call.incoming.fail(error);
  }

  /** The call needs no more work: its rows leave the queue, and a batch that only abandoned calls wait for is aborted. */
  #abandon(call: PendingCall, outcome: JubakoError['code']): void {
    if (call.settled) return;
    call.settled = true;
    call.method.metrics.count(outcome);
    for (const piece of call.pieces) call.method.queue.remove(piece);
    call.method.metrics.queued(call.method.queue.rows);
    const running = this.#running;
    if (running?.pieces.every((piece) => piece.call.settled) === true) running.job.abort();
  }
}

/** Calls of an unbatched method that may wait. */
const UNBATCHED_QUEUE = 1024;
