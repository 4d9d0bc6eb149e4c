import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STUCK_AFTER_MS, whyStuck, type RunView } from '#dist/batching/stuck-watch.js';

const RUN: RunView = {
  runningMs: 0,
  abandonedMs: undefined,
  isStream: false,
  isReplay: false,
  history: { runs: 100, slowestMs: 10 },
};
const view = (changes: Partial<RunView>): RunView => ({ ...RUN, ...changes });

test('whyStuck gives no run up before the least time, whatever its history', () => {
  assert.equal(whyStuck(view({ runningMs: STUCK_AFTER_MS })), undefined);
  assert.match(whyStuck(view({ runningMs: STUCK_AFTER_MS + 1 })) ?? '', /slowest of 100 runs took 10 ms/);
});

test('whyStuck measures a run by the slowest of its method', () => {
  const history = { runs: 100, slowestMs: 2000 };
  assert.equal(whyStuck(view({ runningMs: 39_000, history })), undefined);
  assert.match(whyStuck(view({ runningMs: 41_000, history })) ?? '', /took 2000 ms/);
});

test('whyStuck lets the first runs of a method take as long as they like, while somebody waits', () => {
  const history = { runs: 0, slowestMs: 0 };
  assert.equal(whyStuck(view({ runningMs: 3_600_000, history })), undefined);
  assert.match(whyStuck(view({ runningMs: 3_600_000, abandonedMs: 5001, history })) ?? '', /nobody has waited/);
});

test('whyStuck has less patience with a call whose last worker died with it', () => {
  const history = { runs: 0, slowestMs: 0 };
  assert.equal(whyStuck(view({ runningMs: 10_000, isReplay: true, history })), undefined);
  assert.match(whyStuck(view({ runningMs: 10_001, isReplay: true, history })) ?? '', /died with it/);
});

test('whyStuck lets a stream take as long as its caller reads', () => {
  assert.equal(whyStuck(view({ runningMs: 3_600_000, isStream: true })), undefined);
  assert.match(whyStuck(view({ runningMs: 9, abandonedMs: 5001, isStream: true })) ?? '', /nobody has waited/);
});
