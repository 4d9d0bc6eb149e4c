import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JubakoError } from '#dist/errors.js';
import { ask, isLaneError, jsonJob, Reading, rowsJob, startLane } from './lane-harness.js';

test('ComputeLane gives no more values of a stream than were pulled', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, jsonJob('count', { to: 3 }));
  assert.deepEqual(await ask(lane, 'events'), []);

  reading.pull(2);
  await reading.has(2);
  assert.deepEqual(await ask(lane, 'events'), ['asked for 0', 'asked for 1']);
  assert.deepEqual(reading.values, [0, 1]);

  reading.pull(10);
  await reading.done;
  assert.deepEqual(reading.values, [0, 1, 2]);
  assert.deepEqual(await ask(lane, 'events'), ['asked for 0', 'asked for 1', 'asked for 2', 'finally']);
});

test('ComputeLane streams tensors, and several streams of one thread at a time', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const numbers = new Reading(lane, jsonJob('count', { to: 1 }));
  const rows = new Reading(
    lane,
    rowsJob('rows', [
      [1, 2],
      [3, 4],
    ]),
  );
  rows.pull(3);
  await rows.done;
  assert.deepEqual(rows.values, [1, 2, 3, 4]);
  numbers.pull(2);
  await numbers.done;
  assert.deepEqual(numbers.values, [0]);
});

test('an aborted stream runs the finally blocks of its generator and gives nothing more', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, jsonJob('count', { to: 1000 }));
  reading.pull(2);
  await reading.has(2);
  reading.pull(500);
  reading.abort();
  await reading.done;
  assert.equal(reading.values.length, 2);
  const events = (await ask(lane, 'events')) as string[];
  assert.deepEqual(events.slice(-2), ['aborted', 'finally']);
});

test('an aborted stream that waits for something ends after its wait', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, jsonJob('count', { to: 5, key: 'third' }));
  reading.pull(5);
  await reading.has(2);
  reading.abort();
  assert.equal(await ask(lane, 'open', { key: 'third' }), true);
  await reading.done;
  assert.deepEqual(await ask(lane, 'events'), ['asked for 0', 'asked for 1', 'aborted', 'asked for 2', 'finally']);
  assert.deepEqual(reading.values, [0, 1]);
});

test('an aborted stream whose generator ignores everything is given up, and the thread lives on', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, jsonJob('count', { to: 5, key: 'never' }));
  reading.pull(5);
  await reading.has(2);
  reading.abort();
  await assert.rejects(reading.done, isLaneError('USER_CODE', /model\.count did not end within 1000 ms/));
  await ask(lane, 'open', { key: 'never' });
  assert.deepEqual(reading.values, [0, 1]);
});

test('an error midway fails the stream after the values before it', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, jsonJob('count', { how: 'throw' }));
  reading.pull(10);
  await assert.rejects(reading.done, isLaneError('QUEUE_FULL', /no third value/));
  assert.deepEqual(reading.values, [0, 1]);
});

test('a value that does not fit fails the stream and ends the generator', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, rowsJob('misfits', [[1, 2]]));
  reading.pull(10);
  await assert.rejects(reading.done, isLaneError('USER_CODE', /model\.misfits gave an output that does not fit/));
  assert.deepEqual(reading.values, [1, 2]);
  assert.deepEqual(await ask(lane, 'events'), ['finally of misfits']);
});

test('what is no async iterable fails the stream', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, jsonJob('notStreaming', {}));
  await assert.rejects(reading.done, isLaneError('USER_CODE', /model\.notStreaming gave .* async iterable/));
});

test('a value that cannot be taken ends the stream and its generator', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const running = lane.stream(jsonJob('count', { to: 1000 }), () => {
    throw new JubakoError('TOO_LARGE', 'cannot be taken');
  });
  running.pull(1000);
  await assert.rejects(running.done, isLaneError('TOO_LARGE', /cannot be taken/));
  const events = (await ask(lane, 'events')) as string[];
  assert.deepEqual(events.at(-1), 'finally');
});

test('a generator that never waits does not keep its abort from being heard', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const reading = new Reading(lane, jsonJob('count', { to: Number.MAX_SAFE_INTEGER }));
  reading.pull(Number.MAX_SAFE_INTEGER);
  await reading.has(1);
  reading.abort();
  await reading.done;
});
