import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseWorker, HALF_LIFE_MS, ROWS_VALID_MS, type WorkerView } from '#dist/link/choose-worker.js';
import type { LoadReport } from '#dist/link/frame-meta.js';
import { ReportedLoad } from '#dist/link/reported-load.js';

const NOW_MS = 10_000;

interface Given extends Partial<Omit<LoadReport, 'isFull' | 'seenId'>> {
  readonly takes?: boolean;
  readonly inFlight?: number;
  readonly sentSince?: number;
  readonly busyAtMs?: number;
  readonly ageMs?: number;
  /** Of the last run; undefined: there was none. */
  readonly run?: { readonly computeMs: number; readonly batchRows: number };
}

function worker(given: Given): WorkerView {
  const load = new ReportedLoad();
  const { queuedRows = 0, inFlightRows = 0, waitMs = -1, ageMs = 0, run } = given;
  const report = { queuedRows, inFlightRows, waitMs, isFull: false, seenId: 0 };
  load.saw(report, NOW_MS - ageMs);
  if (run !== undefined) load.ran({ queueMs: 0, batchMs: 0, ...run });
  const { inFlight = 0, sentSince = 0, busyAtMs = NOW_MS - ageMs } = given;
  return { takes: () => given.takes ?? true, inFlight, sentSince, busyAtMs, load };
}

/** The indexes that are chosen in `count` turns. */
function chosen(workers: readonly WorkerView[], count = workers.length * 2): number[] {
  return Array.from({ length: count }, (_, turn) => chooseWorker(workers, 1, turn, NOW_MS));
}

function always(workers: readonly WorkerView[], index: number): void {
  assert.deepEqual(new Set(chosen(workers)), new Set([index]));
}

const RUN = { computeMs: 10, batchRows: 1 };

test('chooseWorker takes the worker with fewest calls and reported rows where no wait is known', () => {
  always([worker({ inFlight: 3 }), worker({ inFlight: 1, queuedRows: 1 }), worker({ inFlightRows: 9 })], 1);
});

test('chooseWorker goes round among equals', () => {
  assert.deepEqual(chosen([worker({}), worker({}), worker({})], 4), [0, 1, 2, 0]);
  const known = (): WorkerView => worker({ waitMs: 10, run: RUN });
  assert.deepEqual(chosen([known(), known()], 3), [0, 1, 0]);
});

test('chooseWorker forgets reported rows that are too old', () => {
  always([worker({ queuedRows: 50, ageMs: ROWS_VALID_MS + 1 }), worker({ inFlight: 1 })], 0);
});

test('chooseWorker takes the worker that will answer first, whatever its rows are', () => {
  const fast = worker({ waitMs: 20, queuedRows: 60, inFlight: 9, run: { computeMs: 10, batchRows: 60 } });
  const slow = worker({ waitMs: 40, run: { computeMs: 40, batchRows: 1 } });
  always([fast, slow], 0);
});

test('chooseWorker lets a wait run off as time passes, down to the time of a run', () => {
  const early = worker({ waitMs: 30, inFlight: 1, ageMs: 15, run: RUN });
  const late = worker({ waitMs: 28, inFlight: 1, ageMs: 1, run: RUN });
  always([late, early], 1);
  const idle = worker({ waitMs: 10, inFlight: 0, ageMs: 100, run: RUN });
  always([worker({ waitMs: 9, inFlight: 0, run: { computeMs: 9, batchRows: 1 } }), idle], 0);
});

test('chooseWorker counts the calls that were sent since the report, of other callers as well', () => {
  const other = (waitMs: number): WorkerView => worker({ waitMs, inFlight: 1, run: RUN });
  const mine = worker({ waitMs: 10, inFlight: 3, sentSince: 3, run: RUN });
  always([mine, other(39)], 1);
  always([mine, other(41)], 0);
  // Of 8 rows reported, 2 were ours: three others send as much.
  const shared = worker({ waitMs: 10, inFlightRows: 8, inFlight: 3, sentSince: 1, run: RUN });
  always([shared, other(49)], 1);
  always([shared, other(51)], 0);
});

test('chooseWorker turns from a worker whose answer is overdue', () => {
  const stopped = worker({ waitMs: 10, inFlight: 1, ageMs: 60, run: RUN });
  always([stopped, worker({ waitMs: 55, inFlight: 1, run: RUN })], 1);
  // Its answer is not overdue while the one call there was sent just now.
  const begun = worker({ waitMs: 10, inFlight: 1, sentSince: 1, ageMs: 60, busyAtMs: NOW_MS - 1, run: RUN });
  always([begun, worker({ waitMs: 55, inFlight: 1, run: RUN })], 0);
});

test('chooseWorker tries a slow worker again when its report is old, but not before, and not while it has our calls', () => {
  const busy = worker({ waitMs: 14, inFlight: 5, run: RUN });
  const slow = (ageMs: number, inFlight = 0): WorkerView =>
    worker({ waitMs: 40, run: { computeMs: 40, batchRows: 1 }, ageMs, inFlight });
  always([busy, slow(HALF_LIFE_MS * 2)], 0);
  always([busy, slow(HALF_LIFE_MS * 4)], 1);
  always([busy, slow(HALF_LIFE_MS * 4, 1)], 0);
});

test('chooseWorker never prefers an old report of a slow worker to an idle fast one', () => {
  const idle = worker({ waitMs: 10, run: RUN });
  always([idle, worker({ waitMs: 40, run: { computeMs: 40, batchRows: 1 }, ageMs: HALF_LIFE_MS * 9 })], 0);
});

test('chooseWorker takes a worker that does not know its wait for one as fast as the fastest', () => {
  const known = worker({ waitMs: 25, inFlight: 2, run: RUN });
  always([known, worker({ inFlight: 1 })], 1);
  always([known, worker({ inFlight: 2 })], 0);
});

test('chooseWorker gives -1 where none takes the call', () => {
  assert.equal(chooseWorker([], 1, 0, NOW_MS), -1);
  assert.equal(chooseWorker([worker({ takes: false })], 1, 3, NOW_MS), -1);
});

test('chooseWorker asks whether a worker takes a call of this size', () => {
  const small: WorkerView = { ...worker({}), takes: (bytes) => bytes <= 100 };
  const large = worker({ inFlight: 7 });
  assert.equal(chooseWorker([small, large], 100, 0, NOW_MS), 0);
  assert.equal(chooseWorker([small, large], 101, 0, NOW_MS), 1);
});

test('chooseWorker never takes a worker that refuses, and always one that takes where there is one', () => {
  const views = fc.array(
    fc.record({
      takes: fc.boolean(),
      inFlight: fc.nat(5),
      sentSince: fc.nat(5),
      queuedRows: fc.nat(100),
      waitMs: fc.oneof(fc.constant(-1), fc.double({ min: 0, max: 1e9, noNaN: true })),
      ageMs: fc.oneof(fc.nat(5000), fc.constant(Infinity)),
      run: fc.option(
        fc.record({
          computeMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
          batchRows: fc.integer({ min: 1, max: 64 }),
        }),
        { nil: undefined },
      ),
    }),
  );
  fc.assert(
    fc.property(views, fc.nat(), (given, turn) => {
      const workers = given.map(({ run, ...rest }) => worker({ ...rest, ...(run !== undefined && { run }) }));
      const index = chooseWorker(workers, 1, turn, NOW_MS);
      if (!given.some(({ takes }) => takes)) return assert.equal(index, -1);
      return assert.equal(given[index]?.takes, true);
    }),
  );
});
