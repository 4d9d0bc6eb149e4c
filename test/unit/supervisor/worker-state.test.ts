import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from '#dist/supervisor/backoff.js';
import { nextState, type WorkerEvent, type WorkerState } from '#dist/supervisor/worker-state.js';

function walk(...events: WorkerEvent[]): WorkerState {
  return events.reduce<WorkerState>((state, event) => nextState(state, event), 'starting');
}

test('nextState leads a worker that dies through backoff to a new start', () => {
  assert.equal(walk('becameAccepting', 'becameReady', 'exited', 'backoffElapsed'), 'starting');
});

test('nextState ends a drained worker as stopped, whatever arrives late', () => {
  assert.equal(walk('drainAsked', 'becameAccepting', 'becameReady', 'exited'), 'stopped');
});

test('nextState keeps a worker that refused to boot failed', () => {
  assert.equal(walk('bootRefused', 'exited', 'drainAsked'), 'failed');
});

test('nextState throws for a pair that the table lacks', () => {
  assert.throws(() => nextState('stopped', 'becameReady'), /Cannot apply "becameReady" to a worker that is "stopped"/);
});

test('backoffMs starts at zero, grows and stays bounded', () => {
  assert.deepEqual([1, 2, 3, 4].map(backoffMs), [0, 100, 200, 400]);
  assert.equal(backoffMs(1000), 10_000);
});
