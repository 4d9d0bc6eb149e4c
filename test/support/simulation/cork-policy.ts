import type { Policy, Run, SimulatedCall, Step } from './policy.js';
import type { Trace } from './trace.js';

// The rule of BentoML ("CORK"), version 1.1 and that of its newer branch, written anew from its description. It counts in
// seconds and in calls, not rows, as the original does; it asks its queue every millisecond, not when something happens.

const TICK_MS = 1;
const DECAY = 0.95;
const KEPT_SAMPLES = 50;
const SKIPPED_SAMPLES = 2;
const REFIT_EVERY_MS = 5000;
/** Calls of which a surplus may be cancelled · runs to train · calls per run. */
const TRAINING: readonly (readonly [required: number, runs: number, size: number])[] = [
  [2, 8, 1],
  [6, 1, 1],
  [5, 1, 2],
  [3, 1, 3],
];

/** Time of a run of n calls = a * n + b, all in ms. */
class CorkModel {
  a: number;
  b: number;
  /** Mean wait of the newest call of a run. */
  waitMs = 0;
  readonly #samples: { readonly n: number; readonly ms: number; readonly waitMs: number }[] = [];
  #runs = 0;
  #refitAtMs = -Infinity;

  constructor(maxLatencyMs: number) {
    this.a = Math.min(2000, (maxLatencyMs * 2) / 30);
    this.b = Math.min(1000, maxLatencyMs / 30);
  }

