import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect as connectTls, type TlsOptions } from 'node:tls';
import type { JubakoError } from '#dist/errors.js';
import type { ApiCall } from '#dist/service/invoke.js';
import { RawClient, errorOf, gate, startHttp, type StartedServer } from './http-harness.js';
import { contentOf } from '../support/api-input.js';

const HALF_POST = 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[1';

void test('accept serves connections that were not paused as well', async (t) => {
  const { port } = await startHttp(t, { pauseOnConnect: false });
  const client = await RawClient.open(t, port);
  client.get('/livez');
  assert.equal((await client.answer()).body, 'ok\n');
});

void test('pipelined requests are answered in order on one connection, and counted each', async (t) => {
  const slow = gate();
  const { port, nextOutcome } = await startHttp(t, {
    callApi: async (call) => {
      if (contentOf(call.input) === 1) await slow.promise;
      return contentOf(call.input);
    },
  });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  client.post('/echo', '2');
  client.get('/livez');
  slow.open();
  assert.equal((await client.answer()).body, '1');
  assert.equal((await client.answer()).body, '2');
  const last = await client.answer();
  assert.equal(last.body, 'ok\n');
  assert.notEqual(last.headers['connection'], 'close');
  const routes = [await nextOutcome(), await nextOutcome(), await nextOutcome()].map(({ route }) => route);
  assert.deepEqual(routes, ['/echo', '/echo', '/livez']);
});

void test('a client that hangs up aborts the signal of every request it had open, and each is CLIENT_GONE', async (t) => {
  const calls: ApiCall[] = [];
  const both = gate();
  const { port, server, nextOutcome } = await startHttp(t, {
    callApi: (call) => {
      calls.push(call);
      if (calls.length === 2) both.open();
      return new Promise((_resolve, reject) => {
        call.cancellation.signal.addEventListener('abort', () => {
          reject(call.cancellation.signal.reason as Error);
        });
      });
    },
  });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  client.post('/echo', '2');
  await both.promise;
  client.socket.destroy();
  for (const outcome of [await nextOutcome(), await nextOutcome()]) {
    assert.deepEqual([outcome.route, outcome.status, outcome.outcome], ['/echo', 499, 'CLIENT_GONE']);
  }
  for (const {
    cancellation: { signal },
  } of calls) {
    assert.ok(signal.aborted);
    assert.equal((signal.reason as JubakoError).code, 'CLIENT_GONE');
  }
  assert.equal(server.connections, 0);
});

void test('a client that hangs up while its body is on the way is CLIENT_GONE', async (t) => {
  const { port, nextOutcome } = await startHttp(t);
  const client = await RawClient.open(t, port);
  client.write('POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n');
  assert.equal((await client.answer()).status, 100);
  client.socket.resetAndDestroy();
  const outcome = await nextOutcome();
  assert.deepEqual([outcome.route, outcome.status, outcome.outcome], ['/echo', 499, 'CLIENT_GONE']);
});

void test('a body that ends too early is INVALID_INPUT under its own request id', async (t) => {
  const { port, nextOutcome, outcomes } = await startHttp(t);
  const client = await RawClient.open(t, port);
  client.write(HALF_POST.replace('Host', 'x-request-id: r-7\r\nHost'));
  client.socket.end();
  const answer = await client.answer();
  assert.equal(answer.status, 400);
  assert.equal(answer.headers['x-request-id'], 'r-7');
  assert.match(errorOf(answer).message, /ended in the middle/);
  await client.ended();
  const outcome = await nextOutcome();
  assert.deepEqual([outcome.route, outcome.outcome, outcome.requestId], ['/echo', 'INVALID_INPUT', 'r-7']);
  assert.equal(outcomes.length, 1);
});

void test('broken HTTP is answered, counted once as (unknown), and ends only its own connection', async (t) => {
  const { port, url, nextOutcome, outcomes } = await startHttp(t);
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['no http at all\r\n\r\n', 400, /Invalid method/],
    ['POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n', 400, /Content-Length/],
    ['POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400, /Content-Length/],
    [`GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 413, /head is larger than \d+ bytes/],
    ['CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n', 400, /no proxy/],
  ];
  for (const [bytes, status, pattern] of cases) {
    const client = await RawClient.open(t, port);
    client.write(bytes);
    const answer = await client.answer();
    assert.equal(answer.status, status, bytes.slice(0, 40));
    assert.match(errorOf(answer).message, pattern);
    assert.equal(errorOf(answer).requestId, answer.headers['x-request-id']);
    const outcome = await nextOutcome();
    assert.deepEqual([outcome.route, outcome.status], ['(unknown)', status]);
    client.write('and more of it');
  }
  assert.equal((await fetch(url('/livez'))).status, 200);
  await nextOutcome();
  assert.equal(outcomes.length, cases.length + 1);
});

void test('garbage behind good requests is answered after them', async (t) => {
  const slow = gate();
  const called = gate();
  const { port, nextOutcome } = await startHttp(t, {
    callApi: async (call) => {
      called.open();
      await slow.promise;
      return contentOf(call.input);
    },
  });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  await called.promise;
  client.write('garbage\r\n\r\n');
  assert.equal((await nextOutcome()).route, '(unknown)'); // seen, but its turn has not come
  slow.open();
  assert.equal((await client.answer()).body, '1');
  assert.equal((await client.answer()).status, 400);
  client.socket.end();
  await client.ended();
  assert.equal((await nextOutcome()).outcome, 'ok');
});

void test('a connection that closes without a request counts as none', async (t) => {
  const { port, server, outcomes } = await startHttp(t);
  const client = await RawClient.open(t, port);
  client.get('/livez');
  await client.answer();
  assert.equal(server.connections, 1);
  client.socket.end();
  await client.ended();
  const silent = await RawClient.open(t, port);
  silent.socket.end();
  await silent.ended();
  assert.equal(outcomes.length, 1);
});

void test('timeoutKeepAlive is told to clients, and 0 closes after each answer', async (t) => {
  const kept = await startHttp(t, { config: { timeoutKeepAlive: 7 } });
  const keeping = await RawClient.open(t, kept.port);
  keeping.get('/livez');
  assert.equal((await keeping.answer()).headers['keep-alive'], 'timeout=7');
  const closed = await startHttp(t, { config: { timeoutKeepAlive: 0 } });
  const closing = await RawClient.open(t, closed.port);
  closing.get('/livez');
  assert.equal((await closing.answer()).headers['connection'], 'close');
  closing.socket.end();
  await closing.ended();
});

void test('drain finishes what is in flight, answers kept connections once more, and closes them', async (t) => {
  const called = gate();
  const slow = gate();
  const { port, server } = await startHttp(t, {
    callApi: async (call) => {
      called.open();
      await slow.promise;
      return contentOf(call.input);
    },
  });
  const [busy, kept, idle, fresh] = await openSeveral(t, port);
  for (const client of [kept, idle]) {
    client.get('/livez');
    await client.answer();
  }
  busy.post('/echo', '1');
  await called.promise;

  const drained = server.drain(20_000);
  kept.get('/readyz');
  const notReady = await kept.answer();
  assert.equal(notReady.status, 503);
  assert.equal(errorOf(notReady).code, 'DRAINING');
  assert.equal(notReady.headers['connection'], 'close');
  for (const client of [kept, idle, fresh]) await client.ended();

  slow.open();
  const answer = await busy.answer();
  assert.equal(answer.body, '1');
  assert.equal(answer.headers['connection'], 'close');
  await busy.ended();
  await drained;
  assert.equal(server.connections, 0);
});

void test('drain waits for a request that has begun to arrive', async (t) => {
  const { port, server } = await startHttp(t);
  const [arriving, idle] = await openSeveral(t, port);
  arriving.write('POST /echo HTTP/1.1\r\nHost: x\r\n');
  idle.get('/livez');
  await idle.answer();
  const drained = server.drain(20_000);
  await idle.ended(); // the sweep over idle connections has passed
  arriving.write('Content-Length: 1\r\n\r\n5');
  assert.equal((await arriving.answer()).body, '5');
  await drained;
});

void test('drain lets a slow reader have its whole answer', async (t) => {
  const text = 'x'.repeat(20_000_000);
  const { port, server } = await startHttp(t, { callApi: () => Promise.resolve(text) });
  const [slow, idle] = await openSeveral(t, port);
  slow.socket.pause();
  slow.post('/echo', '1');
  idle.get('/livez');
  await idle.answer();
  const drained = server.drain(20_000);
  await idle.ended(); // the sweep over idle connections has passed
  slow.socket.resume();
  assert.equal((await slow.answer()).body.length, text.length + 2);
  slow.socket.end();
  await drained;
});

void test('drain cuts what is left when the grace is over, as DRAINING', async (t) => {
  const called = gate<ApiCall>();
  const { port, server, nextOutcome } = await startHttp(t, {
    callApi: (call) => {
      called.open(call);
      return new Promise(() => undefined);
    },
  });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  const { signal } = (await called.promise).cancellation;
  await server.drain(20);
  assert.equal(server.connections, 0);
  const outcome = await nextOutcome();
  assert.deepEqual([outcome.status, outcome.outcome], [503, 'DRAINING']);
  assert.ok(signal.aborted);
  await client.ended();
});

void test('drain without connections is done at once, and what comes later is turned away', async (t) => {
  const { port, server } = await startHttp(t);
  await server.drain(60_000);
  const late = connect(port, '127.0.0.1');
  late.on('error', () => undefined).resume();
  await once(late, 'close');
});

void test('the gauge of connections follows them', async (t) => {
  const { port, server, metrics } = await startHttp(t);
  const gauge = (): number | undefined => metrics.takeDelta().gauges['jubako_connections{protocol="http"}'];
  const client = await RawClient.open(t, port);
  client.get('/livez');
  await client.answer();
  assert.equal(gauge(), 1);
  await server.drain(0);
  assert.equal(gauge(), 0);
});

void test('TLS is spoken on accepted connections, and whoever fails at it is cut without being counted', async (t) => {
  const tls = selfSigned(t);
  const started = await startHttp(t, { tls });
  const client = await RawClient.over(
    t,
    connectTls({ port: started.port, ca: tls.cert, servername: 'localhost' }),
    'secureConnect',
  );
  client.post('/echo', '[1]');
  assert.equal((await client.answer()).body, '[1]');
  client.get('/livez');
  assert.equal((await client.answer()).body, 'ok\n');

  const plain = await RawClient.open(t, started.port);
  plain.get('/livez');
  await assert.rejects(plain.answer());
  assert.equal(started.outcomes.length, 2);
  await drainTls(started, client);
});

void test('a TLS client that hangs up aborts the signal', async (t) => {
  const tls = selfSigned(t);
  const called = gate<ApiCall>();
  const { port, nextOutcome } = await startHttp(t, {
    tls,
    pauseOnConnect: false,
    callApi: (call) => {
      called.open(call);
      return new Promise(() => undefined);
    },
  });
  const client = await RawClient.over(t, connectTls({ port, rejectUnauthorized: false }), 'secureConnect');
  client.post('/echo', '1');
  const { signal } = (await called.promise).cancellation;
  client.socket.destroy();
  assert.equal((await nextOutcome()).outcome, 'CLIENT_GONE');
  assert.ok(signal.aborted);
});

async function drainTls({ server }: StartedServer, idle: RawClient): Promise<void> {
  const drained = server.drain(20_000);
  await idle.ended();
  await drained;
  assert.equal(server.connections, 0);
}

async function openSeveral(t: TestContext, port: number): Promise<[RawClient, RawClient, RawClient, RawClient]> {
  return [
    await RawClient.open(t, port),
    await RawClient.open(t, port),
    await RawClient.open(t, port),
    await RawClient.open(t, port),
  ];
}

function selfSigned(t: TestContext): TlsOptions {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-tls-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const key = join(folder, 'key.pem');
  const cert = join(folder, 'cert.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const ask = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', [...ask, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}
