import assert from 'node:assert/strict';
import type { JubakoError } from '#dist/errors.js';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { parseErrorBody } from '#dist/link/error-body.js';
import { Frame, FRAME, FRAME_HEADER_BYTES } from '#dist/link/frame.js';
import { MAX_CREDIT } from '#dist/link/frame-meta.js';
import { FrameReader } from '#dist/link/frame-reader.js';
import { bodyOf, FrameWriter } from '#dist/link/frame-writer.js';
import { LINK_VERSION } from '#dist/link/hello.js';
import { encodeValue } from '#dist/tensor/index.js';
import { connect, isCode, request, IDLE, socketPath, startRunner, TIMING } from './link-harness.js';

const LIMIT = { timeout: 30_000 };

/** A server that speaks bytes: answers an upgrade with 101, a hello, and what the test says. */
async function startBytes(
  t: TestContext,
  onUpgrade: (writer: FrameWriter, socket: Duplex, turn: number) => void,
  version: unknown = LINK_VERSION,
): Promise<string> {
  const path = socketPath(t);
  const server = createServer();
  const sockets = new Set<Duplex>();
  let turn = 0;
  server.on('upgrade', (_request, socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: jubako-link/2\r\n\r\n');
    const writer = new FrameWriter(socket);
    const methods = ['echo', 'once', 'items'].map((name) => ({
      name,
      idempotent: name === 'echo',
      streams: name === 'items',
    }));
    const hello = {
      version,
      runner: 'digits',
      worker: 'bytes',
      methods,
      workersHere: 1,
      maxFrameBytes: 65_536,
      maxInFlight: 8,
      maxInFlightBytes: 65_536,
      ready: true,
    };
    writer.plain(FRAME.hello, 0, bodyOf(Buffer.from(JSON.stringify(hello))));
    onUpgrade(writer, socket, turn);
    turn += 1;
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `unix://${path}`;
}

test('RunnerLinks closes a connection that sends garbage, repeats its calls and connects again', LIMIT, async (t) => {
  const address = await startBytes(t, (writer, socket, turn) => {
    if (turn === 0) socket.once('data', () => socket.write(Buffer.alloc(64, 0xee)));
    else socket.on('data', () => writer.reply(FRAME.response, 0, 1, TIMING, IDLE, encodeValue('second')));
  });
  const links = connect(t, [address]);
  await links.whenReady();
  assert.equal(await links.call(request(1)), 'second');
});

test(
  'RunnerLinks rejects with LINK_PROTOCOL where the value of an answer or an item cannot be read',
  LIMIT,
  async (t) => {
    const broken = { head: Buffer.from([1, 99]), parts: [], byteLength: 2 };
    const address = await startBytes(t, (writer, socket) => {
      const reader = new FrameReader(65_536, ({ kind, id, bytes, metaAt }) => {
        if (kind !== FRAME.request) return;
        if (bytes.readUInt16LE(metaAt) === 0) writer.reply(FRAME.response, 0, id, TIMING, IDLE, broken);
        else writer.plain(FRAME.item, id, broken);
      });
      socket.on('data', (chunk: Buffer) => {
        reader.push(chunk);
      });
    });
    const links = connect(t, [address]);
    await assert.rejects(links.call(request(1)), isCode('LINK_PROTOCOL'));
    await assert.rejects(links.stream(request(1, { method: 'items' })).next(), isCode('LINK_PROTOCOL'));
  },
);

test('RunnerLinks refuses a runner of another version, says why, and tells the runner', LIMIT, async (t) => {
  let tell: (message: string) => void = () => undefined;
  const told = new Promise<string>((resolve) => (tell = resolve));
  const onUpgrade = (_writer: FrameWriter, socket: Duplex): void => {
    const reader = new FrameReader(65_536, (frame) => {
      if (frame.kind === FRAME.error) tell(parseErrorBody(frame.body).message);
    });
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
    });
  };
  const links = connect(t, [await startBytes(t, onUpgrade, 3)]);
  assert.match(await told, /"version" is 3, wanted 2/);
  await assert.rejects(links.call(request(1, { deadlineAtMs: performance.now() + 1 })), isCode('DEADLINE_EXCEEDED'));
  const readiness = links.readiness();
  assert.ok(!readiness.ready);
  assert.match(readiness.reason, /"version" is 3, wanted 2/);
});

