import { chooseWorker, type WorkerView } from '#dist/link/choose-worker.js';
import { ReportedLoad } from '#dist/link/reported-load.js';
import { TELL_MS, ToldLoad } from '#dist/link/told-load.js';
import type { LinkLoad } from '#dist/link/frame-meta.js';
import { seededUint32 } from '../../support/seeded-random.js';

// Callers and runner workers on a virtual clock: the real `chooseWorker`, `ReportedLoad` and `ToldLoad`, workers that batch
// as the scheduler does (one batch at a time, the next one leaves when the model is free), arrivals by chance from a seed.

export type Rule = 'predicted' | 'roundRobin' | 'leastOutstanding';

export interface Cost {
  readonly baseMs: number;
  readonly rowMs: number;
  readonly maxRows: number;
}

export interface Setup {
  readonly rule: Rule;
  /** How many times as long a run takes, per worker; at a moment of the simulation. */
  readonly slowness: readonly ((nowMs: number) => number)[];
  readonly cost: Cost;
  readonly callers: number;
  readonly callsPerSecond: number;
  readonly calls: number;
  readonly seed: number;
}

export interface Outcome {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Part of all calls that each worker got. */
  readonly shares: readonly number[];
  /** Sent and answered, for each call in the order of its end. */
  readonly spans: readonly (readonly [sentAtMs: number, worker: number, latencyMs: number])[];
}

/** One way, with the reading and writing of both sides. */
const HOP_MS = 0.1;
/** A run takes up to so much more or less than the cost says. */
const NOISE = 0.1;

interface Call {
  readonly caller: number;
  readonly id: number;
  readonly atMs: number;
}

class View implements WorkerView {
  readonly load = new ReportedLoad();
  inFlight = 0;
  lastId = 0;
  busyAtMs = 0;
  get sentSince(): number {
    return this.lastId - this.load.seenId;
  }
  takes(): boolean {
    return true;
  }
}

interface Worker {
  readonly queue: Call[];
  readonly seenIds: number[];
  readonly told: readonly ToldLoad[];
  endsAtMs: number;
  running: readonly Call[];
  runMs: number;
  /** What it knows of its slowness: that of its last run. */
  believed: number;
}

