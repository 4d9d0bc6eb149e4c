import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { connect, createServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Client, credentials } from '@grpc/grpc-js';
import { unary } from '#dist/grpc/rpc.js';
import { pathOf, startBare, toBytes, toText, type BareMethod } from './grpc-bare-harness.js';

// RFC 9113, sections 3.4, 4.1 and 6.7.
const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
const PING = 6;
const ACK = 1;

const echo: BareMethod = { handler: (refuse) => unary((text: string) => text, refuse) };

test('a client may keep its connection alive by PINGs, with calls and without, more often than clients do', async (t) => {
  const { port } = await startBare(t, { Echo: echo });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => {
    session.destroy();
  });
  const goaways: unknown[] = [];
  session.on('goaway', (code: number) => goaways.push(code));
  await once(session, 'connect');
  const ping = promisify(session.ping.bind(session) as (done: (error: Error | null) => void) => boolean);
  for (let i = 0; i < 200; i += 1) await ping();
  assert.deepEqual(goaways, []);
  assert.equal(session.closed, false);
});

/** Passes one client on to the server, and tells of each PING frame that the client sends. */
async function startTap(t: TestContext, port: number, onPing: () => void): Promise<number> {
  const tap = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    server.on('error', () => undefined);
    client.on('error', () => undefined);
    client.pipe(server).pipe(client);
    let bytes = Buffer.alloc(0);
    let isPastPreface = false;
    client.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isPastPreface && bytes.length >= PREFACE_BYTES) {
        bytes = bytes.subarray(PREFACE_BYTES);
        isPastPreface = true;
      }
      while (isPastPreface && bytes.length >= FRAME_HEAD_BYTES) {
        const end = FRAME_HEAD_BYTES + bytes.readUIntBE(0, 3);
        if (bytes.length < end) break;
        const isAnswer = ((bytes[4] ?? 0) & ACK) !== 0;
        if (bytes[3] === PING && !isAnswer) onPing();
        bytes = bytes.subarray(end);
      }
    });
  });
  tap.listen(0, '127.0.0.1');
  await once(tap, 'listening');
  t.after(() => {
    tap.close();
  });
  return (tap.address() as AddressInfo).port;
}

test('a grpc-js client with the shortest keepalive stays on its connection', async (t) => {
  const bare = await startBare(t, { Echo: echo });
  let pings = 0;
  let onEnough: () => void = () => undefined;
  const enough = new Promise<void>((resolve) => {
    onEnough = resolve;
  });
  const port = await startTap(t, bare.port, () => {
    pings += 1;
    if (pings === 20) onEnough();
  });
  const client = new Client(`localhost:${port}`, credentials.createInsecure(), {
    'grpc.keepalive_time_ms': 10,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.use_local_subchannel_pool': 1,
  });
  t.after(() => {
    client.close();
  });
  const call = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(pathOf('Echo'), toBytes, toText, 'x', (error, text) => {
        if (error === null) resolve(text);
        else reject(error);
      });
    });
  await call();
  await enough;
  await call();
  assert.equal(bare.connections(), 1);
});
