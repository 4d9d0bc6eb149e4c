import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isLaneError, jsonJob, Reading, startLane } from './lane-harness.js';

const LOST = isLaneError('RUNNER_LOST', /^Cannot finish the run: the compute thread of "model" has ended$/);

test('process.exit in the model fails every job and stream of the thread, and `ended` names the code', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const held = lane.run(jsonJob('hold', { key: 'x' }));
  const reading = new Reading(lane, jsonJob('count', { to: 9 }));
  reading.pull(1);
  await reading.has(1);
  const exiting = lane.run(jsonJob('misbehave', { how: 'exit' }));
  await Promise.all([
    assert.rejects(held.done, LOST),
    assert.rejects(reading.done, LOST),
    assert.rejects(exiting.done, LOST),
  ]);
  assert.match(await lane.ended, /ended with code 3: its code called process\.exit\(\)/);
  await assert.rejects(lane.run(jsonJob('hold', { key: 'y' })).done, LOST);
  await assert.rejects(new Reading(lane, jsonJob('count', {})).done, LOST);
});

test('an error that nobody can catch ends the thread, and `ended` tells its stack', async (t) => {
  for (const [how, message] of [
    ['throw', 'thrown by the model'],
    ['reject', 'rejected by the model'],
  ] as const) {
    const lane = startLane(t);
    await lane.ready;
    await assert.rejects(lane.run(jsonJob('late', { how })).done, LOST);
    const reason = await lane.ended;
    assert.match(reason, new RegExp(`ended with code 1: Error: ${message}\n.*misbehave`, 's'));
  }
});

test('an endless loop in the model ends by `close`', async (t) => {
  const lane = startLane(t);
  await lane.ready;
  const spinning = lane.run(jsonJob('misbehave', { how: 'spin' }));
  const lost = assert.rejects(spinning.done, LOST);
  await lane.close();
  await lost;
  assert.match(await lane.ended, /it was closed/);
});

test('a model that fills its heap ends its thread, not the process', async () => {
  const program = fileURLToPath(new URL('./lane-out-of-memory.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=64', program]);
  const { code, ended } = JSON.parse(stdout) as { readonly code: string; readonly ended: string };
  assert.equal(code, 'RUNNER_LOST');
  assert.match(ended, /ERR_WORKER_OUT_OF_MEMORY/);
});

test('a thread that ends while it loads rejects `ready` with the reason', async (t) => {
  const lane = startLane(t, 'exits');
  await assert.rejects(
    lane.ready,
    /Cannot load the runner "exits": the compute thread ended with code 4: its code called/,
  );
  await assert.rejects(
    startLane(t, 'hangs').ready,
    /Cannot load the runner "hangs": the compute thread ended with code 13: its load\(\) waits/,
  );
  const failing = startLane(t, 'fails');
  await assert.rejects(failing.ready, {
    code: 'SERVICE_INVALID',
    message: 'Cannot load the runner "fails": no weights',
  });
  assert.match(await failing.ended, /ended with code 0/);
});
