import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { simulate, type Arrival } from '../../support/batch-simulator.js';

const LIMITS = { maxSize: 8, maxQueueRows: 64 };
/** The small model of the measured costs: 0.05 ms for a run and 0.005 ms a row. */
const cost = (rows: number): number => 0.05 + 0.005 * rows;

const arrivalsOf = (methods: number): fc.Arbitrary<Arrival[]> =>
  fc
    .array(
      fc.record({
        gapMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.3, noNaN: true })),
        rows: fc.integer({ min: 1, max: 8 }),
        method: fc.integer({ min: 0, max: methods - 1 }),
        batchKey: fc.constantFrom('', '', '', '2,'),
        deadlineMs: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
        leavesMs: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
      }),
      { maxLength: 120 },
    )
    .map((steps) => {
      let atMs = 0;
      return steps.map(({ gapMs, rows, method, batchKey, deadlineMs, leavesMs }) => {
        atMs += gapMs;
        return {
          atMs,
          rows,
          method,
          batchKey,
          ...(deadlineMs !== undefined && { deadlineAtMs: atMs + deadlineMs }),
          ...(leavesMs !== undefined && { leavesAtMs: atMs + leavesMs }),
        };
      });
    });

test('the scheduler serves, refuses, expires or loses to its caller every call exactly once', () => {
  fc.assert(
    fc.property(arrivalsOf(3), (arrivals) => {
      const result = simulate(arrivals, [LIMITS, LIMITS, LIMITS], cost);
      const ends = [
        ...result.batches.flatMap(({ members }) => members),
        ...result.refused,
        ...result.expired,
        ...result.left,
      ];
      assert.deepEqual(
        ends.sort((a, b) => a - b),
        arrivals.map((_, index) => index),
      );
    }),
  );
});

test('the lane is never idle while a row waits (work-conserving)', () => {
  fc.assert(
    fc.property(arrivalsOf(3), (arrivals) => {
      assert.equal(simulate(arrivals, [LIMITS, LIMITS, LIMITS], cost).wasIdleWithWork, false);
    }),
  );
});

test('a batch holds rows of one method and one key only, at most maxSize, in the order of arrival', () => {
  fc.assert(
    fc.property(arrivalsOf(2), (arrivals) => {
      for (const batch of simulate(arrivals, [LIMITS, LIMITS], cost).batches) {
        const members = batch.members.map((index) => arrivals[index]);
        assert.ok(batch.rows <= LIMITS.maxSize, `${batch.rows} rows`);
        assert.equal(new Set(members.map((member) => member?.batchKey)).size, 1);
        assert.deepEqual(new Set(members.map((member) => member?.method)), new Set([batch.method]));
        assert.deepEqual(
          batch.members,
          [...batch.members].sort((a, b) => a - b),
        );
      }
    }),
  );
});

test('calls of one method start in the order of their arrival (FIFO)', () => {
  fc.assert(
    fc.property(arrivalsOf(1), (arrivals) => {
      const started = simulate(arrivals, [LIMITS], cost).batches.flatMap(({ members }) => members);
      assert.deepEqual(
        started,
        [...started].sort((a, b) => a - b),
      );
    }),
  );
});

test('no batch holds a call whose deadline had passed or whose caller had left when it started', () => {
  fc.assert(
    fc.property(arrivalsOf(2), (arrivals) => {
      for (const { members, startMs } of simulate(arrivals, [LIMITS, LIMITS], cost).batches) {
        for (const index of members) {
          assert.ok((arrivals[index]?.deadlineAtMs ?? Infinity) > startMs);
          assert.ok((arrivals[index]?.leavesAtMs ?? Infinity) >= startMs);
        }
      }
    }),
  );
});

test('the batch size follows the load: single calls alone, a burst in full batches', () => {
  const lone = simulate(
    [
      { atMs: 0, rows: 1 },
      { atMs: 10, rows: 1 },
    ],
    [LIMITS],
    cost,
  );
  assert.deepEqual(
    lone.batches.map(({ rows, startMs }) => [rows, startMs]),
    [
      [1, 0],
      [1, 10],
    ],
  );

  const burst = simulate(
    Array.from({ length: 24 }, () => ({ atMs: 0, rows: 1 })),
    [LIMITS],
    cost,
  );
  assert.deepEqual(
    burst.batches.map(({ rows }) => rows),
    [8, 8, 8],
  );
});

test('a queue at its bound refuses what is more, and an empty one takes a call larger than the bound', () => {
  const crowd = simulate(
    Array.from({ length: 80 }, () => ({ atMs: 0, rows: 1 })),
    [LIMITS],
    cost,
  );
  assert.equal(crowd.refused.length, 16);
  const giant = simulate([{ atMs: 0, rows: 100 }], [{ maxSize: 100, maxQueueRows: 10 }], cost);
  assert.deepEqual(giant.refused, []);
});

test('a busy method does not starve another: the longest waiting head goes first', () => {
  const flood = Array.from({ length: 200 }, (_, index) => ({ atMs: index * 0.001, rows: 8, method: 0 }));
  const { batches } = simulate(
    [...flood, { atMs: 0.05, rows: 1, method: 1 }],
    [{ maxSize: 8, maxQueueRows: 4000 }, LIMITS],
    cost,
  );
  const turn = batches.findIndex(({ method }) => method === 1);
  const before = batches.slice(0, turn).flatMap(({ members }) => members);
  assert.ok(before.every((index) => (flood[index]?.atMs ?? 0) <= 0.05));
});
