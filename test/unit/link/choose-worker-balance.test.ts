import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate, type Cost, type Outcome, type Setup } from './balance-simulation.js';

// The rule in use, among callers and workers on a virtual clock: equal workers, and one that is four times as slow.

const SEED = 7;
const EQUAL = [1, 1, 1, 1].map((slowness) => () => slowness);
const ONE_SLOW = [1, 1, 1, 4].map((slowness) => () => slowness);
/** A model on an accelerator: a run costs much, a row little. */
const ACCELERATOR: Cost = { baseMs: 10, rowMs: 0.1, maxRows: 64 };
/** A model on CPUs: rows cost as well. */
const CPU: Cost = { baseMs: 5, rowMs: 1, maxRows: 16 };

function callsPerSecond({ baseMs, rowMs, maxRows }: Cost, workers: number): number {
  return (workers * maxRows * 1000) / (baseMs + rowMs * maxRows);
}

type Given = Pick<Setup, 'cost' | 'callers' | 'callsPerSecond' | 'slowness'> & Partial<Setup>;

function run(given: Given): Outcome {
  return simulate({ rule: 'predicted', calls: 20_000, seed: SEED, ...given });
}

function ratio(slow: Outcome, equal: Outcome): number {
  return slow.p99Ms / equal.p99Ms;
}

for (const callers of [1, 4]) {
  for (const utilisation of [0.5, 0.6, 0.7]) {
    const of = `${utilisation * 100} % of what four equal workers can do, by ${callers} caller(s)`;
    const load = { cost: ACCELERATOR, callers, callsPerSecond: callsPerSecond(ACCELERATOR, 4) * utilisation };

    test(`One slow worker of four leaves p99 within 1.2x at ${of}, which other rules do not`, () => {
      const equal = run({ ...load, calls: 40_000, slowness: EQUAL });
      const slow = run({ ...load, calls: 40_000, slowness: ONE_SLOW });
      assert.ok(ratio(slow, equal) <= 1.2, `p99 is ${ratio(slow, equal).toFixed(2)}x`);
      // No more than it would cost not to have the slow worker at all.
      const without = run({ ...load, calls: 40_000, slowness: EQUAL.slice(1) });
      assert.ok(slow.p99Ms <= without.p99Ms * 1.05, `p99 is ${slow.p99Ms} ms, of three workers ${without.p99Ms} ms`);
      for (const rule of ['leastOutstanding', 'roundRobin'] as const) {
        const other = run({ ...load, calls: 10_000, rule, slowness: ONE_SLOW });
        assert.ok(ratio(other, equal) > 3, `by ${rule}, p99 is only ${ratio(other, equal).toFixed(2)}x`);
      }
    });
  }

  // Where rows cost, the slow worker is missed: the same part of what is there is compared.
  for (const utilisation of [0.5, 0.6, 0.7]) {
    test(`One slow worker of four leaves p99 within 1.2x at ${utilisation * 100} % of what there is, by ${callers} caller(s) of a model on CPUs`, () => {
      const load = { cost: CPU, callers };
      const rate = callsPerSecond(CPU, 1) * utilisation;
      const equal = run({ ...load, callsPerSecond: rate * 4, slowness: EQUAL });
      const slow = run({ ...load, callsPerSecond: rate * 3.25, slowness: ONE_SLOW });
      assert.ok(ratio(slow, equal) <= 1.2, `p99 is ${ratio(slow, equal).toFixed(2)}x`);
    });
  }
}

test('Equal workers get equal parts, and p99 is no worse than by turns', () => {
  for (const callers of [1, 4]) {
    const load = { cost: ACCELERATOR, callers, callsPerSecond: callsPerSecond(ACCELERATOR, 4) * 0.6, slowness: EQUAL };
    const { shares, p99Ms } = run(load);
    for (const share of shares) assert.ok(Math.abs(share - 0.25) < 0.03, `a worker got ${share} of the calls`);
    assert.ok(p99Ms <= run({ ...load, rule: 'roundRobin' }).p99Ms * 1.1);
  }
});

test('A worker that has recovered gets its part back within five seconds, of busy callers and of quiet ones', () => {
  const RECOVERS_AT_MS = 10_000;
  const slowness = [1, 1, 1, (nowMs: number) => (nowMs < RECOVERS_AT_MS ? 4 : 1)].map((given) =>
    typeof given === 'number' ? () => given : given,
  );
  for (const [callers, rate] of [
    [1, 500],
    [4, 500],
    [4, 5000],
  ] as const) {
    const { spans } = simulate({
      rule: 'predicted',
      cost: ACCELERATOR,
      callers,
      callsPerSecond: rate,
      calls: rate * 20,
      seed: SEED,
      slowness,
    });
    const part = (fromMs: number, toMs: number): number => {
      const sent = spans.filter(([atMs]) => atMs >= fromMs && atMs < toMs);
      return sent.filter(([, index]) => index === 3).length / sent.length;
    };
    assert.ok(part(2000, RECOVERS_AT_MS) < 0.01, 'the slow worker got more than one call in a hundred');
    assert.ok(part(RECOVERS_AT_MS + 5000, 20_000) > 0.18, 'the recovered worker is still avoided');
  }
});
