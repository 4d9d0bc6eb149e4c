import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { unary, type Rpc } from '#dist/grpc/rpc.js';
import { pathOf, startBare, toBytes, toText, type Bare, type BareMethod } from './grpc-bare-harness.js';

/** Work that never answers, and the RPCs that it was given. */
function stuck(): { readonly method: BareMethod; readonly arrived: (count: number) => Promise<Rpc> } {
  const rpcs: Rpc[] = [];
  let wake: () => void = () => undefined;
  const method: BareMethod = {
    handler: (refuse) =>
      unary((_: string, rpc) => {
        rpcs.push(rpc);
        wake();
        return new Promise<string>(() => undefined);
      }, refuse),
  };
  return {
    method,
    arrived: (count) =>
      new Promise((resolve) => {
        wake = (): void => {
          const rpc = rpcs[count - 1];
          if (rpc !== undefined) resolve(rpc);
        };
        wake();
      }),
  };
}

const echo: BareMethod = { handler: (refuse) => unary((text: string) => text, refuse) };

function open(t: TestContext, bare: Bare): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${bare.port}`);
  session.on('error', () => undefined);
  t.after(() => {
    session.destroy();
  });
  return session;
}

function framed(bytes: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function send(
  session: http2.ClientHttp2Session,
  name: string,
  headers: http2.OutgoingHttpHeaders,
  bytes: Uint8Array,
): http2.ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': pathOf(name),
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  stream.end(bytes);
  return stream;
}

async function answerTo(stream: http2.ClientHttp2Stream): Promise<http2.IncomingHttpHeaders> {
  let said: http2.IncomingHttpHeaders = {};
  const take = (more: http2.IncomingHttpHeaders): void => {
    said = { ...said, ...more };
  };
  stream.on('response', take);
  stream.on('trailers', take);
  stream.resume();
  await once(stream, 'close');
  return said;
}

describe('a deadline', () => {
  test('that is far away leaves a cancelled call CLIENT_GONE', async (t) => {
    const { method, arrived } = stuck();
    const bare = await startBare(t, { Stuck: method });
    const stream = send(open(t, bare), 'Stuck', { 'grpc-timeout': '30S' }, framed(toBytes('x')));
    const rpc = await arrived(1);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    assert.equal((await bare.record(1)).outcome, 'CLIENT_GONE');
    assert.equal(rpc.cancellation.reason?.code, 'CLIENT_GONE');
  });

  test('of a grpc-js client is DEADLINE_EXCEEDED on both sides, every time', async (t) => {
    const { method } = stuck();
    const bare = await startBare(t, { Stuck: method, Echo: echo });
    const call = (name: string, deadlineMs: number): Promise<ServiceError | null> =>
      new Promise((resolve) => {
        const options = { deadline: Date.now() + deadlineMs };
        bare.client.makeUnaryRequest(pathOf(name), toBytes, toText, 'x', new Metadata(), options, resolve);
      });
    assert.equal(await call('Echo', 30_000), null); // connected by now
    const deadlines = Array.from({ length: 30 }, (_, i) => 300 + i);
    const errors = await Promise.all(deadlines.map((deadlineMs) => call('Stuck', deadlineMs)));
    assert.deepEqual(new Set(errors.map((error) => error?.code)), new Set([status.DEADLINE_EXCEEDED]));
    await bare.record(1 + deadlines.length);
    assert.deepEqual(new Set(bare.records.slice(1).map(({ outcome }) => outcome)), new Set(['DEADLINE_EXCEEDED']));
  });

  test('of 25 days has not passed at once', async (t) => {
    const bare = await startBare(t, { Echo: echo });
    const stream = send(open(t, bare), 'Echo', { 'grpc-timeout': '2160000S' }, framed(toBytes('x')));
    assert.equal((await answerTo(stream))['grpc-status'], String(status.OK));
  });

  test('that is none is refused before any work, and is the fault of the client', async (t) => {
    const { method } = stuck();
    const bare = await startBare(t, { Stuck: method });
    const session = open(t, bare);
    for (const [i, timeout] of ['soon', 'x5S', '5', '123456789S'].entries()) {
      const said = await answerTo(send(session, 'Stuck', { 'grpc-timeout': timeout }, framed(toBytes('x'))));
      assert.equal(said['grpc-status'], String(status.INVALID_ARGUMENT), timeout);
      assert.match(
        decodeURIComponent(String(said['grpc-message'])),
        /^INVALID_INPUT: Cannot read the header grpc-timeout/,
      );
      assert.equal((await bare.record(i + 1)).outcome, 'INVALID_INPUT');
    }
  });
});

describe('a message', () => {
  test('that is no gzip though it says so is the fault of the client', async (t) => {
    const bare = await startBare(t, { Echo: echo });
    const stream = send(open(t, bare), 'Echo', { 'grpc-encoding': 'gzip' }, framed(Buffer.from('no gzip'), 1));
    const said = await answerTo(stream);
    assert.equal(said['grpc-status'], String(status.INVALID_ARGUMENT));
    assert.equal(said['x-error-code'], 'INVALID_INPUT');
    assert.ok(said['grpc-status-details-bin'] !== undefined);
    assert.equal((await bare.record(1)).outcome, 'INVALID_INPUT');
  });

  test('in a compression that does not exist is UNIMPLEMENTED, as the protocol wants it', async (t) => {
    const bare = await startBare(t, { Echo: echo });
    const said = await answerTo(send(open(t, bare), 'Echo', { 'grpc-encoding': 'squash' }, framed(toBytes('x'), 1)));
    assert.equal(said['grpc-status'], String(status.UNIMPLEMENTED));
    assert.equal(said['x-error-code'], 'INVALID_INPUT');
  });

  test('that is too large says TOO_LARGE, its request id and its details', async (t) => {
    const bare = await startBare(t, { Echo: echo }, { channel: { 'grpc.max_receive_message_length': 1000 } });
    const headers = { 'x-request-id': 'r-7' };
    const said = await answerTo(send(open(t, bare), 'Echo', headers, framed(Buffer.alloc(1001))));
    assert.equal(said['grpc-status'], String(status.RESOURCE_EXHAUSTED));
    assert.equal(said['x-error-code'], 'TOO_LARGE');
    assert.equal(said['x-request-id'], 'r-7');
    assert.match(decodeURIComponent(String(said['grpc-message'])), /^TOO_LARGE: Received message larger than max/);
    assert.ok(said['grpc-status-details-bin'] !== undefined);
    assert.equal((await bare.record(1)).outcome, 'TOO_LARGE');
  });

  test('that is a zip bomb is given up at the largest message, and costs no more memory', async (t) => {
    const bare = await startBare(t, { Echo: echo }, { channel: { 'grpc.max_receive_message_length': 1_000_000 } });
    const bomb = framed(gzipSync(Buffer.alloc(512_000_000)), 1);
    assert.ok(bomb.length < 1_000_000, `${bomb.length} bytes`);
    const session = open(t, bare);
    const before = process.memoryUsage();
    const said = await answerTo(send(session, 'Echo', { 'grpc-encoding': 'gzip' }, bomb));
    const after = process.memoryUsage();
    assert.equal(said['grpc-status'], String(status.RESOURCE_EXHAUSTED));
    assert.equal(said['x-error-code'], 'TOO_LARGE');
    const grownBytes = after.external - before.external;
    assert.ok(grownBytes < 100_000_000, `${grownBytes} bytes for a message of ${bomb.length}`);
    const next = await answerTo(send(session, 'Echo', { 'grpc-encoding': 'gzip' }, framed(gzipSync('fine'), 1)));
    assert.equal(next['grpc-status'], '0');
  });

  test('that is missing, or one too many, is INVALID_INPUT under the status of the protocol', async (t) => {
    const bare = await startBare(t, { Echo: echo });
    const session = open(t, bare);
    const one = framed(toBytes('x'));
    for (const bytes of [Buffer.alloc(0), Buffer.concat([one, one])]) {
      const said = await answerTo(send(session, 'Echo', {}, bytes));
      assert.equal(said['grpc-status'], String(status.UNIMPLEMENTED));
      assert.equal(said['x-error-code'], 'INVALID_INPUT');
    }
  });
});

test('an RPC that is unknown is UNIMPLEMENTED with the code NOT_FOUND, whatever its path is', async (t) => {
  const bare = await startBare(t, { Echo: echo });
  const session = open(t, bare);
  for (const path of ['/no.Such/Rpc', '/', '/%zz', `/${'x'.repeat(5000)}`]) {
    const said = await answerTo(send(session, 'Echo', { ':path': path, 'x-request-id': 'r-8' }, framed(toBytes('x'))));
    assert.equal(said['grpc-status'], String(status.UNIMPLEMENTED), path);
    assert.equal(said['x-error-code'], 'NOT_FOUND');
    assert.equal(said['x-request-id'], 'r-8');
  }
});

test('an answer that cannot be encoded is INTERNAL, and its work is told', async (t) => {
  const bare = await startBare(t, { Broken: { handler: (refuse) => unary(() => 'broken', refuse) } });
  const error = await new Promise<ServiceError | null>((resolve) => {
    bare.client.makeUnaryRequest(pathOf('Broken'), toBytes, toText, 'x', resolve);
  });
  assert.equal(error?.code, status.INTERNAL);
  assert.equal((await bare.record(1)).outcome, 'INTERNAL');
});

describe('admission', () => {
  const call = (bare: Bare, key?: string): Promise<ServiceError | string> =>
    new Promise((resolve) => {
      const metadata = new Metadata();
      if (key !== undefined) metadata.set('x-api-key', key);
      bare.client.makeUnaryRequest(pathOf('Echo'), toBytes, toText, 'x', metadata, (error, text) => {
        resolve(error ?? String(text));
      });
    });
  const refusal = new Error('replaced below');

  for (const [title, settle] of [
    [
      'at once',
      (isIn: boolean): void | Promise<void> => {
        if (!isIn) throw refusal;
      },
    ],
    ['later', (isIn: boolean): void | Promise<void> => (isIn ? Promise.resolve() : Promise.reject(refusal))],
  ] as const) {
    test(`that decides ${title} lets in or refuses before the message is read`, async (t) => {
      let worked = 0;
      let peer = '';
      const bare = await startBare(
        t,
        {
          Echo: {
            handler: (refuse) =>
              unary((text: string) => {
                worked += 1;
                return text;
              }, refuse),
          },
        },
        {
          admit: (path, metadata, from) => {
            assert.equal(path, pathOf('Echo'));
            peer = from;
            return settle(metadata.get('x-api-key')[0] === 'right');
          },
        },
      );
      assert.equal(await call(bare, 'right'), 'x');
      assert.equal(worked, 1);
      assert.match(peer, /^(127\.0\.0\.1|::ffff:127\.0\.0\.1|::1):\d+$/);
      assert.equal(((await call(bare)) as ServiceError).code, status.INTERNAL);
      assert.equal(worked, 1);
      assert.equal((await bare.record(2)).outcome, 'USER_CODE');
    });
  }
});
