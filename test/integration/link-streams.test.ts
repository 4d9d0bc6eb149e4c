import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import type { IncomingCall } from '#dist/link/link-server.js';
import type { RunnerLinksOptions } from '#dist/link/runner-links.js';
import { encodeValue, tensorOf, type Tensor } from '#dist/tensor/index.js';
import { newTiming } from '#dist/service/invoke.js';
import { makeCertificates } from '../support/certificates.js';
import {
  connect,
  countdown,
  isCode,
  request,
  sendNumbers,
  startRunner,
  TIMING,
  type RunnerOptions,
} from './link-harness.js';

const LIMIT = { timeout: 30_000 };
const ITEMS = { method: 'items' };

async function readAll(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

interface Transport {
  readonly runner: RunnerOptions;
  readonly links: Partial<RunnerLinksOptions>;
}

const TRANSPORTS: Readonly<Record<string, (t: TestContext) => Transport>> = {
  'a unix socket': () => ({ runner: {}, links: {} }),
  'TCP with a token': () => ({ runner: { port: 'tcp', token: 'secret' }, links: { token: 'secret' } }),
  'TLS with client certificates and a token': (t) => {
    const certificates = makeCertificates(t);
    const [ca, cert, key, clientCert, clientKey] = (['ca', 'cert', 'key', 'clientCert', 'clientKey'] as const).map(
      (name) => readFileSync(certificates[name]),
    );
    assert.ok(ca !== undefined && cert !== undefined && key !== undefined);
    assert.ok(clientCert !== undefined && clientKey !== undefined);
    return {
      runner: { port: { ca, cert, key, requestCert: true, rejectUnauthorized: true }, token: 'secret' },
      links: { token: 'secret', tls: { ca, cert: clientCert, key: clientKey } },
    };
  },
};

for (const [name, toTransport] of Object.entries(TRANSPORTS)) {
  test(`RunnerLinks.stream gives every item in order over ${name}, many streams at once`, LIMIT, async (t) => {
    const { runner: options, links: linkOptions } = toTransport(t);
    const runner = await startRunner(t, {
      ...options,
      onCall: (call) => {
        sendNumbers(call, 500);
      },
    });
    const links = connect(t, [runner.address], linkOptions);
    const streams = Array.from({ length: 20 }, () => readAll(links.stream(request(1, ITEMS))));
    for (const items of await Promise.all(streams)) assert.deepEqual(items, numbers(500));
  });

  test(`RunnerLinks.stream carries large tensors over ${name}, each in memory of its own`, LIMIT, async (t) => {
    const { runner: options, links: linkOptions } = toTransport(t);
    const onCall = (call: IncomingCall): void => {
      let next = 0;
      const send = (): void => {
        while (call.credit > 0 && next < 10)
          call.sendItem(encodeValue(tensorOf('float32', [150_528], new Float32Array(150_528).fill(next++))));
        if (next === 10) call.end(TIMING);
      };
      call.onCredit = send;
      send();
    };
    const runner = await startRunner(t, { ...options, onCall });
    const items = (await readAll(connect(t, [runner.address], linkOptions).stream(request(1, ITEMS)))) as Tensor[];
    assert.deepEqual(
      items.map(({ data, shape }) => [data[0], data[150_527], shape]),
      numbers(10).map((i) => [i, i, [150_528]]),
    );
  });
}

test('RunnerLinks.stream sends no call before it is read', LIMIT, async (t) => {
  const runner = await startRunner(t);
  const links = connect(t, [runner.address]);
  await links.whenReady();
  links.stream(request(1, ITEMS));
  assert.equal(await links.call(request('after')), 'after');
  assert.equal(runner.calls.length, 1);
});

test('RunnerLinks.stream adds up the times of its end', LIMIT, async (t) => {
  const runner = await startRunner(t, {
    onCall: (call) => {
      sendNumbers(call, 3);
    },
  });
  const timing = newTiming();
  await readAll(connect(t, [runner.address]).stream(request(1, { ...ITEMS, timing })));
  assert.deepEqual(timing, TIMING);
});

test('A consumer that stops reading stops the producer, and goes on where it stopped', LIMIT, async (t) => {
  let sent = 0;
  const runner = await startRunner(t, {
    onCall: (call) => {
      if (!call.isStream) return call.respond(encodeValue(1), TIMING);
      const send = (): void => {
        while (call.credit > 0) call.sendItem(encodeValue(sent++));
      };
      call.onCredit = send;
      return send();
    },
  });
  const links = connect(t, [runner.address]);
  const stream = links.stream(request(1, ITEMS));
  for (let item = 0; item < 200; item += 1) assert.equal((await stream.next()).value, item);
  await links.call(request('a call there and back: credits and items before it have arrived'));
  const stopped = sent;
  assert.ok(stopped <= 200 + 32, `${stopped} items were sent`);
  for (let turn = 0; turn < 5; turn += 1) await links.call(request('again'));
  assert.equal(sent, stopped);
  for (let item = 200; item < 400; item += 1) assert.equal((await stream.next()).value, item);
  await stream.return?.();
});

test('A break in the iteration cancels the call at the runner', LIMIT, async (t) => {
  const cancelled = countdown(1);
  const runner = await startRunner(t, {
    onCall: (call) => {
      call.onCancel = cancelled.hit;
      call.sendItem(encodeValue('first'));
    },
  });
  const links = connect(t, [runner.address]);
  for await (const item of links.stream(request(1, ITEMS))) {
    assert.equal(item, 'first');
    break;
  }
  await cancelled.done;
  assert.equal(runner.calls[0]?.cancelled, true);
});

test('RunnerLinks.stream rejects with what the runner failed with, after the items before it', LIMIT, async (t) => {
  const runner = await startRunner(t, {
    onCall: (call) => {
      call.sendItem(encodeValue('a'));
      call.sendItem(encodeValue('b'));
      call.fail(new JubakoError('USER_CODE', 'broke at c'), TIMING);
    },
  });
  const stream = connect(t, [runner.address]).stream(request(1, ITEMS));
  assert.equal((await stream.next()).value, 'a');
  assert.equal((await stream.next()).value, 'b');
  await assert.rejects(stream.next(), isCode('USER_CODE', /broke at c/));
});

test('RunnerLinks.stream rejects with the reason of its cancellation, and the runner hears of it', LIMIT, async (t) => {
  const cancelled = countdown(1);
  const arrived = countdown(1);
  const runner = await startRunner(t, {
    onCall: (call) => {
      call.onCancel = cancelled.hit;
      arrived.hit();
    },
  });
  const cancellation = new Cancellation();
  const next = connect(t, [runner.address])
    .stream(request(1, { ...ITEMS, cancellation }))
    .next();
  await arrived.done;
  cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
  await assert.rejects(next, isCode('CLIENT_GONE'));
  await cancelled.done;
  assert.equal(runner.calls.length, 1);
});

test('RunnerLinks.stream rejects at its deadline, also in the middle', LIMIT, async (t) => {
  const cancelled = countdown(1);
  const runner = await startRunner(t, {
    onCall: (call) => {
      call.onCancel = cancelled.hit;
      call.sendItem(encodeValue('first'));
    },
  });
  const links = connect(t, [runner.address]);
  await links.whenReady();
  const stream = links.stream(request(1, { ...ITEMS, deadlineAtMs: performance.now() + 100 }));
  assert.equal((await stream.next()).value, 'first');
  await assert.rejects(stream.next(), isCode('DEADLINE_EXCEEDED'));
  await cancelled.done;
});

test('RunnerLinks.stream rejects with RUNNER_LOST when its worker is lost after an item', LIMIT, async (t) => {
  const onCall = (call: IncomingCall): void => {
    call.sendItem(encodeValue('first'));
  };
  const dying = await startRunner(t, { onCall });
  const other = await startRunner(t, { onCall });
  const links = connect(t, [dying.address]);
  const stream = links.stream(request(1, ITEMS));
  assert.equal((await stream.next()).value, 'first');
  links.setMap({ digits: [dying.address, other.address] });
  await dying.kill();
  await assert.rejects(stream.next(), isCode('RUNNER_LOST'));
  assert.equal(other.calls.length, 0);
});

test(
  'RunnerLinks.stream begins again on another worker where no item came, and the method allows it',
  LIMIT,
  async (t) => {
    const arrived = countdown(2);
    const dying = await startRunner(t, { onCall: arrived.hit });
    const links = connect(t, [dying.address]);
    const items = readAll(links.stream(request(1, ITEMS)));
    const lines = links.stream(request(1, { method: 'lines' })).next();
    const rejected = assert.rejects(lines, isCode('RUNNER_LOST'));
    await arrived.done;
    const other = await startRunner(t, {
      onCall: (call) => {
        sendNumbers(call, 50);
      },
    });
    links.setMap({ digits: [dying.address, other.address] });
    await dying.kill();
    assert.deepEqual(await items, numbers(50));
    await rejected;
    assert.deepEqual(
      other.calls.map(({ method, isReplay }) => [method, isReplay]),
      [['items', true]],
    );
  },
);

test('Open streams go on to their end after a goodbye, of the runner and of the caller', LIMIT, async (t) => {
  const runner = await startRunner(t, {
    onCall: (call) => {
      sendNumbers(call, 300);
    },
  });
  const links = connect(t, [runner.address]);
  const first = links.stream(request(1, ITEMS));
  const second = links.stream(request(1, ITEMS));
  assert.deepEqual([(await first.next()).value, (await second.next()).value], [0, 0]);
  const drained = runner.link.drain();
  const firstItems = await readAll(first);
  assert.equal(firstItems.length, 299);
  const closed = links.close(20_000);
  assert.equal((await readAll(second)).length, 299);
  await Promise.all([drained, closed]);
});

test('A stream is one call in flight, until its end', LIMIT, async (t) => {
  const arrived = countdown(1);
  const runner = await startRunner(t, { hello: { maxInFlight: 1 }, onCall: arrived.hit });
  const links = connect(t, [runner.address]);
  await links.whenReady();
  const stream = links.stream(request(1, ITEMS));
  const next = stream.next();
  await arrived.done;
  await assert.rejects(links.call(request(2)), isCode('QUEUE_FULL'));
  runner.calls[0]?.sendItem(encodeValue('first'));
  assert.equal((await next).value, 'first');
  await assert.rejects(links.call(request(3)), isCode('QUEUE_FULL'));
  await stream.return?.();
  const answer = links.call(request(4));
  while (runner.calls.length < 2) await new Promise(setImmediate);
  runner.calls[1]?.respond(encodeValue('answered'), TIMING);
  assert.equal(await answer, 'answered');
});

test('RunnerLinks refuses to stream what gives one value, and to call what streams', LIMIT, async (t) => {
  const links = connect(t, [(await startRunner(t)).address]);
  await links.whenReady();
  await assert.rejects(links.call(request(1, ITEMS)), isCode('NOT_FOUND', /digits\.items.*stream/));
  await assert.rejects(links.stream(request(1)).next(), isCode('NOT_FOUND', /digits\.echo.*one value/));
  await assert.rejects(links.stream(request(1, { method: 'other' })).next(), isCode('NOT_FOUND', /echo, once, items/));
});

test('An item that is too large ends its stream with TOO_LARGE, and the producer hears of it', LIMIT, async (t) => {
  const cancelled = countdown(1);
  const runner = await startRunner(t, {
    hello: { maxFrameBytes: 8192 },
    onCall: (call) => {
      call.onCancel = cancelled.hit;
      call.sendItem(encodeValue('x'.repeat(9000)));
    },
  });
  const links = connect(t, [runner.address]);
  await assert.rejects(links.stream(request(1, ITEMS)).next(), isCode('TOO_LARGE', /item.*8192/));
  await cancelled.done;
});

test('IncomingCall throws at a runner that does not keep to the form of its method', LIMIT, async (t) => {
  const seen = countdown(2);
  const runner = await startRunner(t, {
    onCall: (call) => {
      if (call.isStream) {
        assert.throws(() => {
          call.respond(encodeValue(1), TIMING);
        }, TypeError);
        while (call.credit > 0) call.sendItem(encodeValue(1));
        assert.throws(() => {
          call.sendItem(encodeValue(1));
        }, TypeError);
        call.end(TIMING);
      } else {
        assert.throws(() => {
          call.end(TIMING);
        }, TypeError);
        call.respond(encodeValue(1), TIMING);
      }
      seen.hit();
    },
  });
  const links = connect(t, [runner.address]);
  await readAll(links.stream(request(1, ITEMS)));
  await links.call(request(1));
  await seen.done;
});