for (const [what, method, misbehave] of [
  [
    'an item without credit',
    'items',
    (writer: FrameWriter) => {
      for (let item = 0; item < 40; item += 1) writer.plain(FRAME.item, 1, encodeValue(item));
    },
  ],
  [
    'one value for a stream',
    'items',
    (writer: FrameWriter) => {
      writer.reply(FRAME.response, 0, 1, TIMING, IDLE, encodeValue(1));
    },
  ],
  [
    'an item for a call of one value',
    'once',
    (writer: FrameWriter) => {
      writer.plain(FRAME.item, 1, encodeValue(1));
    },
  ],
  [
    'the end of a stream for a call of one value',
    'once',
    (writer: FrameWriter) => {
      writer.reply(FRAME.end, 0, 1, TIMING, IDLE, bodyOf(Buffer.alloc(0)));
    },
  ],
  [
    'credit',
    'once',
    (writer: FrameWriter) => {
      writer.credit(1, 1);
    },
  ],
] as const) {
  test(`RunnerLinks closes a connection that sends ${what}, logs why and tells the runner`, LIMIT, async (t) => {
    let tell: (code: string) => void = () => undefined;
    const told = new Promise<string>((resolve) => (tell = resolve));
    const address = await startBytes(t, (writer, socket, turn) => {
      const reader = new FrameReader(65_536, (frame) => {
        if (frame.kind === FRAME.request && turn === 0) misbehave(writer);
        if (frame.kind === FRAME.error) tell(parseErrorBody(frame.body).code);
      });
      socket.on('data', (chunk: Buffer) => {
        reader.push(chunk);
      });
    });
    const lines: string[] = [];
    const links = connect(t, [address], { logger: pino({}, { write: (line: string) => void lines.push(line) }) });
    const asked = request(1, { method });
    const answer = method === 'items' ? readAll(links.stream(asked)) : links.call(asked);
    await assert.rejects(answer, isCode('RUNNER_LOST'));
    assert.equal(await told, 'LINK_PROTOCOL');
    assert.match(lines.join(''), /link\.lost.*LINK_PROTOCOL/);
  });
}

async function readAll(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

test('RunnerLinks notices a runner that is silent without closing, and its calls are lost', LIMIT, async (t) => {
  let pings = 0;
  const address = await startBytes(t, (_writer, socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.length === 16 && chunk[8] === FRAME.ping) pings += 1;
    });
  });
  const links = connect(t, [address]);
  await links.whenReady();
  await assert.rejects(links.call(request(1, { method: 'once' })), (thrown: JubakoError) => {
    assert.equal(thrown.code, 'RUNNER_LOST');
    assert.match((thrown.cause as JubakoError).message, /said nothing/); // for the log, not for clients
    return true;
  });
  assert.ok(pings > 0);
});

interface RawLink {
  readonly writer: FrameWriter;
  readonly next: () => Promise<Frame>;
  readonly closed: Promise<unknown>;
}

/** A caller that speaks frames, and keeps to no rule. */
async function rawLink(t: TestContext, path: string): Promise<RawLink> {
  const socket = connectSocket(path);
  t.after(() => {
    socket.destroy();
  });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.write('GET /jubako/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: jubako-link/2\r\n\r\n');
  const [first] = (await once(socket, 'data')) as [Buffer];
  const frames: Frame[] = [];
  let wake: () => void = () => undefined;
  const reader = new FrameReader(65_536, (frame) => {
    frames.push(new Frame().set(frame.bytes, frame.metaAt - FRAME_HEADER_BYTES)); // F4
    wake();
  });
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk);
  });
  reader.push(first.subarray(first.indexOf('\r\n\r\n') + 4));
  const next = async (): Promise<Frame> => {
    while (frames.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return frames.shift() as Frame;
  };
  const writer = new FrameWriter(socket);
  writer.plain(FRAME.hello, 0, bodyOf(Buffer.from('{"version":2,"peer":"raw"}')));
  assert.equal((await next()).kind, FRAME.hello);
  return { writer, next, closed };
}

test('LinkServer answers QUEUE_FULL to a caller that goes beyond maxInFlight', LIMIT, async (t) => {
  const runner = await startRunner(t, { hello: { maxInFlight: 1 }, onCall: () => undefined });
  const { writer, next } = await rawLink(t, runner.path);
  writer.request(1, 0, 0, 'a', 0, 0, encodeValue(1));
  writer.request(2, 0, 0, 'b', 0, 0, encodeValue(2));
  const refused = await next();
  assert.deepEqual([refused.kind, refused.id], [FRAME.error, 2]);
  assert.equal(parseErrorBody(refused.body).code, 'QUEUE_FULL');
  writer.plain(FRAME.cancel, 1); // a cancel frees its place
  writer.request(3, 0, 0, 'c', 0, 0, encodeValue(3));
  writer.plain(FRAME.ping, 0);
  assert.equal((await next()).kind, FRAME.pong);
  assert.deepEqual([runner.calls.length, runner.calls[0]?.cancelled], [2, true]);
});