export function simulate(setup: Setup): Outcome {
  const { cost, callers, slowness } = setup;
  const random = seeded(setup.seed);
  const clock = new Clock();
  const views = Array.from({ length: callers }, () => slowness.map(() => new View()));
  const workers = slowness.map((_, index): Worker => ({
    queue: [],
    seenIds: new Array<number>(callers).fill(0),
    told: Array.from({ length: callers }, () => new ToldLoad()),
    endsAtMs: 0,
    running: [],
    runMs: 0,
    believed: slowness[index]?.(0) ?? 1,
  }));
  const spans: [number, number, number][] = [];
  const turns = new Array<number>(callers).fill(0);

  const costMs = (rows: number): number => cost.baseMs + cost.rowMs * rows;

  const loadOf = (index: number): LinkLoad => {
    const { queue, running, endsAtMs, believed } = workers[index] as Worker;
    let waitMs = running.length > 0 ? Math.max(0, endsAtMs - clock.nowMs) : 0;
    for (let rows = queue.length + 1; rows > 0; rows -= cost.maxRows)
      waitMs += believed * costMs(Math.min(rows, cost.maxRows));
    return { queuedRows: queue.length, inFlightRows: running.length, waitMs, isFull: false };
  };

  const tell = (index: number, caller: number, load: LinkLoad): void => {
    const worker = workers[index] as Worker;
    (worker.told[caller] as ToldLoad).tell(load);
    const seenId = worker.seenIds[caller] as number;
    clock.in(HOP_MS, () => views[caller]?.[index]?.load.saw({ ...load, seenId }, clock.nowMs));
  };

  const step = (index: number): void => {
    const worker = workers[index] as Worker;
    if (worker.running.length > 0 || worker.queue.length === 0) return;
    worker.running = worker.queue.splice(0, cost.maxRows);
    const slow = slowness[index]?.(clock.nowMs) ?? 1;
    worker.runMs = slow * costMs(worker.running.length) * (1 + NOISE * (2 * random() - 1));
    worker.endsAtMs = clock.nowMs + worker.runMs;
    clock.in(worker.runMs, () => {
      finish(index);
    });
  };

  const finish = (index: number): void => {
    const worker = workers[index] as Worker;
    const calls = worker.running;
    const timing = { queueMs: 0, batchMs: 0, computeMs: worker.runMs, batchRows: calls.length };
    worker.running = [];
    worker.believed = worker.runMs / costMs(calls.length);
    step(index);
    const load = loadOf(index);
    for (const call of calls) {
      tell(index, call.caller, load);
      clock.in(HOP_MS, () => {
        const view = views[call.caller]?.[index] as View;
        view.load.ran(timing);
        view.inFlight -= 1;
        spans.push([call.atMs, index, clock.nowMs - call.atMs]);
      });
    }
  };

  const choose = (mine: readonly View[], caller: number): number => {
    const turn = (turns[caller] ?? 0) + 1;
    turns[caller] = turn;
    if (setup.rule === 'roundRobin') return turn % mine.length;
    if (setup.rule === 'predicted') return chooseWorker(mine, 1, turn, clock.nowMs);
    const least = Math.min(...mine.map(({ inFlight }) => inFlight));
    for (let i = 0; ; i += 1) if (mine[(turn + i) % mine.length]?.inFlight === least) return (turn + i) % mine.length;
  };

  const arrive = (left: number): void => {
    const caller = Math.floor(random() * callers);
    const mine = views[caller] as readonly View[];
    const index = choose(mine, caller);
    const view = mine[index] as View;
    const worker = workers[index] as Worker;
    if (view.inFlight === 0) view.busyAtMs = clock.nowMs;
    view.inFlight += 1;
    view.lastId += 1;
    const call = { caller, id: view.lastId, atMs: clock.nowMs };
    clock.in(HOP_MS, () => {
      worker.seenIds[caller] = call.id;
      worker.queue.push(call);
      step(index);
    });
    if (left > 1)
      clock.in((-Math.log(1 - random()) * 1000) / setup.callsPerSecond, () => {
        arrive(left - 1);
      });
  };

  const push = (): void => {
    workers.forEach((worker, index) => {
      const load = loadOf(index);
      worker.told.forEach((told, caller) => {
        if (told.isDue(load)) tell(index, caller, load);
      });
    });
    if (spans.length < setup.calls) clock.in(TELL_MS, push);
  };

  arrive(setup.calls);
  clock.in(TELL_MS, push);
  clock.run();
  return summarize(spans, slowness.length);
}

function summarize(spans: readonly [number, number, number][], workers: number): Outcome {
  const warm = spans.slice(Math.floor(spans.length / 10));
  const latencies = warm.map(([, , latencyMs]) => latencyMs).sort((a, b) => a - b);
  const at = (part: number): number => latencies[Math.floor(latencies.length * part)] ?? NaN;
  const shares = Array.from(
    { length: workers },
    (_, index) => warm.filter(([, worker]) => worker === index).length / warm.length,
  );
  return { p50Ms: at(0.5), p99Ms: at(0.99), shares, spans };
}

/** Runs what is due in the order of time; what is due at one time, in the order in which it was asked for. */
class Clock {
  nowMs = 0;
  readonly #heap: { readonly atMs: number; readonly turn: number; readonly run: () => void }[] = [];
  #turn = 0;

  in(delayMs: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ atMs: this.nowMs + delayMs, turn: (this.#turn += 1), run });
    for (let at = heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  run(): void {
    const heap = this.#heap;
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      this.nowMs = first.atMs;
      this.#swap(0, heap.length - 1);
      heap.pop();
      for (let at = 0; ;) {
        const left = at * 2 + 1;
        const child = left + 1 < heap.length && this.#isBefore(left + 1, left) ? left + 1 : left;
        if (child >= heap.length || !this.#isBefore(child, at)) break;
        this.#swap(child, at);
        at = child;
      }
      first.run();
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (first === undefined || second === undefined) return false;
    return first.atMs < second.atMs || (first.atMs === second.atMs && first.turn < second.turn);
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    const [first, second] = [heap[a], heap[b]];
    if (first === undefined || second === undefined) return;
    heap[a] = second;
    heap[b] = first;
  }
}

/** Numbers from 0 to 1, the same for a seed. */
function seeded(seed: number): () => number {
  const next = seededUint32(seed);
  return () => next() / 2 ** 32;
}
