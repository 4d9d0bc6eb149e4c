import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { IncomingCall, LinkLoad } from '#dist/link/link-server.js';
import { encodeValue } from '#dist/tensor/index.js';
import { connect, countdown, echo, IDLE, isCode, request, startRunner, TIMING } from './link-harness.js';

const LIMIT = { timeout: 30_000 };

/** A loop turn of this process, where both ends of the link live. */
function turn(): Promise<void> {
  return new Promise(setImmediate);
}

test('IncomingCall has the priority of its call, and knows that it is no replay', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const links = connect(t, [runner.address]);
  for (const priority of ['high', 'normal', 'low'] as const) await links.call(request(1, { priority }));
  assert.deepEqual(
    runner.calls.map(({ priority, isReplay }) => [priority, isReplay]),
    [
      ['high', false],
      ['normal', false],
      ['low', false],
    ],
  );
});

test('IncomingCall knows that it was sent before to a worker that was lost', LIMIT, async (t) => {
  const arrived = countdown(1);
  const dying = await startRunner(t, { onCall: arrived.hit });
  const links = connect(t, [dying.address]);
  const answer = links.call(request('again', { priority: 'low' }));
  await arrived.done;
  const other = await startRunner(t);
  links.setMap({ digits: [dying.address, other.address] });
  await dying.kill();
  assert.equal(await answer, 'again');
  assert.deepEqual([other.calls[0]?.isReplay, other.calls[0]?.priority], [true, 'low']);
});

test('A call that a draining worker did not begin is no replay where it goes', LIMIT, async (t) => {
  const arrived = countdown(1);
  const leaving = await startRunner(t, { onCall: arrived.hit });
  const links = connect(t, [leaving.address]);
  const begun = links.call(request('begun'));
  await arrived.done;
  const staying = await startRunner(t);
  links.setMap({ digits: [leaving.address, staying.address] });
  void leaving.link.drain();
  assert.equal(await links.call(request('moved')), 'moved');
  assert.equal(staying.calls[0]?.isReplay, false);
  for (const call of leaving.calls) echo(call);
  assert.equal(await begun, 'begun');
});

test(
  'Nothing is sent to workers that have said that they are full, until they say that they are not',
  LIMIT,
  async (t) => {
    let load: LinkLoad = IDLE;
    const runner = await startRunner(t, { load: () => load });
    const links = connect(t, [runner.address]);
    await links.call(request('first'));
    load = { ...IDLE, queuedRows: 9, isFull: true };
    await links.call(request('its answer tells'));
    const sent = runner.calls.length;
    await assert.rejects(links.call(request('refused')), isCode('QUEUE_FULL'));
    assert.equal(runner.calls.length, sent);
    // No reply tells any more: the runner says by itself that it has room.
    load = IDLE;
    let answer: unknown;
    while (answer === undefined) {
      await turn();
      answer = await links.call(request('taken')).catch(() => undefined);
    }
    assert.equal(answer, 'taken');
  },
);

test('A worker that stays full is believed as long as it says so, without one call to it', LIMIT, async (t) => {
  let asked = countdown(1);
  const load = (): LinkLoad => {
    asked.hit();
    return { ...IDLE, isFull: true };
  };
  const runner = await startRunner(t, { load });
  const links = connect(t, [runner.address]);
  await links.call(request('its answer tells'));
  asked = countdown(8); // once in each interval: what the answer told is too old by then
  await asked.done;
  await turn();
  await assert.rejects(links.call(request('refused')), isCode('QUEUE_FULL'));
  assert.equal(runner.calls.length, 1);
});

test('A call goes to the worker that is not full, and is refused only where all are', LIMIT, async (t) => {
  const opened = countdown(2);
  const logger = pino({}, { write: (line: string) => void (line.includes('link.opened') && opened.hit()) });
  let isFull = false;
  const full = await startRunner(t, { load: () => ({ ...IDLE, isFull: true }) });
  const other = await startRunner(t, { load: () => ({ ...IDLE, isFull }) });
  const links = connect(t, [full.address, other.address], { logger });
  await opened.done;
  while (full.calls.length === 0) await links.call(request(1));
  for (let call = 0; call < 20; call += 1) await links.call(request(2));
  assert.equal(full.calls.length, 1);
  isFull = true;
  await links.call(request(3));
  await assert.rejects(links.call(request(4)), isCode('QUEUE_FULL'));
});

test('Of two workers, the one that will answer first by its own word gets the calls', LIMIT, async (t) => {
  const opened = countdown(2);
  const logger = pino({}, { write: (line: string) => void (line.includes('link.opened') && opened.hit()) });
  const timing = (computeMs: number) => ({ ...TIMING, computeMs, batchRows: 1 });
  const answer = (computeMs: number) => (call: IncomingCall) => {
    call.respond(encodeValue('ok'), timing(computeMs));
  };
  const fast = await startRunner(t, { load: () => ({ ...IDLE, waitMs: 1 }), onCall: answer(1) });
  const slow = await startRunner(t, { load: () => ({ ...IDLE, waitMs: 400 }), onCall: answer(400) });
  const links = connect(t, [fast.address, slow.address], { logger });
  await opened.done;
  while (slow.calls.length === 0 || fast.calls.length === 0) await links.call(request(1));
  const before = slow.calls.length;
  for (let call = 0; call < 50; call += 1) await links.call(request(1));
  assert.equal(slow.calls.length, before);
});

