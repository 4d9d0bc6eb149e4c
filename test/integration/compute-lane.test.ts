import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchBuffers, MIN_REUSED_BYTES } from '#dist/compute/batch-buffers.js';
import type { LaneError } from '#dist/compute/lane.js';
import { ask, isLaneError, jsonJob, PLACE, rowsJob, startLane, valuesOf } from './lane-harness.js';

test('ComputeLane runs a batch of tensors and a batch of JSON values', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const doubled = await lane.run(
    rowsJob('double', [
      [1, 2],
      [3, 4],
    ]),
  ).done;
  assert.deepEqual(valuesOf(doubled.result), [2, 4, 6, 8]);
  assert.ok(doubled.computeMs >= 0);

  const greeted = await lane.run(jsonJob('greet', [{ key: 'a' }, { key: 'ß' }], { rows: 2 })).done;
  assert.deepEqual(valuesOf(greeted.result), ['hello a', 'hello ß']);
});

test('ComputeLane gives `load` its place', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  assert.deepEqual(await ask(lane, 'place'), PLACE);
});

test('ComputeLane refuses a runner that the service does not have', async (t) => {
  const lane = startLane(t, 'nobody');
  await assert.rejects(lane.ready, /Cannot find the runner "nobody"/);
});

test('ComputeLane runs several jobs of one thread at a time', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const first = lane.run(jsonJob('hold', { key: 'first' }));
  const second = lane.run(jsonJob('hold', { key: 'second' }));
  assert.deepEqual(await ask(lane, 'events'), ['hold first', 'hold second']);

  assert.equal(await ask(lane, 'open', { key: 'second' }), true);
  assert.deepEqual(valuesOf((await second.done).result), ['second']);
  assert.deepEqual(await ask(lane, 'events'), ['hold first', 'hold second', 'held second']);

  assert.equal(await ask(lane, 'open', { key: 'first' }), true);
  assert.deepEqual(valuesOf((await first.done).result), ['first']);
});

test('ComputeLane aborts the signal of one job and of no other', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const aborted = lane.run(jsonJob('hold', { key: 'aborted' }));
  const kept = lane.run(jsonJob('hold', { key: 'kept' }));
  aborted.abort();
  await assert.rejects(aborted.done, isLaneError('CLIENT_GONE'));
  aborted.abort(); // nothing is left to abort
  await ask(lane, 'open', { key: 'kept' });
  assert.deepEqual(valuesOf((await kept.done).result), ['kept']);
});

test('ComputeLane tells what the model threw, with its stack, and lives on', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  await assert.rejects(lane.run(jsonJob('misbehave', { how: 'throw' })).done, (thrown: LaneError) => {
    assert.equal(thrown.error.code, 'USER_CODE');
    assert.equal(thrown.error.message, 'thrown by the model');
    assert.match(thrown.userStack ?? '', /misbehave/);
    return true;
  });
  await assert.rejects(
    lane.run(jsonJob('misbehave', { how: 'strange' })).done,
    isLaneError('USER_CODE', /cannot be told/),
  );
  await assert.rejects(lane.run(jsonJob('misbehave', { how: 'details' })).done, (thrown: LaneError) => {
    assert.equal(thrown.error.code, 'INVALID_INPUT');
    assert.match(String(thrown.error.details), /not JSON/);
    return true;
  });
  await assert.rejects(lane.run(jsonJob('gone', {})).done, isLaneError('NOT_FOUND', /method "gone"/));
  assert.equal(await ask(lane, 'misbehave'), 'nothing happened');
});

test('ComputeLane refuses a batch that comes back with another number of rows', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  await assert.rejects(
    lane.run(jsonJob('greet', [{ key: 'a' }], { rows: 2 })).done,
    isLaneError('USER_CODE', /gave a list of 1 for a batch of 2/),
  );
});

test('the buffer of a large input comes back for the next batch, and a model that kept it is told', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const rows = Array.from({ length: MIN_REUSED_BYTES / 8 }, (_, i) => [i, i] as const);
  const pooled = batchBuffers.bytes;
  const { result } = await lane.run(rowsJob('sumAndKeep', rows)).done;
  assert.equal(valuesOf(result)[1], rows.length - 1);
  assert.equal(batchBuffers.bytes, pooled + MIN_REUSED_BYTES);
  await assert.rejects(
    lane.run(rowsJob('giveKept', rows)).done,
    isLaneError('USER_CODE', /model\.giveKept gave a tensor whose data is gone/),
  );
});

test('a model that changes its input in place and gives it back keeps its rows apart', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const rows = (start: number): (readonly [number, number])[] =>
    Array.from({ length: MIN_REUSED_BYTES / 8 }, (_, i) => [start + i, -i] as const);
  const [first, second] = await Promise.all([
    lane.run(rowsJob('double', rows(0))).done,
    lane.run(rowsJob('double', rows(1000))).done,
  ]);
  assert.deepEqual(
    valuesOf(first.result),
    rows(0)
      .flat()
      .map((x) => x * 2),
  );
  assert.deepEqual(
    valuesOf(second.result),
    rows(1000)
      .flat()
      .map((x) => x * 2),
  );
});
