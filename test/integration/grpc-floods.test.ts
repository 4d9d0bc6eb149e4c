import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import { unary } from '#dist/grpc/rpc.js';
import type { TracedCall } from '#dist/grpc/traced-call.js';
import { MAX_UNREAD_BYTES, unreadAnswersOf, type UnreadAnswers } from '#dist/grpc/unread-answers.js';
import { FLAG, FRAME, RawHttp2, callHeaders, frame, headerBlock, headerFrames } from '../support/http2-frames.js';
import { pathOf, startBare, toBytes, toText, type Bare, type BareMethod } from './grpc-bare-harness.js';

// Each attack on one connection, while another client calls. What is sent is far more than what is let through.

const MANY = 20_000;
const PATH = pathOf('Echo');
const CANCEL = Buffer.of(0, 0, 0, 8);

const echo: BareMethod = { handler: (refuse) => unary((text: string) => text, refuse) };

function start(t: TestContext): Promise<Bare> {
  return startBare(t, { Echo: echo });
}

function call(bare: Bare, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    bare.client.makeUnaryRequest(PATH, toBytes, toText, text, (error, answer) => {
      if (error === null) resolve(String(answer));
      else reject(error);
    });
  });
}

async function attack(t: TestContext, bare: Bare, acknowledges = true): Promise<RawHttp2> {
  const raw = await RawHttp2.open(bare.port, { acknowledges });
  t.after(() => {
    raw.socket.destroy();
  });
  return raw;
}

/** Calls of another client go on all the while. */
async function whileServing<T>(bare: Bare, work: Promise<T>): Promise<T> {
  let isOver = false;
  const done = work.finally(() => {
    isOver = true;
  });
  let calls = 0;
  while (!isOver) {
    calls += 1;
    assert.equal(await call(bare, String(calls)), String(calls));
    await setImmediate();
  }
  assert.equal(await call(bare, 'after'), 'after');
  return done;
}

const openStream = (i: number): Buffer => frame(FRAME.HEADERS, FLAG.END_HEADERS, 2 * i + 1, callHeaders(PATH));

describe('a connection', () => {
  test('that opens and resets streams without pause (CVE-2023-44487) is cut after a thousand or two', async (t) => {
    const bare = await start(t);
    const raw = await attack(t, bare);
    const goaway = raw.next(FRAME.GOAWAY);
    const flood = raw.flood(MANY, (i) => Buffer.concat([openStream(i), frame(FRAME.RST_STREAM, 0, 2 * i + 1, CANCEL)]));
    await whileServing(bare, Promise.race([goaway, raw.closed]));
    raw.socket.destroy();
    await flood;
    const cancelled = bare.records.filter(({ outcome }) => outcome === 'CLIENT_GONE').length;
    assert.ok(cancelled < 3000, `${cancelled} of ${MANY} streams were opened`);
  });

  test('that makes the server reset streams (CVE-2025-8671) is cut', async (t) => {
    const bare = await start(t);
    const raw = await attack(t, bare);
    const broken = (i: number): Buffer => frame(FRAME.WINDOW_UPDATE, 0, 2 * i + 1, Buffer.alloc(4)); // of 0: an error
    await whileServing(
      bare,
      raw.flood(MANY, (i) => Buffer.concat([openStream(i), broken(i)])),
    );
    await raw.closed;
    assert.ok(bare.records.length < 5000);
  });

  for (const [title, next] of [
    [
      'CONTINUATION frames (CVE-2024-27983)',
      (i: number): Buffer =>
        i === 0
          ? frame(FRAME.HEADERS, 0, 1, callHeaders(PATH))
          : frame(FRAME.CONTINUATION, 0, 1, headerBlock([[`x-${i}`, 'y'.repeat(100)]])),
    ],
    ['empty DATA frames', (i: number): Buffer => (i === 0 ? openStream(0) : frame(FRAME.DATA, 0, 1))],
    ['WINDOW_UPDATE frames of nothing', (): Buffer => frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.alloc(4))],
  ] as const) {
    test(`that floods with ${title} is cut`, async (t) => {
      const bare = await start(t);
      const raw = await attack(t, bare);
      const sent = await whileServing(bare, raw.flood(MANY * 5, next));
      await raw.closed;
      assert.ok(sent < MANY * 5, 'it could send all of it');
    });
  }

  const ping = (): Buffer => frame(FRAME.PING, 0, 0, Buffer.alloc(8));

  test('that floods with PINGs and reads no answers is cut', async (t) => {
    const bare = await start(t);
    const raw = await attack(t, bare);
    raw.socket.pause();
    const sent = await whileServing(bare, raw.flood(MANY * 50, ping));
    assert.ok(sent < MANY * 50, 'it could send all of it');
  });

  for (const [title, next] of [
    ['PINGs', ping],
    ['SETTINGS frames', (): Buffer => frame(FRAME.SETTINGS, 0, 0, Buffer.of(0, 4, 0, 0, 255, 255))],
    ['PRIORITY frames', (i: number): Buffer => frame(FRAME.PRIORITY, 0, 2 * i + 1, Buffer.of(0, 0, 0, 0, 16))],
  ] as const) {
    test(`that floods with ${title} and reads the answers costs nothing that lasts`, async (t) => {
      const bare = await start(t);
      const raw = await attack(t, bare);
      const before = process.memoryUsage().rss;
      await whileServing(bare, raw.flood(MANY, next));
      const grownBytes = process.memoryUsage().rss - before;
      assert.ok(grownBytes < 100_000_000, `${grownBytes} bytes`);
    });
  }

  const manyHeaders = Array.from({ length: 200 }, (_, i) => [`x-${i}`, 'v'] as const);
  const longHeaders = Array.from({ length: 3 }, (_, i) => [`x-${i}`, 'v'.repeat(5500)] as const);
  for (const [title, more, acknowledges] of [
    ['more than 128 headers', manyHeaders, true],
    ['more than 16 KiB of headers', longHeaders, true],
    ['more than 16 KiB of headers, though it has not acknowledged that limit,', longHeaders, false],
  ] as const) {
    test(`is refused a call with ${title} and keeps the others`, async (t) => {
      const bare = await start(t);
      const raw = await attack(t, bare, acknowledges);
      const refused = raw.next(FRAME.RST_STREAM);
      raw.socket.write(headerFrames(1, callHeaders(PATH, more)));
      assert.equal((await refused).streamId, 1);
      const answer = raw.next(FRAME.HEADERS);
      raw.socket.write(openStream(1));
      raw.socket.write(frame(FRAME.DATA, FLAG.END_STREAM, 3, Buffer.of(0, 0, 0, 0, 1, 120)));
      assert.equal((await answer).streamId, 3);
      await bare.record(1);
      assert.equal(bare.records.length, 1);
    });
  }

  test('holds no more than 4096 open calls, and is cut when it goes on', async (t) => {
    const bare = await start(t);
    const raw = await attack(t, bare);
    await whileServing(bare, Promise.race([raw.flood(MANY, openStream), raw.closed]));
    await raw.closed;
    const opened = bare.records.filter(({ outcome }) => outcome === 'CLIENT_GONE').length;
    assert.ok(opened <= 4096, `${opened} of ${MANY} streams were opened`);
  });
});