test('LinkServer answers QUEUE_FULL to a caller that goes beyond maxInFlightBytes', LIMIT, async (t) => {
  const runner = await startRunner(t, { hello: { maxInFlightBytes: 1000 }, onCall: () => undefined });
  const { writer, next } = await rawLink(t, runner.path);
  writer.request(1, 0, 0, 'a', 0, 0, encodeValue('x'.repeat(900)));
  writer.request(2, 0, 0, 'b', 0, 0, encodeValue('x'.repeat(900)));
  const refused = await next();
  assert.deepEqual([refused.kind, refused.id], [FRAME.error, 2]);
  assert.equal(parseErrorBody(refused.body).code, 'QUEUE_FULL');
  writer.plain(FRAME.cancel, 1); // a cancel frees its bytes
  writer.request(3, 0, 0, 'c', 0, 0, encodeValue('x'.repeat(900)));
  writer.plain(FRAME.ping, 0);
  assert.equal((await next()).kind, FRAME.pong);
  assert.equal(runner.calls.length, 2);
});

test('LinkServer logs why a caller cannot use its connection', LIMIT, async (t) => {
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  const runner = await startRunner(t, { logger });
  const { writer, closed } = await rawLink(t, runner.path);
  writer.plain(FRAME.error, 0, bodyOf(Buffer.from('{"code":"LINK_PROTOCOL","message":"I speak version 9"}')));
  await closed;
  assert.match(lines.join(''), /link\.closed.*closed by the caller: I speak version 9/);
});

for (const [what, misbehave] of [
  [
    'an unknown method index',
    (writer: FrameWriter) => {
      writer.request(1, 0, 77, 'a', 0, 0, encodeValue(1));
    },
  ],
  [
    'an id that is in use',
    (writer: FrameWriter) => {
      for (const id of [1, 1]) writer.request(id, 0, 0, 'a', 0, 0, encodeValue(1));
    },
  ],
  [
    'a second hello',
    (writer: FrameWriter) => {
      writer.plain(FRAME.hello, 0, bodyOf(Buffer.from('{}')));
    },
  ],
  [
    'a response',
    (writer: FrameWriter) => {
      writer.plain(FRAME.response, 1);
    },
  ],
  [
    'credit for a call of one value',
    (writer: FrameWriter) => {
      writer.request(1, 0, 0, 'a', 0, 1, encodeValue(1));
    },
  ],
  [
    'credit beyond all bounds',
    (writer: FrameWriter) => {
      writer.request(1, 0, 2, 'a', 0, MAX_CREDIT, encodeValue(1));
      writer.credit(1, 1);
    },
  ],
  [
    'call 0, which is the connection',
    (writer: FrameWriter) => {
      writer.request(0, 0, 0, 'a', 0, 0, encodeValue(1));
    },
  ],
  [
    'a call after its goodbye',
    (writer: FrameWriter) => {
      writer.plain(FRAME.goodbye, 0);
      writer.request(1, 0, 0, 'a', 0, 0, encodeValue(1));
    },
  ],
] as const) {
  test(`LinkServer closes a connection that sends ${what}, with the cause`, LIMIT, async (t) => {
    const runner = await startRunner(t, { onCall: () => undefined });
    const { writer, next, closed } = await rawLink(t, runner.path);
    misbehave(writer);
    const last = await next();
    assert.deepEqual([last.kind, last.id], [FRAME.error, 0]);
    assert.equal(parseErrorBody(last.body).code, 'LINK_PROTOCOL');
    await closed;
  });
}

test('LinkServer stops to read from a caller that does not read its answers', LIMIT, async (t) => {
  const answer = encodeValue('x'.repeat(100_000));
  const runner = await startRunner(t, {
    onCall: (call) => {
      call.respond(answer, TIMING);
    },
  });
  const socket = connectSocket(runner.path);
  t.after(() => {
    socket.destroy();
  });
  socket.on('error', () => undefined);
  socket.write('GET /jubako/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: jubako-link/2\r\n\r\n');
  await once(socket, 'readable'); // 101; nothing is read
  const writer = new FrameWriter(socket);
  writer.plain(FRAME.hello, 0, bodyOf(Buffer.from('{"version":2,"peer":"slow"}')));
  const wantedCount = 3000;
  for (let id = 1; id <= wantedCount; id += 1) writer.request(id, 0, 0, 'slow', 0, 0, encodeValue('x'.repeat(300)));
  writer.flush();
  // Another caller of the same runner is served while the slow one is stuck.
  const links = connect(t, [runner.address]);
  for (let i = 0; i < 20; i += 1) await links.call(request(i));
  const begun = runner.calls.length;
  assert.ok(begun < wantedCount / 2, `${begun} of ${wantedCount} calls were begun`);
  // When it reads again, it gets every answer.
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes >= wantedCount * 100_000) socket.destroy();
  });
  await once(socket, 'close');
  assert.equal(runner.calls.filter(({ requestId }) => requestId === 'slow').length, wantedCount);
});
