import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { JubakoError } from '#dist/errors.js';
import type { Access } from '#dist/service/access.js';
import { makeCertificates } from '../support/certificates.js';
import { RawClient, errorOf, gate } from './http-harness.js';
import { agreeToWebSocket, frameOf, startApplication, startMounted, type Application } from './mount-harness.js';

const TEXT = 1;
const CLOSE = 8;
const WISH =
  'Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

type OnWebSocket = (socket: Duplex, path: string, protocols: string) => void;

async function startWebSockets(t: TestContext, onWebSocket: OnWebSocket): Promise<Application> {
  const app = await startApplication(t, (_request, response) => {
    response.writeHead(404, { 'content-length': '2' }).end('no');
  });
  app.server.on('upgrade', (request, socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    onWebSocket(socket, request.url ?? '', request.headers['sec-websocket-protocol'] ?? '');
    if (request.url !== '/refuses') agreeToWebSocket(request, socket, 'Sec-WebSocket-Protocol: chat\r\n');
  });
  return app;
}

/** A client whose wish has been granted. */
async function open(t: TestContext, port: number, path: string, more = ''): Promise<RawClient> {
  const client = await RawClient.open(t, port);
  client.write(`GET ${path} HTTP/1.1\r\n${WISH}${more}\r\n`);
  const { status, headers } = await client.answer();
  assert.equal(status, 101);
  assert.equal(headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  assert.deepEqual([headers['upgrade'], headers['connection']], ['websocket', 'Upgrade']);
  return client;
}

/** Reads a socket from now on; gives the next bytes of it, so many at a time. */
function reader(socket: Duplex): (count: number) => Promise<Buffer> {
  let received = Buffer.alloc(0);
  let wake = (): void => undefined;
  socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    wake();
  });
  return async (count) => {
    while (received.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const taken = received.subarray(0, count);
    received = received.subarray(count);
    return taken;
  };
}

test('a WebSocket passes to the application and back, with what the two agree on', async (t) => {
  const seen = gate<readonly string[]>();
  const app = await startWebSockets(t, (socket, path, protocols) => {
    seen.open([path, protocols]);
    socket.pipe(socket);
  });
  const { port, nextOutcome, outcomes } = await startMounted(t, app.url);
  const client = await open(t, port, '/app/chat?room=1', 'Sec-WebSocket-Protocol: chat, talk\r\n');
  assert.deepEqual(await seen.promise, ['/chat?room=1', 'chat, talk']);
  const large = Buffer.alloc(3_000_000, 'x');
  const read = reader(client.socket);
  client.write(large);
  assert.deepEqual(await read(large.length), large);
  assert.equal(outcomes.length, 0, 'it is not over');
  client.socket.destroy();
  const { route, status, outcome } = await nextOutcome();
  assert.deepEqual([route, status, outcome], ['/app/*', 101, 'ok']);
});

test('what the client sends along with its wish is not lost', async (t) => {
  const seen = gate<string>();
  const app = await startWebSockets(t, (socket) => {
    void reader(socket)(9).then((bytes) => {
      seen.open(bytes.toString());
    });
  });
  const { port } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  client.write(`GET /app/x HTTP/1.1\r\n${WISH}\r\nearly`);
  assert.equal((await client.answer()).status, 101);
  client.write('late');
  assert.equal(await seen.promise, 'earlylate');
});

test('a WebSocket ends on both sides when either leaves', async (t) => {
  const sockets: Duplex[] = [];
  const app = await startWebSockets(t, (socket) => void sockets.push(socket.resume()));
  const { port, nextOutcome } = await startMounted(t, app.url);
  const leaving = await open(t, port, '/app/x');
  leaving.socket.destroy();
  await once(sockets[0] as Duplex, 'end');
  const left = await open(t, port, '/app/x');
  (sockets[1] as Socket).destroy();
  await left.ended();
  assert.deepEqual([(await nextOutcome()).outcome, (await nextOutcome()).outcome], ['ok', 'ok']);
});

test('an application that will not speak WebSocket answers in its own words', async (t) => {
  const app = await startWebSockets(t, (socket, path) => {
    if (path === '/refuses') socket.end('HTTP/1.1 401 Who\r\nContent-Length: 4\r\nX-Mine: yes\r\n\r\nwho?');
  });
  const { port, nextOutcome } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  client.write(`GET /app/refuses HTTP/1.1\r\n${WISH}\r\n`);
  const { status, headers, body } = await client.answer();
  assert.deepEqual([status, headers['x-mine'], body, headers['connection']], [401, 'yes', 'who?', 'close']);
  await client.ended();
  const { route, outcome } = await nextOutcome();
  assert.deepEqual([route, outcome], ['/app/*', 'UNAUTHENTICATED']);
});

test('a WebSocket to an application that is down is NOT_READY', async (t) => {
  const app = await startWebSockets(t, () => undefined);
  const { port, nextOutcome } = await startMounted(t, app.url);
  app.server.close();
  await once(app.server, 'close');
  const client = await RawClient.open(t, port);
  client.write(`GET /app/x HTTP/1.1\r\n${WISH}\r\n`);
  const answer = await client.answer();
  assert.deepEqual([answer.status, errorOf(answer).code, answer.headers['retry-after']], [503, 'NOT_READY', '1']);
  await client.ended();
  assert.equal((await nextOutcome()).outcome, 'NOT_READY');
});

