import { boundOf, type Bound } from './optimum.js';
import { CorkPolicy } from './cork-policy.js';
import { PlannerPolicy } from './planner-policy.js';
import type { Policy, SimulatedCall } from './policy.js';
import { arrivalsOf, simulate, type SimulatedRun, type Simulation } from './simulate.js';
import { FixedWait, NoBatching } from './simple-policies.js';
import type { Trace } from './trace.js';

/** What a policy made of a trace. */
export interface Score {
  readonly policy: string;
  /** Rows answered within the latency that counts, per second; in loops rows per second at all. */
  readonly rowsPerSecond: number;
  /** Rows of the mean run. */
  readonly batchRows: number;
  /** Of the calls that were answered, in ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Calls refused at once, and calls given up after a wait, of all calls. */
  readonly refusedShare: number;
  readonly lateShare: number;
}

export interface Comparison {
  readonly trace: Trace;
  readonly seed: number;
  readonly bound: Bound;
  readonly ours: Score;
  readonly others: readonly Score[];
}

export function othersFor(trace: Trace): readonly Policy[] {
  return [
    new CorkPolicy(trace, '1.1'),
    new CorkPolicy(trace, 'newer'),
    new FixedWait(trace, 2),
    new FixedWait(trace, 5),
    new FixedWait(trace, 10),
    new NoBatching(trace),
  ];
}

export function compare(trace: Trace, seed: number): Comparison {
  return {
    trace,
    seed,
    bound: boundOf(trace, arrivalsOf(trace, seed)),
    ours: scoreOf(trace, seed, new PlannerPolicy(trace)),
    others: othersFor(trace).map((policy) => scoreOf(trace, seed, policy)),
  };
}

export function scoreOf(trace: Trace, seed: number, policy: Policy): Score {
  return score(trace, policy.name, simulate(trace, seed, policy));
}

export function score(trace: Trace, policy: string, { calls, runs }: Simulation): Score {
  const { loops, countFromMs = 0, durationMs, latencyMs } = trace;
  const all = calls.filter((call) => (loops === undefined ? call.arrivedAtMs : call.endedAtMs) >= countFromMs);
  const answered = all.filter(({ outcome }) => outcome === 'answered');
  const latenciesMs = answered.map(({ endedAtMs, arrivedAtMs }) => endedAtMs - arrivedAtMs).sort((a, b) => a - b);
  const inTime = answered.filter(({ endedAtMs, arrivedAtMs }) => endedAtMs - arrivedAtMs <= latencyMs);
  // Of the runs at both ends of the window of a loop a part is in it.
  const shares = runs.map(({ rows, startMs, endMs }) => {
    const withinMs = Math.min(endMs, durationMs) - Math.max(startMs, countFromMs);
    return (rows * Math.max(0, withinMs)) / (endMs - startMs);
  });
  const rows = loops === undefined ? sumOf(inTime) : shares.reduce((sum, share) => sum + share, 0);
  return {
    policy,
    rowsPerSecond: (rows * 1000) / (durationMs - countFromMs),
    batchRows: sumOf(runs) / Math.max(1, runs.length),
    p50Ms: latenciesMs[Math.floor(latenciesMs.length * 0.5)] ?? Infinity,
    p99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? Infinity,
    refusedShare: all.filter(({ outcome }) => outcome === 'refused').length / Math.max(1, all.length),
    lateShare: all.filter(({ outcome }) => outcome === 'late').length / Math.max(1, all.length),
  };
}

function sumOf(items: readonly Pick<SimulatedCall | SimulatedRun, 'rows'>[]): number {
  return items.reduce((sum, { rows }) => sum + rows, 0);
}