describe('answers that a client does not read', () => {
  let unread: UnreadAnswers | undefined;
  const LONG = 'x'.repeat(1_000_000);

  /** Notes the account of the connection; `full` makes it full, `long` is answered by 1 MB. */
  const accounted: BareMethod = {
    handler: (refuse) =>
      unary((text: string, rpc) => {
        const { session } = (rpc.call as TracedCall).stream;
        unread = session === undefined ? undefined : unreadAnswersOf(session);
        if (text === 'full') unread?.add(MAX_UNREAD_BYTES);
        return text === 'long' ? LONG : text;
      }, refuse),
  };

  test('beyond a limit are not kept: the call is QUEUE_FULL, until it reads again', async (t) => {
    const bare = await startBare(t, { Echo: accounted });
    assert.equal(await call(bare, 'a'), 'a');
    await assert.rejects(call(bare, 'full'), (thrown) => {
      assert.equal((thrown as ServiceError).code, status.RESOURCE_EXHAUSTED);
      assert.match((thrown as ServiceError).details, /^QUEUE_FULL: .*does not read/);
      return true;
    });
    unread?.add(-MAX_UNREAD_BYTES);
    assert.equal(await call(bare, 'b'), 'b');
    assert.deepEqual(
      (await Promise.all([bare.record(1), bare.record(2), bare.record(3)])).map(({ outcome }) => outcome),
      ['ok', 'QUEUE_FULL', 'ok'],
    );
  });

  test('are counted until they are read, or their call is reset', async (t) => {
    const bare = await startBare(t, { Echo: accounted });
    const session = http2.connect(`http://127.0.0.1:${bare.port}`);
    session.on('error', () => undefined);
    t.after(() => {
      session.destroy();
    });
    const ask = (): http2.ClientHttp2Stream => {
      const headers = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };
      const stream = session.request(headers);
      stream.on('error', () => undefined);
      stream.end(Buffer.concat([Buffer.of(0, 0, 0, 0, 4), Buffer.from('long')]));
      return stream;
    };
    const streams = [ask(), ask()];
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    while ((unread?.bytes ?? 0) < 2_000_000) await setImmediate();
    streams[0]?.resume();
    streams[1]?.close(http2.constants.NGHTTP2_CANCEL);
    await Promise.all([bare.record(1), bare.record(2)]);
    while (unread?.bytes !== 0) await setImmediate();
    assert.deepEqual(bare.records.map(({ outcome }) => outcome).sort(), ['CLIENT_GONE', 'ok']);
  });
});