  observe(n: number, waitMs: number, ms: number, nowMs: number): void {
    this.#runs += 1;
    if (this.#runs <= SKIPPED_SAMPLES) return;
    this.#samples.push({ n, ms, waitMs });
    if (this.#samples.length > KEPT_SAMPLES) this.#samples.shift();
    if (nowMs - this.#refitAtMs < REFIT_EVERY_MS) return;
    this.#refitAtMs = nowMs;
    this.refit();
  }

  /** Least squares on (n, 1); where all n are the same, the solution of least norm. */
  refit(): void {
    const count = this.#samples.length;
    if (count === 0) return;
    const mean = (of: (sample: { n: number; ms: number; waitMs: number }) => number): number =>
      this.#samples.reduce((sum, sample) => sum + of(sample), 0) / count;
    const meanN = mean(({ n }) => n);
    const meanMs = mean(({ ms }) => ms);
    const spread = mean(({ n }) => (n - meanN) * (n - meanN));
    if (spread < 1e-9) {
      this.a = (meanMs * meanN) / (meanN * meanN + 1);
      this.b = meanMs / (meanN * meanN + 1);
    } else {
      this.a = mean(({ n, ms }) => (n - meanN) * (ms - meanMs)) / spread;
      this.b = meanMs - this.a * meanN;
    }
    this.a = Math.max(1e-3, this.a);
    this.b = Math.max(0, this.b);
    this.waitMs = Math.max(
      0,
      mean(({ waitMs }) => waitMs),
    );
  }
}

interface Queued {
  readonly call: SimulatedCall;
  rows: number;
}

/** One dispatcher, of one method (and here of one shape: the original fails batches of mixed shapes). */
class Dispatcher {
  readonly model: CorkModel;
  readonly queue: Queued[] = [];
  readonly #isNewer: boolean;
  readonly #maxLatencyMs: number;
  readonly #maxSize: number;
  running = 0;
  #phase = 0;
  #trained = 0;
  /** It asks at this time and every tick after it. */
  #asksFromMs = 0;

  constructor(isNewer: boolean, maxLatencyMs: number, maxSize: number) {
    this.#isNewer = isNewer;
    this.#maxLatencyMs = maxLatencyMs;
    this.#maxSize = maxSize;
    this.model = new CorkModel(maxLatencyMs);
  }

  get #training(): (typeof TRAINING)[number] | undefined {
    return TRAINING[this.#phase];
  }

  get isTraining(): boolean {
    return this.#training !== undefined;
  }

  add(call: SimulatedCall, nowMs: number): void {
    if (this.queue.length === 0) this.#asksFromMs = Math.max(nowMs, this.#asksFromMs); // it slept, and wakes
    this.queue.push({ call, rows: call.rows });
  }

  /** The next time that it asks; Infinity: it sleeps. */
  asksAtMs(nowMs: number): number {
    if (this.queue.length === 0) return Infinity;
    return this.#asksFromMs + TICK_MS * Math.max(0, Math.ceil((nowMs - this.#asksFromMs) / TICK_MS - 1e-6));
  }

  /** Calls to run now; undefined: none before the next tick. @param isBusy - no run may begin. */
  ask(isBusy: boolean, cancelled: SimulatedCall[], nowMs: number): Queued[] | undefined {
    if (this.asksAtMs(nowMs) > nowMs + 1e-6) return undefined;
    for (;;) {
      const [oldest] = this.queue;
      const newest = this.queue.at(-1);
      if (oldest === undefined || newest === undefined) return undefined;
      const n = this.queue.length;
      const oldestMs = nowMs - oldest.call.arrivedAtMs;
      const { a, b } = this.model;
      const training = this.#training;
      const isHopeless =
        training !== undefined
          ? n > training[0] && oldestMs >= this.#maxLatencyMs
          : (n > 1 && oldestMs + a * n + b >= this.#maxLatencyMs) ||
            (isBusy && n === 1 && oldestMs >= this.#maxLatencyMs);
      if (isHopeless) {
        cancelled.push(oldest.call);
        this.queue.shift();
        continue;
      }
      const isCorked =
        training !== undefined
          ? this.#holdsForTraining(training[2], oldestMs)
          : n < this.#maxSize && n * (nowMs - newest.call.arrivedAtMs + TICK_MS + a) <= DECAY * this.model.waitMs;
      const batch = isBusy || isCorked ? [] : this.#select(training?.[2]);
      // After a run has begun it asks again at once, and sleeps from then on.
      this.#asksFromMs = batch.length === 0 ? nowMs + TICK_MS : nowMs;
      return batch.length === 0 ? undefined : batch;
    }
  }

  #holdsForTraining(size: number, oldestMs: number): boolean {
    if (size <= 1 || this.queue.length >= size) return false;
    const { a, b } = this.model;
    const limitMs = this.#isNewer
      ? (2 * size + 1) * a + b
      : Math.min(DECAY * this.#maxLatencyMs, (2 * size + 1) * (a + b));
    return size * a + b + oldestMs <= limitMs;
  }

  #select(trainingSize: number | undefined): Queued[] {
    if (trainingSize !== undefined) {
      const count = Math.min(this.queue.length, trainingSize, this.#maxSize);
      return this.#isNewer ? this.queue.splice(0, count) : this.queue.splice(-count, count).reverse();
    }
    if (this.#isNewer) return this.#selectOldest();
    let count = 0;
    let rows = 0;
    for (const queued of this.queue) {
      if (rows + queued.rows >= this.#maxSize) break;
      rows += queued.rows;
      count += 1;
    }
    // What was counted from the oldest is taken from the newest.
    return count === 0 ? [] : this.queue.splice(-count, count).reverse();
  }

  #selectOldest(): Queued[] {
    const batch: Queued[] = [];
    let room = this.#maxSize;
    for (let head = this.queue[0]; head !== undefined && room > 0; head = this.queue[0]) {
      const rows = Math.min(room, head.rows);
      batch.push({ call: head.call, rows });
      room -= rows;
      if (rows === head.rows) this.queue.shift();
      else head.rows -= rows;
    }
    return batch;
  }

  /** A run of the training has ended. */
  advance(): void {
    const training = this.#training;
    if (training === undefined) return;
    this.#trained += 1;
    if (this.#trained < training[1]) return;
    this.#trained = 0;
    if (this.#phase > 0) this.model.refit();
    this.#phase += 1;
  }
}

export class CorkPolicy implements Policy {
  readonly name: string;
  readonly #isNewer: boolean;
  readonly #trace: Trace;
  readonly #dispatchers = new Map<string, Dispatcher>();

  constructor(trace: Trace, version: '1.1' | 'newer') {
    this.name = `CORK ${version}`;
    this.#isNewer = version === 'newer';
    this.#trace = trace;
  }

  arrive(call: SimulatedCall, nowMs: number): boolean {
    const model = this.#trace.models[call.method];
    if (!this.#isNewer && call.rows > (model?.maxSize ?? 1)) return false;
    this.#dispatcherOf(call.method, call.batchKey).add(call, nowMs);
    return true;
  }

  leave(): void {
    // The original does not see that a caller has gone: the call runs all the same.
  }

  step(nowMs: number): Step {
    const late: SimulatedCall[] = [];
    let untilMs = Infinity;
    for (const [key, dispatcher] of this.#dispatchers) {
      // One run at a time in each process of the original, which would have one process for each lane.
      const isBusy = dispatcher.running >= this.#trace.lanes;
      const batch = dispatcher.ask(isBusy, late, nowMs);
      if (batch !== undefined) {
        const [method = '0', batchKey = ''] = key.split(':');
        const parts = batch.map(({ call, rows }) => ({ call, rows }));
        const rows = batch.reduce((sum, queued) => sum + queued.rows, 0);
        return { kind: 'run', method: Number(method), batchKey, parts, rows, reason: 'cork', late };
      }
      untilMs = Math.min(untilMs, dispatcher.asksAtMs(nowMs + 1e-3));
    }
    if (late.length > 0) return { kind: 'run', method: 0, batchKey: '', parts: [], rows: 0, reason: 'cancelled', late };
    return untilMs === Infinity ? { kind: 'idle' } : { kind: 'wait', untilMs, isExact: true };
  }

  started({ method, batchKey, parts }: Run, nowMs: number): { readonly startMs: number; readonly waitMs: number } {
    const dispatcher = this.#dispatcherOf(method, batchKey);
    dispatcher.running += 1;
    const newest = parts.at(-1)?.call.arrivedAtMs ?? nowMs;
    const waitMs = dispatcher.isTraining ? 0 : nowMs - newest;
    return { startMs: nowMs, waitMs };
  }

  finished(token: unknown, { method, batchKey, parts }: Run, nowMs: number): void {
    const { startMs, waitMs } = token as { readonly startMs: number; readonly waitMs: number };
    const dispatcher = this.#dispatcherOf(method, batchKey);
    dispatcher.running -= 1;
    dispatcher.model.observe(parts.length, waitMs, nowMs - startMs, nowMs);
    dispatcher.advance();
  }

  #dispatcherOf(method: number, batchKey: string): Dispatcher {
    const key = `${method}:${batchKey}`;
    let dispatcher = this.#dispatchers.get(key);
    if (dispatcher === undefined) {
      const { maxLatencyMs, maxSize } = this.#trace.models[method] ?? { maxLatencyMs: null, maxSize: 1 };
      dispatcher = new Dispatcher(this.#isNewer, maxLatencyMs ?? 60_000, maxSize);
      this.#dispatchers.set(key, dispatcher);
    }
    return dispatcher;
  }
}
