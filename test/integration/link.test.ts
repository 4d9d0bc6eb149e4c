import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import type { IncomingCall } from '#dist/link/link-server.js';
import { encodeValue, tensorOf, type Tensor } from '#dist/tensor/index.js';
import { newTiming } from '#dist/service/invoke.js';
import { connect, countdown, echo, isCode, request, socketPath, startRunner, TIMING } from './link-harness.js';

const LIMIT = { timeout: 30_000 };

test('RunnerLinks.call carries JSON, tensors and trees there and back', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const links = connect(t, [runner.address]);
  await links.whenReady();
  assert.deepEqual(await links.call(request({ a: [1, 'ä'] })), { a: [1, 'ä'] });
  const tensor = (await links.call(request(tensorOf('float32', [1, 2], [1, 2])))) as Tensor;
  assert.deepEqual([tensor.dtype, tensor.shape, [...tensor.data]], ['float32', [1, 2], [1, 2]]);
  const tree = (await links.call(request({ image: tensorOf('uint8', [2], [8, 9]) }))) as { image: Tensor };
  assert.deepEqual([...tree.image.data], [8, 9]);
  const large = new Float32Array(1_000_000).fill(0.5);
  const back = (await links.call(request(tensorOf('float32', [1_000_000], large)))) as Tensor<'float32'>;
  assert.deepEqual(back.data, large);
});

test('RunnerLinks.call answers many calls at once, each with its own', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const links = connect(t, [runner.address]);
  const inputs = Array.from({ length: 1000 }, (_, i) => ({ i }));
  const cancellation = new Cancellation();
  assert.deepEqual(await Promise.all(inputs.map((input) => links.call(request(input, { cancellation })))), inputs);
});

test('RunnerLinks.call gives the runner method, request id and deadline, and adds up the times', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const links = connect(t, [runner.address]);
  const timing = newTiming();
  const deadlineAtMs = performance.now() + 20_000;
  await links.call(request(1, { method: 'once', requestId: 'abc-7', deadlineAtMs, timing }));
  await links.call(request(1, { timing }));
  const [first, second] = runner.calls;
  assert.equal(first?.method, 'once');
  assert.equal(first.requestId, 'abc-7');
  assert.ok(Math.abs((first.deadlineAtMs ?? 0) - deadlineAtMs) < 20_000);
  assert.equal(second?.deadlineAtMs, undefined);
  assert.deepEqual(timing, { queueMs: 2, batchMs: 1, computeMs: 4, batchRows: TIMING.batchRows });
});

test('RunnerLinks.call rejects with the code, message and details that the runner failed with', LIMIT, async (t) => {
  const onCall = (call: IncomingCall): void => {
    call.fail(new JubakoError('INVALID_INPUT', 'Cannot use it', { details: [{ path: '/a' }] }), TIMING);
  };
  const links = connect(t, [(await startRunner(t, { onCall })).address]);
  const timing = newTiming();
  await assert.rejects(links.call(request(1, { timing })), (thrown) => {
    assert.ok(thrown instanceof JubakoError);
    assert.deepEqual(thrown.toBody(), { code: 'INVALID_INPUT', message: 'Cannot use it', details: [{ path: '/a' }] });
    return true;
  });
  assert.equal(timing.computeMs, TIMING.computeMs);
});

test('RunnerLinks.call rejects with INTERNAL when the runner throws at it', LIMIT, async (t) => {
  const onCall = (): void => {
    throw new Error('broken');
  };
  const links = connect(t, [(await startRunner(t, { onCall })).address]);
  await assert.rejects(links.call(request(1)), isCode('INTERNAL', /broken/));
});

test('RunnerLinks.call names the runners and methods that there are', LIMIT, async (t) => {
  const links = connect(t, [(await startRunner(t)).address]);
  await links.whenReady();
  await assert.rejects(links.call(request(1, { runner: 'letters' })), isCode('NOT_FOUND', /letters.*digits/));
  await assert.rejects(
    links.call(request(1, { method: 'other' })),
    isCode('NOT_FOUND', /other.*echo, once, items, lines/),
  );
});

test('RunnerLinks.call refuses what cannot be sent, and goes on', LIMIT, async (t) => {
  const links = connect(t, [(await startRunner(t, { hello: { maxFrameBytes: 8192 } })).address]);
  await assert.rejects(links.call(request(1n)), isCode('INVALID_INPUT'));
  await assert.rejects(links.call(request('x'.repeat(9000))), isCode('TOO_LARGE', /8192/));
  await assert.rejects(links.call(request(1, { requestId: 'x'.repeat(2000) })), isCode('INVALID_INPUT'));
  assert.equal(await links.call(request(1)), 1);
});

