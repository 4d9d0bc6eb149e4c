import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FULL_VALID_MS, ReportedLoad } from '#dist/link/reported-load.js';
import { TELL_MS } from '#dist/link/told-load.js';
import { LOAD, TIMING } from './frames.js';

test('ReportedLoad holds what the last report said', () => {
  const load = new ReportedLoad();
  assert.deepEqual([load.waitMs, load.runMs], [-1, -1]);
  load.saw({ ...LOAD, seenId: 5 }, 100);
  assert.deepEqual([load.rows, load.waitMs, load.seenId, load.atMs], [16, 12.5, 5, 100]);
});

test('ReportedLoad follows the time of runs, and not that of refusals', () => {
  const load = new ReportedLoad();
  load.ran({ ...TIMING, batchRows: 0, computeMs: 0 });
  assert.equal(load.runMs, -1);
  load.ran({ ...TIMING, batchRows: 4, computeMs: 20 });
  assert.deepEqual([load.runMs, load.rowMs], [20, 5]);
  for (let answer = 0; answer < 64; answer += 1) load.ran({ ...TIMING, batchRows: 64, computeMs: 64 });
  assert.ok(Math.abs(load.runMs - 64) < 0.1 && Math.abs(load.rowMs - 1) < 0.1);
});

test('ReportedLoad believes that its worker is full until it hears otherwise, and not for long', () => {
  const load = new ReportedLoad();
  load.saw({ ...LOAD, isFull: true, seenId: 0 }, 100);
  assert.equal(load.isFull(100 + FULL_VALID_MS), true);
  assert.equal(load.isFull(101 + FULL_VALID_MS), false);
  load.saw({ ...LOAD, isFull: true, seenId: 0 }, 400);
  assert.equal(load.isFull(400), true);
  load.saw({ ...LOAD, seenId: 0 }, 401);
  assert.deepEqual([load.isFull(401), load.mayBeFull], [false, false]);
});

test('A worker that stays full says so before its caller ceases to believe it', () => {
  assert.ok(TELL_MS * 2 < FULL_VALID_MS);
});
