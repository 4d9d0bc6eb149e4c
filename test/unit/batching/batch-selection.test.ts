import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CostForecast } from '#dist/batching/batch-decision.js';
import { selectRows, shareRows, type WaitingRows } from '#dist/batching/batch-selection.js';

const NOW_MS = 1000;
const TARGET_MS = 25;

const costs: CostForecast = {
  predictMs: (rows) => 10 + 0.1 * rows,
  predictHighMs: (rows) => 10 + 0.1 * rows,
};
const unknown: CostForecast = { predictMs: () => undefined, predictHighMs: () => undefined };

/** Rows that have waited so many ms. */
function waiting(...agesMs: readonly number[]): WaitingRows {
  const counts = agesMs.map((ageMs) => NOW_MS - ageMs);
  return {
    rows: counts.length,
    firstCountsFromMs: Math.min(...counts),
    rowsCountedBefore: (atMs) => counts.filter((count) => count < atMs).length,
  };
}

const many = (count: number, ageMs: number): number[] => Array.from({ length: count }, () => ageMs);

const select = (rows: WaitingRows, costsGiven: CostForecast = costs): ReturnType<typeof selectRows> =>
  selectRows(rows, 64, TARGET_MS, costsGiven, NOW_MS);

test('selectRows takes all that fits where all of it is in time', () => {
  assert.deepEqual(select(waiting(...many(20, 12))), { rows: 20, lateBeforeMs: -Infinity });
  assert.deepEqual(select(waiting(...many(100, 8))), { rows: 64, lateBeforeMs: -Infinity });
});

test('selectRows takes all that fits where the model is not known', () => {
  assert.deepEqual(select(waiting(...many(100, 500)), unknown), { rows: 64, lateBeforeMs: -Infinity });
});

test('selectRows gives up what is late where it keeps others waiting that are not', () => {
  const { rows, lateBeforeMs } = select(waiting(...many(50, 20), ...many(64, 2)));
  assert.equal(rows, 64);
  assert.ok(lateBeforeMs > NOW_MS - 20 && lateBeforeMs <= NOW_MS - 2, `${lateBeforeMs}`);
});

test('selectRows makes a smaller batch where more rows are in time with it', () => {
  // 64 rows take 16.4 ms, with which none of these is in time; 30 take 13 ms.
  const { rows, lateBeforeMs } = select(waiting(...many(64, 11.9)));
  assert.ok(rows >= 27 && rows <= 31, `${rows}`);
  assert.ok(lateBeforeMs <= NOW_MS - 11.9, 'those left behind are not given up yet');
});

test('selectRows takes what is late where nothing can be in time', () => {
  assert.deepEqual(select(waiting(...many(100, 40))), { rows: 64, lateBeforeMs: -Infinity });
});

test('selectRows allows for runs that vary only where enough rows wait for that', () => {
  const varying: CostForecast = { ...costs, predictHighMs: (rows) => 1.4 * (10 + 0.1 * rows) };
  assert.equal(select(waiting(...many(30, 11.5)), varying).rows, 30);
  const { rows, lateBeforeMs } = select(waiting(...many(30, 7), ...many(70, 1)), varying);
  assert.equal(rows, 64);
  assert.ok(lateBeforeMs > NOW_MS - 7, 'the older ones may well be late');
});

test('shareRows shares out where the other lane is free or soon will be, and it makes a difference', () => {
  assert.equal(shareRows(64, 32, 0, costs), 32);
  assert.equal(shareRows(64, 32, 1, costs), 32);
  assert.equal(shareRows(64, 32, 9, costs), 64);
  assert.equal(shareRows(8, 4, 0, costs), 8); // 10.8 ms or 10.4
  assert.equal(shareRows(64, 32, Infinity, costs), 64);
  assert.equal(shareRows(20, 40, 0, costs), 20); // the other lane has enough
  assert.equal(shareRows(64, 32, 0, unknown), 64);
});