test('A runner tells its load by itself where no reply does', LIMIT, async (t) => {
  let load: LinkLoad = { ...IDLE, waitMs: 10 };
  const opened = countdown(2);
  const logger = pino({}, { write: (line: string) => void (line.includes('link.opened') && opened.hit()) });
  const answer = (call: IncomingCall): void => {
    call.respond(encodeValue('ok'), { ...TIMING, computeMs: 10, batchRows: 1 });
  };
  const changing = await startRunner(t, { load: () => load, onCall: answer });
  const steady = await startRunner(t, { load: () => ({ ...IDLE, waitMs: 20 }), onCall: answer });
  const links = connect(t, [changing.address, steady.address], { logger });
  await opened.done;
  while (changing.calls.length === 0 || steady.calls.length === 0) await links.call(request(1));
  // It gets slow by the calls of others; this caller hears of it without calling it.
  load = { ...IDLE, waitMs: 300_000 };
  const before = changing.calls.length;
  let sent = 0;
  while (changing.calls.length - before === sent) {
    await links.call(request(1));
    sent += 1;
    await turn();
  }
  assert.ok(steady.calls.length > 1);
});

test('A call that would break maxInFlightBytes goes to another worker, or is refused', LIMIT, async (t) => {
  const hello = { maxInFlightBytes: 10_000 };
  const arrived = countdown(2);
  const opened = countdown(2);
  const logger = pino({}, { write: (line: string) => void (line.includes('link.opened') && opened.hit()) });
  const runners = [
    await startRunner(t, { hello, onCall: arrived.hit }),
    await startRunner(t, { hello, onCall: arrived.hit }),
  ] as const;
  const links = connect(
    t,
    runners.map(({ address }) => address),
    { logger },
  );
  await opened.done;
  const large = 'x'.repeat(8000);
  const answers = [links.call(request(large)), links.call(request(large))];
  await arrived.done;
  assert.deepEqual(
    runners.map(({ calls }) => calls.length),
    [1, 1],
  );
  await assert.rejects(links.call(request(large)), isCode('QUEUE_FULL'));
  const small = links.call(request('small'));
  for (const { calls } of runners) for (const call of calls) echo(call);
  await Promise.all(answers);
  while (runners[0].calls.length + runners[1].calls.length < 3) await turn();
  for (const { calls } of runners) for (const call of calls) echo(call);
  assert.equal(await small, 'small');
});

test('One call alone is taken whatever its size', LIMIT, async (t) => {
  const runner = await startRunner(t, { hello: { maxInFlightBytes: 10 } });
  const links = connect(t, [runner.address]);
  const large = 'x'.repeat(8000);
  assert.equal(await links.call(request(large)), large);
  assert.equal(await links.call(request(large)), large);
});

test('RunnerLinks.probe is ready where a worker was heard', LIMIT, async (t) => {
  const links = connect(t, [(await startRunner(t)).address]);
  await links.call(request(1));
  assert.deepEqual(await links.probe(10_000), { ready: true });
});

test('RunnerLinks.probe is not ready where no worker is connected, and names the runner', LIMIT, async (t) => {
  const runner = await startRunner(t, { isReady: false });
  const links = connect(t, [runner.address]);
  const readiness = await links.probe(100);
  assert.ok(!readiness.ready);
  assert.equal(readiness.runner, 'digits');
  runner.link.setReady(runner.hello);
  await links.whenReady();
  assert.deepEqual(await links.probe(1000), { ready: true });
});

test('RunnerLinks.probe and whenReady of one runner ask nothing of the others', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const loading = await startRunner(t, { isReady: false });
  const map = { digits: [runner.address], other: [loading.address] };
  const links = connect(t, [], { map });
  await links.whenReady(['digits']);
  assert.deepEqual(await links.probe(10_000, 'digits'), { ready: true });
  const other = await links.probe(100, 'other');
  assert.ok(!other.ready);
  assert.equal(other.runner, 'other');
  assert.equal((await links.probe(100)).ready, false);
  assert.equal((await links.probe(100, 'none')).ready, false); // it is not in the map

  await links.whenReady(['none']);
  const waiting = links.whenReady(['other']);
  links.setMap({ digits: [runner.address] }); // whoever waits for it need not any more
  await waiting;
});

test(
  'RunnerLinks.whenLeft waits until the worker of a runner that left the map has read its calls',
  LIMIT,
  async (t) => {
    const runner = await startRunner(t, { onCall: () => undefined });
    const links = connect(t, [runner.address]);
    await links.whenReady();
    await links.whenLeft(); // nobody has left
    const answer = links.call(request('kept'));
    links.setMap({});
    await links.whenLeft();
    assert.equal(runner.calls.length, 1); // it is there, and not answered
    for (const call of runner.calls) echo(call);
    assert.equal(await answer, 'kept');
    await links.whenLeft();
  },
);