test('IncomingCall.respond turns an answer that is too large into TOO_LARGE', LIMIT, async (t) => {
  const onCall = (call: IncomingCall): void => {
    call.respond(encodeValue('x'.repeat(9000)), TIMING);
  };
  const links = connect(t, [(await startRunner(t, { hello: { maxFrameBytes: 8192 }, onCall })).address]);
  await assert.rejects(links.call(request(1)), isCode('TOO_LARGE', /8192/));
});

test('RunnerLinks.whenReady waits for the hello of a runner that is loading', LIMIT, async (t) => {
  const runner = await startRunner(t, { isReady: false });
  const links = connect(t, [runner.address]);
  const ready = links.whenReady();
  assert.deepEqual(links.readiness().ready, false);
  runner.link.setReady(runner.hello);
  await ready;
  assert.deepEqual(links.readiness(), { ready: true });
});

test('RunnerLinks.call rejects with CLIENT_GONE at an abort, and the runner hears of it', LIMIT, async (t) => {
  const arrived = countdown(1);
  const cancelled = countdown(1);
  const onCall = (call: IncomingCall): void => {
    call.onCancel = cancelled.hit;
    arrived.hit();
  };
  const runner = await startRunner(t, { onCall });
  const links = connect(t, [runner.address]);
  const cancellation = new Cancellation();
  const answer = links.call(request(1, { cancellation }));
  await arrived.done;
  cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
  await assert.rejects(answer, isCode('CLIENT_GONE'));
  await cancelled.done;
  assert.equal(runner.calls[0]?.cancelled, true);
  runner.calls[0].respond(encodeValue('too late'), TIMING); // ignored
  await assert.rejects(links.call(request(1, { cancellation })), isCode('CLIENT_GONE'));
});

test('RunnerLinks.call rejects with the reason of the cancellation', LIMIT, async (t) => {
  const arrived = countdown(1);
  const links = connect(t, [(await startRunner(t, { onCall: arrived.hit })).address]);
  const cancellation = new Cancellation();
  const answer = links.call(request(1, { cancellation }));
  await arrived.done;
  const reason = new JubakoError('DEADLINE_EXCEEDED', 'the limit of the setting');
  cancellation.cancel(reason);
  await assert.rejects(answer, (thrown) => thrown === reason);
});

test(
  'RunnerLinks.call rejects with DEADLINE_EXCEEDED at its deadline, and the runner hears of it',
  LIMIT,
  async (t) => {
    const cancelled = countdown(2);
    const onCall = (call: IncomingCall): void => {
      call.onCancel = cancelled.hit;
    };
    const links = connect(t, [(await startRunner(t, { onCall })).address]);
    await links.whenReady();
    const slow = links.call(request(1, { deadlineAtMs: performance.now() + 60 }));
    const fast = links.call(request(1, { deadlineAtMs: performance.now() + 20 }));
    await assert.rejects(fast, isCode('DEADLINE_EXCEEDED'));
    await assert.rejects(slow, isCode('DEADLINE_EXCEEDED'));
    await cancelled.done;
    await assert.rejects(links.call(request(1, { deadlineAtMs: performance.now() - 1 })), isCode('DEADLINE_EXCEEDED'));
  },
);

test('RunnerLinks.call rejects with QUEUE_FULL where every worker has maxInFlight calls', LIMIT, async (t) => {
  const arrived = countdown(2);
  const runner = await startRunner(t, { hello: { maxInFlight: 2 }, onCall: arrived.hit });
  const links = connect(t, [runner.address]);
  await links.whenReady();
  const answers = [links.call(request(1)), links.call(request(2))];
  await assert.rejects(links.call(request(3)), isCode('QUEUE_FULL'));
  await arrived.done;
  for (const call of runner.calls) call.respond(encodeValue('ok'), TIMING);
  assert.deepEqual(await Promise.all(answers), ['ok', 'ok']);
});

test('RunnerLinks gives calls to the worker that has fewer of them', LIMIT, async (t) => {
  const opened = countdown(2);
  const write = (line: string): void => {
    if (line.includes('link.opened')) opened.hit();
  };
  const arrived = countdown(10);
  const runners = [
    await startRunner(t, { onCall: arrived.hit }),
    await startRunner(t, { onCall: arrived.hit }),
  ] as const;
  const addresses = runners.map(({ address }) => address);
  const links = connect(t, addresses, { logger: pino({}, { write }) });
  await opened.done;
  const first = Array.from({ length: 10 }, (_, i) => links.call(request(i)));
  await arrived.done;
  const [one, two] = runners;
  assert.deepEqual([one.calls.length, two.calls.length], [5, 5]);
  for (const call of [...one.calls]) echo(call);
  await Promise.race(first);
  const second = Array.from({ length: 4 }, (_, i) => links.call(request(i)));
  while (one.calls.length + two.calls.length < 14) await new Promise(setImmediate);
  assert.deepEqual([one.calls.length, two.calls.length], [9, 5]);
  for (const call of [...one.calls, ...two.calls]) echo(call);
  await Promise.all([...first, ...second]);
});

