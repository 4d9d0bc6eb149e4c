import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerMemoryBytes, type MemoryInput } from '#dist/supervisor/plan-memory.js';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const ALL: MemoryInput = { setting: null, cgroupBytes: 8 * GIB, apiWorkers: 2, runnerWorkers: 4, embeds: false };

test('workerMemoryBytes shares nine tenths among the runner workers, less what the API workers need', () => {
  assert.equal(workerMemoryBytes(ALL), Math.floor((0.9 * 8 * GIB - 256 * MIB) / 4));
});

test('workerMemoryBytes shares among all workers where API workers hold models, or there are no others', () => {
  assert.equal(workerMemoryBytes({ ...ALL, embeds: true }), Math.floor((0.9 * 8 * GIB) / 6));
  assert.equal(workerMemoryBytes({ ...ALL, runnerWorkers: 0 }), Math.floor((0.9 * 8 * GIB) / 2));
});

test('workerMemoryBytes is Infinity without a limit of the cgroup and for the setting 0', () => {
  assert.equal(workerMemoryBytes({ ...ALL, cgroupBytes: Number.POSITIVE_INFINITY }), Number.POSITIVE_INFINITY);
  assert.equal(workerMemoryBytes({ ...ALL, setting: 0 }), Number.POSITIVE_INFINITY);
});

test('workerMemoryBytes is the setting where it is given, and never so little that every process exceeds it', () => {
  assert.equal(workerMemoryBytes({ ...ALL, setting: 5 }), 5);
  assert.equal(workerMemoryBytes({ ...ALL, cgroupBytes: 300 * MIB }), 256 * MIB);
});
