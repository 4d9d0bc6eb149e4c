import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToldLoad } from '#dist/link/told-load.js';
import { LOAD } from './frames.js';

/** Told `LOAD` an interval ago. */
function told(changes: Partial<typeof LOAD> = {}): ToldLoad {
  const load = new ToldLoad();
  load.tell({ ...LOAD, ...changes });
  load.isDue({ ...LOAD, ...changes });
  return load;
}

test('ToldLoad tells nothing where a frame has told in this interval, whatever has changed', () => {
  const load = new ToldLoad();
  load.tell(LOAD);
  assert.equal(load.isDue({ ...LOAD, waitMs: 1000 }), false);
  assert.equal(load.isDue({ ...LOAD, waitMs: 1000 }), true);
});

test('ToldLoad tells nothing where nothing has changed notably', () => {
  assert.equal(told().isDue(LOAD), false);
  assert.equal(told({ waitMs: 100 }).isDue({ ...LOAD, waitMs: 124 }), false);
  assert.equal(told({ waitMs: 0.1 }).isDue({ ...LOAD, waitMs: 1 }), false);
  assert.equal(new ToldLoad().isDue({ queuedRows: 0, inFlightRows: 0, waitMs: -1, isFull: false }), false);
});

for (const [what, before, now] of [
  ['a wait that grew by more than a quarter', { waitMs: 100 }, { waitMs: 126 }],
  ['a wait that fell by more than a quarter', { waitMs: 100 }, { waitMs: 74 }],
  ['a wait that is known now', { waitMs: -1 }, { waitMs: 1 }],
  ['rows that doubled where the wait is unknown', { waitMs: -1, queuedRows: 10 }, { waitMs: -1, queuedRows: 30 }],
  ['that it is full', {}, { isFull: true }],
  ['that it is full still', { isFull: true }, { isFull: true }],
  ['that it is full no more', { isFull: true }, {}],
] as const) {
  test(`ToldLoad tells ${what}`, () => {
    assert.equal(told(before).isDue({ ...LOAD, ...now }), true);
  });
}
