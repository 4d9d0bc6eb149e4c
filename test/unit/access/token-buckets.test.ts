import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LEASE_MS, TokenBuckets } from '#dist/access/token-buckets.js';

test('TokenBuckets give the burst at once and then the rate', () => {
  const buckets = new TokenBuckets({ perSecond: 10, burst: 3 });
  for (let i = 0; i < 2; i += 1) assert.deepEqual(buckets.take('a', 1, 'w0', 0), { granted: 1, waitMs: 0 });
  assert.deepEqual(buckets.take('a', 1, 'w1', 0), { granted: 1, waitMs: 100 });
  assert.deepEqual(buckets.take('a', 1, 'w0', 60), { granted: 0, waitMs: 40 });
  assert.deepEqual(buckets.take('a', 1, 'w0', 100), { granted: 1, waitMs: 100 });
  assert.deepEqual(buckets.take('a', 1, 'w0', 10_000), { granted: 1, waitMs: 0 });
});

test('TokenBuckets keep clients apart', () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 1 });
  assert.equal(buckets.take('a', 1, 'w0', 0).granted, 1);
  assert.equal(buckets.take('b', 1, 'w0', 0).granted, 1);
  assert.equal(buckets.take('a', 1, 'w0', 0).granted, 0);
});

test('TokenBuckets pass what they said after the wait that they named, whatever the fractions', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.001, max: 1e6, noNaN: true }),
      fc.integer({ min: 1, max: 100 }),
      (perSecond, burst) => {
        const buckets = new TokenBuckets({ perSecond, burst });
        let nowMs = 12_345.678;
        for (let i = 0; i < burst + 20; i += 1) {
          const { granted, waitMs } = buckets.take('a', 1, 'w0', nowMs);
          assert.equal(granted, 1);
          nowMs += waitMs;
        }
      },
    ),
  );
});

test('TokenBuckets let nobody keep more than half of the burst', () => {
  const buckets = new TokenBuckets({ perSecond: 1000, burst: 100 });
  assert.deepEqual(buckets.take('a', 1000, 'w0', 0), { granted: 51, waitMs: 0 });
  assert.deepEqual(buckets.take('a', 1000, 'w1', 0), { granted: 1, waitMs: 0 });
  assert.deepEqual(buckets.take('a', 1000, 'w0', 0), { granted: 48, waitMs: 1 }, 'w0 has used its 51, or lost them');
});

test('TokenBuckets do not fill beyond the burst while tokens are kept', () => {
  const buckets = new TokenBuckets({ perSecond: 1000, burst: 10 });
  assert.equal(buckets.take('a', 6, 'w0', 0).granted, 6);
  let passed = 0;
  while (buckets.take('a', 1, 'w1', LEASE_MS - 1).granted === 1) passed += 1;
  assert.equal(passed, 5, 'the other five may still be used by w0');
  while (buckets.take('a', 1, 'w1', LEASE_MS + 10).granted === 1) passed += 1;
  assert.equal(passed, 15, 'too late for w0');
});

/** Workers that take, and use what they keep at any time in their lease; `used` are the times of use. */
function simulate(limits: { perSecond: number; burst: number }, steps: readonly Step[]): number[] {
  const buckets = new TokenBuckets(limits);
  const keeping = new Map<string, { count: number; untilMs: number }>();
  const used: number[] = [];
  let nowMs = 0;
  for (const { afterMs, worker, wanted, asks } of steps) {
    nowMs += afterMs;
    const kept = keeping.get(worker);
    if (kept !== undefined && kept.count > 0 && nowMs < kept.untilMs && !asks) {
      used.push(nowMs);
      kept.count -= 1;
      continue;
    }
    keeping.delete(worker);
    const { granted } = buckets.take('a', wanted, worker, nowMs);
    if (granted === 0) continue;
    used.push(nowMs);
    keeping.set(worker, { count: granted - 1, untilMs: nowMs + LEASE_MS });
  }
  return used;
}

interface Step {
  readonly afterMs: number;
  readonly worker: string;
  readonly wanted: number;
  /** Asks although it keeps some. */
  readonly asks: boolean;
}

test('TokenBuckets let no more pass in any span of time than the burst and the rate allow, over all workers', () => {
  const step = fc.record({
    afterMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 5, noNaN: true }), fc.integer({ min: 0, max: 150 })),
    worker: fc.constantFrom('w0', 'w1', 'w2'),
    wanted: fc.integer({ min: 1, max: 60 }),
    asks: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.double({ min: 0.5, max: 2000, noNaN: true }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(step, { minLength: 50, maxLength: 300 }),
      (perSecond, burst, steps) => {
        const used = simulate({ perSecond, burst }, steps);
        for (const [first, fromMs] of used.entries()) {
          for (const [last, toMs] of used.entries()) {
            if (last < first) continue;
            const most = burst + ((toMs - fromMs) * perSecond) / 1000;
            assert.ok(last - first + 1 <= most + 1e-6, `${last - first + 1} in ${toMs - fromMs} ms, limit ${most}`);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('TokenBuckets forget the clients that have not asked for the longest time', () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, 3);
  for (const client of ['a', 'b', 'c', 'a', 'd']) buckets.take(client, 1, 'w0', 0);
  assert.equal(buckets.clients, 3);
  assert.deepEqual(
    ['a', 'c', 'd'].map((client) => buckets.take(client, 1, 'w0', 0).granted),
    [0, 0, 0],
  );
  assert.equal(buckets.take('b', 1, 'w0', 0).granted, 1);
});