async function rawExchange(t: TestContext, path: string, bytes: Buffer | string): Promise<string> {
  const socket = connectSocket(path);
  t.after(() => {
    socket.destroy();
  });
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

const UPGRADE = 'GET /jubako/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: jubako-link/';

test('LinkServer answers an unknown version with 426 and says what it speaks', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const text = await rawExchange(t, runner.path, `${UPGRADE}9\r\n\r\n`);
  assert.match(text, /^HTTP\/1\.1 426 [^]*Upgrade: jubako-link\/2\r\n[^]*Cannot speak "jubako-link\/9"/);
});

test('LinkServer closes a connection that sends garbage, and only that', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const links = connect(t, [runner.address]);
  await links.whenReady();
  const garbage = Buffer.concat([Buffer.from(`${UPGRADE}2\r\n\r\n`), Buffer.alloc(4096, 0xee)]);
  const text = await rawExchange(t, runner.path, garbage);
  assert.match(text, /^HTTP\/1\.1 101 [^]*LINK_PROTOCOL/);
  assert.equal(await links.call(request('still here')), 'still here');
  assert.equal(runner.link.connectionCount, 1);
});

test('RunnerLinks is not ready with a wrong token, says why, and never says the token', LIMIT, async (t) => {
  const runner = await startRunner(t, { token: 'right' });
  const wrong = connect(t, [runner.address], { token: 'wrong' });
  await assert.rejects(wrong.call(request(1)), isCode('NOT_READY'));
  const readiness = wrong.readiness();
  assert.ok(!readiness.ready);
  assert.match(readiness.reason, /401.*token/);
  assert.doesNotMatch(readiness.reason, /right|wrong/);
  assert.equal(await connect(t, [runner.address], { token: 'right' }).call(request(1)), 1);
});

test('RunnerLinks does not use an address that serves another runner, and names both', LIMIT, async (t) => {
  const runner = await startRunner(t, { hello: { runner: 'letters' } });
  const links = connect(t, [runner.address]);
  await assert.rejects(links.call(request(1)), isCode('NOT_READY'));
  const readiness = links.readiness();
  assert.ok(!readiness.ready);
  assert.match(readiness.reason, /"digits".*"letters"/);
});

test('RunnerLinks.call rejects with NOT_READY where nothing listens, or at an earlier deadline', LIMIT, async (t) => {
  const links = connect(t, [`unix://${socketPath(t)}`]);
  await assert.rejects(links.call(request(1)), isCode('NOT_READY', /digits/));
  await assert.rejects(links.call(request(1, { deadlineAtMs: performance.now() + 10 })), isCode('DEADLINE_EXCEEDED'));
});

test('RunnerLinks refuses a token that no header can carry with CONFIG_INVALID', () => {
  assert.throws(
    () => connect({ after: () => undefined } as unknown as TestContext, [], { token: 'a\nb' }),
    isCode('CONFIG_INVALID'),
  );
});

test('RunnerLinks connects to every worker behind one shared address', LIMIT, async (t) => {
  const names = ['w-0', 'w-1', 'w-2'];
  const runners = await Promise.all(
    names.map((worker) => startRunner(t, { hello: { worker, workersHere: names.length } })),
  );
  // A port that is answered by turns, as the primary of a runner server does.
  let turn = 0;
  const shared = createServer((socket) => {
    const runner = runners[turn++ % runners.length];
    const inner = connectSocket(runner?.path ?? '');
    socket.on('error', () => inner.destroy());
    inner.on('error', () => socket.destroy());
    socket.pipe(inner).pipe(socket);
  });
  shared.listen(0, '127.0.0.1');
  await once(shared, 'listening');
  t.after(() => shared.close());

  const seen = new Set<string>();
  await new Promise<void>((resolve) => {
    const write = (line: string): void => {
      const { event, runnerWorker } = JSON.parse(line) as { event?: string; runnerWorker?: string };
      if (event === 'link.opened' && runnerWorker !== undefined) seen.add(runnerWorker);
      if (seen.size === names.length) resolve();
    };
    connect(t, [`tcp://127.0.0.1:${(shared.address() as AddressInfo).port}`], {
      logger: pino({ level: 'info' }, { write }),
    });
  });
  assert.deepEqual([...seen].sort(), names);
});
