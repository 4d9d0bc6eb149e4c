import type { Priority } from '#dist/batching/batch-queue.js';
import type { Cost } from './costs.js';
import type { Random } from './random.js';

// What a simulation is given: models, and calls over time. Data and pure functions; the same name and seed are the same trace.

export interface ModelSpec {
  readonly cost: Cost;
  readonly maxSize: number;
  readonly maxQueueSize: number;
  /** What the runner is told; null: it knows no target. */
  readonly maxLatencyMs: number | null;
}

/** A call of an open loop: it comes whatever became of those before it. */
export interface Arrival {
  readonly atMs: number;
  readonly rows: number;
  /** Index of the method; default 0. */
  readonly method?: number;
  readonly batchKey?: string;
  readonly priority?: Priority;
  readonly deadlineAtMs?: number;
  /** The caller goes at this time if it has no answer. */
  readonly leavesAtMs?: number;
}

/** Callers that send the next call, of one row, some time after the answer to the last. */
export interface Loop {
  readonly callers: number;
  readonly returnMs: (random: Random) => number;
  readonly fromMs?: number;
  /** Callers send nothing from this time on. */
  readonly untilMs?: number;
}

/** Runs take `factor` times as long when they begin at `fromMs` or later. */
export interface SpeedChange {
  readonly fromMs: number;
  readonly factor: number;
}

/** The model stands still: collections of garbage, a neighbour, a thermal limit. */
export interface Stall {
  readonly atMs: number;
  readonly ms: number;
}

export interface Trace {
  readonly name: string;
  /** One line for the page. */
  readonly about: string;
  readonly models: readonly ModelSpec[];
  readonly lanes: number;
  /** An answer later than this counts as none. */
  readonly latencyMs: number;
  readonly durationMs: number;
  /** Calls before this are not counted (of loops: answers): what is learned from them has traces of its own. */
  readonly countFromMs?: number;
  readonly arrivals?: (random: Random) => readonly Arrival[];
  readonly loops?: readonly Loop[];
  readonly speed?: readonly SpeedChange[];
  readonly stalls?: readonly Stall[];
  /** Chance in the time of single runs: sigma of the logarithm; the mean stays what it was. */
  readonly noise?: number;
}

/** Factor of `speed` at a time. */
export function speedAt(speed: readonly SpeedChange[] | undefined, nowMs: number): number {
  let factor = 1;
  for (const change of speed ?? []) {
    if (change.fromMs > nowMs) break;
    factor = change.factor;
  }
  return factor;
}

/** End of work that takes `workMs` and begins at `fromMs`. */
export function endAfterStalls(stalls: readonly Stall[] | undefined, fromMs: number, workMs: number): number {
  let endMs = fromMs + workMs;
  for (const { atMs, ms } of stalls ?? []) {
    if (atMs + ms <= fromMs) continue;
    if (atMs >= endMs) break;
    endMs += atMs + ms - Math.max(atMs, fromMs);
  }
  return endMs;
}
