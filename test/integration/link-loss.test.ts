import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IncomingCall } from '#dist/link/link-server.js';
import { encodeValue } from '#dist/tensor/index.js';
import { connect, countdown, echo, isCode, request, startRunner, TIMING } from './link-harness.js';

const LIMIT = { timeout: 30_000 };

test('RunnerLinks repeats an idempotent call on another worker when its own is lost', LIMIT, async (t) => {
  const arrived = countdown(1);
  const dying = await startRunner(t, { onCall: arrived.hit });
  const links = connect(t, [dying.address]);
  const answer = links.call(request('again'));
  await arrived.done;
  const other = await startRunner(t);
  links.setMap({ digits: [dying.address, other.address] });
  await dying.kill();
  assert.equal(await answer, 'again');
  assert.equal(other.calls.length, 1);
});

test('RunnerLinks repeats an idempotent call on the worker that comes back at the same address', LIMIT, async (t) => {
  const arrived = countdown(1);
  const dying = await startRunner(t, { onCall: arrived.hit });
  const links = connect(t, [dying.address]);
  const answer = links.call(request('again', { deadlineAtMs: performance.now() + 20_000 }));
  await arrived.done;
  await dying.kill();
  await startRunner(t, { path: dying.path });
  assert.equal(await answer, 'again');
});

test('RunnerLinks sends no call to a third worker where the second had begun it', LIMIT, async (t) => {
  const arrivals = [countdown(1), countdown(1)] as const;
  const first = await startRunner(t, { onCall: arrivals[0].hit });
  const links = connect(t, [first.address]);
  const answer = links.call(request(1));
  const rejected = assert.rejects(answer, isCode('RUNNER_LOST'));
  await arrivals[0].done;
  await first.kill();
  const onCall = (call: IncomingCall): void => {
    call.begin();
    arrivals[1].hit();
  };
  const second = await startRunner(t, { path: first.path, onCall });
  await arrivals[1].done;
  await second.kill(); // in the turn of `begin`: what it says must be on its way by then
  await rejected;
});

test('RunnerLinks sends a call to a third worker where the second had not begun it', LIMIT, async (t) => {
  const arrivals = [countdown(1), countdown(1)] as const;
  const first = await startRunner(t, { onCall: arrivals[0].hit });
  const links = connect(t, [first.address]);
  const answer = links.call(request('third', { deadlineAtMs: performance.now() + 20_000 }));
  await arrivals[0].done;
  await first.kill();
  const second = await startRunner(t, { path: first.path, onCall: arrivals[1].hit });
  await arrivals[1].done;
  await second.kill();
  const third = await startRunner(t, { path: first.path });
  assert.equal(await answer, 'third');
  assert.equal(third.calls[0]?.isReplay, true);
});

test('IncomingCall.begin says nothing of a call that is no replay', LIMIT, async (t) => {
  const runner = await startRunner(t, {
    onCall: (call) => {
      call.begin();
      if (runner.calls.length === 1) void runner.kill();
      else echo(call);
    },
  });
  const links = connect(t, [runner.address]);
  const answer = links.call(request('again', { deadlineAtMs: performance.now() + 20_000 }));
  while (runner.calls.length === 0) await new Promise(setImmediate);
  await runner.kill();
  await startRunner(t, { path: runner.path });
  assert.equal(await answer, 'again');
});

test('RunnerLinks.call rejects with RUNNER_LOST for a method that is not idempotent', LIMIT, async (t) => {
  const arrived = countdown(1);
  const dying = await startRunner(t, { onCall: arrived.hit });
  const other = await startRunner(t);
  const links = connect(t, [dying.address]);
  const rejected = assert.rejects(links.call(request(1, { method: 'once' })), isCode('RUNNER_LOST', /digits\.once/));
  await arrived.done;
  links.setMap({ digits: [dying.address, other.address] });
  await dying.kill();
  await rejected;
  assert.equal(other.calls.length, 0);
});

test('LinkServer cancels the calls of a connection that dies', LIMIT, async (t) => {
  const cancelled = countdown(3);
  const arrived = countdown(3);
  const onCall = (call: IncomingCall): void => {
    call.onCancel = cancelled.hit;
    arrived.hit();
  };
  const runner = await startRunner(t, { onCall });
  const links = connect(t, [runner.address]);
  const rejections = [1, 2, 3].map((input) => assert.rejects(links.call(request(input))));
  await arrived.done;
  await links.close(0);
  await cancelled.done;
  await Promise.all(rejections);
  assert.equal(runner.calls.filter((call) => call.cancelled).length, 3);
});

test('LinkServer.drain answers what was begun, and callers move to another worker', LIMIT, async (t) => {
  const arrived = countdown(10);
  const leaving = await startRunner(t, { onCall: arrived.hit });
  const links = connect(t, [leaving.address]);
  await links.whenReady();
  const begun = Array.from({ length: 10 }, (_, i) => links.call(request(i, { method: 'once' })));
  await arrived.done;
  const staying = await startRunner(t);
  links.setMap({ digits: [leaving.address, staying.address] });
  const drained = leaving.link.drain();
  // Not idempotent, and sent before the goodbye can have arrived: refused as not begun, and moved.
  const moved = Array.from({ length: 10 }, (_, i) => links.call(request(i, { method: 'once' })));
  assert.deepEqual(await Promise.all(moved), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const call of leaving.calls) echo(call);
  assert.deepEqual(await Promise.all(begun), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await drained;
  assert.equal(leaving.calls.length, 10);
  assert.equal(leaving.link.connectionCount, 0);
});

test('RunnerLinks.setMap lets the calls of a removed worker finish', LIMIT, async (t) => {
  const arrived = countdown(1);
  const removed = await startRunner(t, { onCall: arrived.hit });
  const links = connect(t, [removed.address]);
  const begun = links.call(request('begun', { method: 'once' }));
  await arrived.done;
  const added = await startRunner(t);
  links.setMap({ digits: [added.address] });
  assert.equal(await links.call(request('new')), 'new');
  assert.equal(added.calls.length, 1);
  for (const call of removed.calls) echo(call);
  assert.equal(await begun, 'begun');
});

test('RunnerLinks.close lets open calls finish, refuses new ones, and cuts what takes too long', LIMIT, async (t) => {
  const arrived = countdown(2);
  const runner = await startRunner(t, { onCall: arrived.hit });
  const links = connect(t, [runner.address]);
  const finishing = links.call(request('finishing'));
  const hanging = assert.rejects(links.call(request('hanging')), isCode('RUNNER_LOST'));
  await arrived.done;
  const closed = links.close(200);
  await assert.rejects(links.call(request('late')), isCode('DRAINING'));
  runner.calls[0]?.respond(encodeValue('finished'), TIMING);
  assert.equal(await finishing, 'finished');
  await hanging;
  await closed;
});