test('a WebSocket to a path that is none of an application is answered as any request, and closed', async (t) => {
  const app = await startWebSockets(t, () => undefined);
  const { port, nextOutcome } = await startMounted(t, app.url);
  for (const [path, status] of [
    ['/nowhere', 404],
    ['/echo', 405],
    ['/livez', 200],
  ] as const) {
    const client = await RawClient.open(t, port);
    client.write(`GET ${path} HTTP/1.1\r\n${WISH}\r\n`);
    const answer = await client.answer();
    assert.deepEqual([answer.status, answer.headers['connection']], [status, 'close']);
    await client.ended();
    assert.equal((await nextOutcome()).status, status);
  }
});

test('who may not call may not open a WebSocket', async (t) => {
  const app = await startWebSockets(t, () => assert.fail('it got through'));
  const access: Access = {
    isOpen: false,
    admit: () => Promise.reject(new JubakoError('UNAUTHENTICATED', 'who?')),
  };
  const { port, nextOutcome } = await startMounted(t, app.url, { others: { access } });
  const client = await RawClient.open(t, port);
  client.write(`GET /app/x HTTP/1.1\r\n${WISH}\r\n`);
  const { status, headers } = await client.answer();
  assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer']);
  await client.ended();
  assert.equal((await nextOutcome()).outcome, 'UNAUTHENTICATED');
});

test('a draining server says goodbye between two frames of the application', async (t) => {
  const sockets: Duplex[] = [];
  const app = await startWebSockets(t, (socket) => void sockets.push(socket));
  const { port, server } = await startMounted(t, app.url);
  const idle = await open(t, port, '/app/x');
  const busy = await open(t, port, '/app/x');
  const [readIdle, readBusy] = [reader(idle.socket), reader(busy.socket)];
  const message = frameOf(TEXT, Buffer.alloc(300, 'x'));
  sockets[1]?.write(message.subarray(0, 100));
  assert.equal((await readBusy(100)).length, 100);
  const drained = server.drain(10_000);
  const goodbye = Buffer.from([0x80 | CLOSE, 2, 0x03, 0xe9]);
  assert.deepEqual(await readIdle(4), goodbye);
  sockets[1]?.write(Buffer.concat([message.subarray(100), frameOf(TEXT, Buffer.from('never sent'))]));
  const rest = await readBusy(message.length - 100 + 4);
  assert.deepEqual(rest, Buffer.concat([message.subarray(100), goodbye]));
  idle.socket.end();
  busy.socket.end();
  await drained;
});

test('a client that does not say goodbye is cut before the grace is over', async (t) => {
  const app = await startWebSockets(t, () => undefined);
  const { port, server } = await startMounted(t, app.url);
  const client = await open(t, port, '/app/x');
  const read = reader(client.socket);
  await server.drain(60_000);
  assert.equal((await read(4)).length, 4);
});

test('a wish for another protocol is ignored, and the request answered with its body', async (t) => {
  const app = await startWebSockets(t, () => assert.fail('no WebSocket was asked for'));
  const { port, nextOutcome, outcomes } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  const wish = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n';
  client.post('/echo', '{"a":1}', wish);
  const first = await client.answer();
  assert.deepEqual([first.status, first.body], [200, '{"a":1}']);
  client.write(`POST /echo HTTP/1.1\r\nHost: x\r\n${wish}Content-Length: 4\r\n\r\n12`);
  client.write('34');
  assert.equal((await client.answer()).body, '1234');
  client.post('/echo', '5');
  assert.equal((await client.answer()).body, '5');
  client.write(`GET /app/x HTTP/1.1\r\nHost: x\r\n${wish}\r\n`);
  assert.equal((await client.answer()).status, 404);
  for (let i = 0; i < 4; i += 1) await nextOutcome();
  assert.equal(outcomes.length, 4);
});

test('all of it works behind TLS', async (t) => {
  const certificates = makeCertificates(t);
  const app = await startWebSockets(t, (socket) => socket.pipe(socket));
  const tls = { cert: readFileSync(certificates.cert), key: readFileSync(certificates.key) };
  const { port } = await startMounted(t, app.url, { tls });
  const connect = (): Promise<RawClient> =>
    RawClient.over(t, connectTls({ port, host: 'localhost', ca: readFileSync(certificates.ca) }), 'secureConnect');
  const client = await connect();
  client.write(`GET /app/x HTTP/1.1\r\n${WISH}\r\n`);
  assert.equal((await client.answer()).status, 101);
  const read = reader(client.socket);
  client.write('hello');
  assert.equal((await read(5)).toString(), 'hello');
  const other = await connect();
  other.post('/echo', '7', 'Connection: Upgrade\r\nUpgrade: h2c\r\n');
  assert.equal((await other.answer()).body, '7');
});
