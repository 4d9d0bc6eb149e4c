import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { RawClient, gate } from './http-harness.js';
import { echo, readAll, startApplication, startMounted, type Echoed } from './mount-harness.js';

const KEY = '0123456789abcdef';

test('a mounted application sees requests without the path of its mount, and who they are from', async (t) => {
  const app = await startApplication(t, echo);
  const { url, port, nextOutcome } = await startMounted(t, app.url);
  const answer = await fetch(url('/app/a%20b/c?x=1&x=2&y=%2F+%20'), {
    method: 'PUT',
    body: 'hello',
    headers: { 'content-type': 'text/x-mine', 'x-mine': 'yes', 'x-request-id': 'mine-1', 'x-forwarded-for': '1.1.1.1' },
  });
  const seen = (await answer.json()) as Echoed;
  assert.deepEqual([seen.method, seen.url, seen.body], ['PUT', '/a%20b/c?x=1&x=2&y=%2F+%20', 'hello']);
  const { headers } = seen;
  assert.deepEqual([headers['content-type'], headers['x-mine']], ['text/x-mine', 'yes']);
  assert.deepEqual([headers['x-request-id'], answer.headers.get('x-request-id')], ['mine-1', 'mine-1']);
  assert.equal(headers['host'], app.url.slice('http://'.length));
  assert.equal(headers['x-forwarded-for'], '127.0.0.1', 'what a stranger says of itself is not passed on');
  assert.equal(headers['x-forwarded-host'], `127.0.0.1:${port}`);
  assert.deepEqual([headers['x-forwarded-proto'], headers['x-forwarded-prefix']], ['http', '/app']);
  const { route, status, outcome, requestId } = await nextOutcome();
  assert.deepEqual([route, status, outcome, requestId], ['/app/*', 200, 'ok', 'mine-1']);
  for (const [path, inner] of [
    ['/app', '/'],
    ['/app/', '/'],
    ['/app?q', '/?q'],
    ['/app/%2e%2e%2Fx'.replace('%2e%2e', 'dots'), '/dots%2Fx'],
  ] as const) {
    assert.equal(((await (await fetch(url(path))).json()) as Echoed).url, inner, path);
  }
});

test('a mounted application sees the whole path where the mount says so', async (t) => {
  const app = await startApplication(t, echo);
  const { url } = await startMounted(t, app.url, { stripPath: false });
  const { url: inner, headers } = (await (await fetch(url('/app/x?y'))).json()) as Echoed;
  assert.deepEqual([inner, headers['x-forwarded-prefix']], ['/app/x?y', undefined]);
});

test('every method reaches the application, and every content type', async (t) => {
  const app = await startApplication(t, echo);
  const { port } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  for (const method of ['GET', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY', 'M-SEARCH']) {
    client.write(`${method} /app/x HTTP/1.1\r\nHost: x\r\nContent-Type: nonsense\r\nContent-Length: 2\r\n\r\nhi`);
    const { status, body } = await client.answer();
    const seen = JSON.parse(body) as Echoed;
    assert.deepEqual([status, seen.method, seen.headers['content-type'], seen.body], [200, method, 'nonsense', 'hi']);
  }
  client.write('POST /app/x HTTP/1.1\r\nHost: x\r\n\r\n');
  const empty = JSON.parse((await client.answer()).body) as Echoed;
  assert.deepEqual([empty.headers['content-length'], empty.headers['transfer-encoding']], ['0', undefined]);
  client.write('HEAD /app/x HTTP/1.1\r\nHost: x\r\n\r\n');
  client.socket.once('data', () => undefined);
  client.get('/livez');
  // The head of the answer to HEAD names a length that no body follows: the next answer comes right behind it.
  const [data] = (await once(client.socket, 'data')) as [Buffer];
  assert.match(data.toString(), /^HTTP\/1\.1 200 OK\r\n/);
});

test('paths that lead out of the mount are refused', async (t) => {
  const app = await startApplication(t, echo);
  const { port } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  for (const path of [
    '/app/../x',
    '/app/..%2fx',
    '/app/%2e%2e/x',
    '/app/a/..%5c..%5cx',
    '/app/http:%2f%2fevil.example',
  ]) {
    client.get(path);
    const answer = await client.answer();
    assert.ok(answer.status === 400 || !answer.body.includes('"url":"/x"'), `${path}: ${answer.body}`);
  }
});

test('the answer of an application passes as it is, but for what is about its connection', async (t) => {
  const app = await startApplication(t, (_request, response) => {
    response.writeHead(203, 'Fine By Me', [
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'X-Mine',
      'ümlaut',
      'Connection',
      'close, X-Hop',
      'X-Hop',
      'only here',
      'X-Request-Id',
      'theirs',
      'Content-Length',
      '4',
    ]);
    response.end(Buffer.from('body')); // with a text Node would write the head as UTF-8
  });
  const { port } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  const data = once(client.socket, 'data');
  client.get('/app/x');
  const head = ((await data) as [Buffer])[0].toString('latin1');
  assert.match(head, /^HTTP\/1\.1 203 Fine By Me\r\n/);
  assert.match(head, /Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
  assert.match(head, /X-Mine: \u00fcmlaut\r\n/);
  assert.doesNotMatch(head, /X-Hop|theirs|Connection: close/);
  assert.equal((await client.answer()).status, 203);
  client.get('/livez');
  assert.equal((await client.answer()).status, 200, 'the connection of the client is kept');
});

test('keys stay with the server, other credentials pass', async (t) => {
  const app = await startApplication(t, echo);
  const { url } = await startMounted(t, app.url, { config: { apiKeys: [KEY] } });
  const seenWith = async (headers: Readonly<Record<string, string>>): Promise<Echoed['headers']> =>
    ((await (await fetch(url('/app/x'), { headers })).json()) as Echoed).headers;
  const own = await seenWith({ authorization: `Bearer ${KEY}`, 'x-api-key': 'of-the-application' });
  assert.deepEqual([own['authorization'], own['x-api-key']], [undefined, 'of-the-application']);
  const theirs = await seenWith({ authorization: 'Bearer of-the-application', 'x-api-key': KEY });
  assert.deepEqual([theirs['authorization'], theirs['x-api-key']], ['Bearer of-the-application', undefined]);
});

test('a trusted proxy is believed, and the road goes on', async (t) => {
  const app = await startApplication(t, echo);
  const { url } = await startMounted(t, app.url, { config: { trustedProxies: ['127.0.0.1'] } });
  const headers = {
    'x-forwarded-for': '198.51.100.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'models.example',
    'x-forwarded-prefix': '/outer',
  };
  const seen = ((await (await fetch(url('/app/x'), { headers })).json()) as Echoed).headers;
  assert.equal(seen['x-forwarded-for'], '198.51.100.1, 127.0.0.1');
  assert.deepEqual([seen['x-forwarded-proto'], seen['x-forwarded-host']], ['https', 'models.example']);
  assert.equal(seen['x-forwarded-prefix'], '/outer/app');
});

test('bodies pass while they come, in both directions, whatever their size', async (t) => {
  const seen = gate<string>();
  const app = await startApplication(t, (request, response) => {
    if (request.url === '/size') {
      void readAll(request).then(({ length }) => response.end(String(length)));
      return;
    }
    request.once('data', (chunk: Buffer) => {
      seen.open(chunk.toString());
      response.write('heard you');
    });
    request.on('end', () => response.end(', goodbye'));
  });
  const { port, url } = await startMounted(t, app.url, { config: { maxBodyBytes: 100 } });
  const client = await RawClient.open(t, port);
  client.write('POST /app/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n');
  assert.equal((await client.answer()).status, 100);
  client.write('5\r\nfirst\r\n');
  assert.equal(await seen.promise, 'first');
  const [head] = (await once(client.socket, 'data')) as [Buffer];
  assert.match(head.toString(), /heard you/, 'before the request has ended');
  client.write('0\r\n\r\n');
  const [tail] = (await once(client.socket, 'data')) as [Buffer];
  assert.match(tail.toString(), /goodbye/);
  const large = await fetch(url('/app/size'), { method: 'POST', body: Buffer.alloc(5_000_000) });
  assert.equal(await large.text(), '5000000');
});

test('an application that is down is NOT_READY, whose refusal says when to come again', async (t) => {
  const app = await startApplication(t, echo);
  const { url, nextOutcome } = await startMounted(t, app.url);
  app.server.close();
  await once(app.server, 'close');
  for (const method of ['GET', 'POST']) {
    const answer = await fetch(url('/app/x'), { method, ...(method === 'POST' && { body: 'x' }) });
    assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1']);
    assert.match(await answer.text(), /"code":"NOT_READY","message":"Cannot reach the application at \/app/);
    assert.deepEqual([(await nextOutcome()).route, (await fetch(url('/livez'))).status], ['/app/*', 200]);
    await nextOutcome();
  }
});

test('an application that answers too late, not in HTTP, or not to the end is told apart', async (t) => {
  const app = await startApplication(t, (request, response) => {
    const { socket } = request;
    if (request.url === '/breaks') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => socket.destroy());
    } else if (request.url === '/hangs-up') socket.destroy();
    else if (request.url === '/nonsense') socket.end('nonsense\r\n\r\n');
    else if (request.url === '/503') response.writeHead(503).end('busy');
  });
  let requests = 0;
  app.server.on('request', () => (requests += 1));
  const { url, port, nextOutcome } = await startMounted(t, app.url, { config: { timeout: 0.05 } });
  const expected: readonly [path: string, status: number, code: string][] = [
    ['/hangs', 504, 'DEADLINE_EXCEEDED'],
    ['/hangs-up', 503, 'NOT_READY'],
    ['/nonsense', 500, 'USER_CODE'],
  ];
  for (const [path, status, code] of expected) {
    const answer = await fetch(url(`/app${path}`));
    assert.equal(answer.status, status, path);
    assert.equal(((await answer.json()) as { error: { code: string } }).error.code, code, path);
    assert.equal((await nextOutcome()).outcome, code);
  }
  const client = await RawClient.open(t, port);
  client.get('/app/breaks');
  await assert.rejects(client.answer(), /ended after/);
  const { status, outcome } = await nextOutcome();
  assert.deepEqual([status, outcome], [200, 'USER_CODE']);

  requests = 0;
  const busy = await fetch(url('/app/503'));
  assert.deepEqual([busy.status, await busy.text(), requests], [503, 'busy', 1]);
});

test('a client that leaves takes its request at the application along', async (t) => {
  const arrived = [gate<Socket>(), gate<Socket>()];
  const app = await startApplication(t, (request, response) => {
    const isStream = request.url === '/stream';
    if (isStream) response.write('begun');
    arrived[isStream ? 1 : 0]?.open(request.socket);
  });
  const { port, nextOutcome } = await startMounted(t, app.url);
  for (const [index, path] of ['/app/waits', '/app/stream'].entries()) {
    const client = await RawClient.open(t, port);
    client.get(path);
    const socket = await arrived[index]?.promise;
    if (path === '/app/stream') await once(client.socket, 'data');
    client.socket.destroy();
    if (socket?.destroyed !== true) await once(socket as Socket, 'close');
    assert.equal((await nextOutcome()).outcome, 'CLIENT_GONE');
  }
});

test('an application may answer before it has read the body; the connection serves the next request', async (t) => {
  const app = await startApplication(t, (_request, response) => {
    response.writeHead(413, { connection: 'close', 'content-length': '8' }).end('too much');
  });
  const { port } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  client.write(`POST /app/x HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(1000)}`);
  const { status, body } = await client.answer();
  assert.deepEqual([status, body], [413, 'too much']);
  client.write('x'.repeat(199_000));
  client.get('/livez');
  assert.equal((await client.answer()).status, 200);
});

test('a kept connection that the application has closed costs no request', async (t) => {
  let requests = 0;
  const app = await startApplication(t, (request, response) => {
    requests += 1;
    // The second request on a connection meets a closed one, as if both had crossed on the way.
    if ((request.socket as Socket & { used?: boolean }).used === true) request.socket.resetAndDestroy();
    else response.end('ok');
    Object.assign(request.socket, { used: true });
  });
  const { url, outcomes } = await startMounted(t, app.url);
  for (let i = 0; i < 4; i += 1) assert.equal((await fetch(url('/app/x'))).status, 200);
  assert.ok(requests > 4, 'connections were kept');
  assert.equal(outcomes.length, 4);
});

test('redirects of an application lead to where its clients see it', async (t) => {
  const app = await startApplication(t, (request, response) => {
    const to = new URLSearchParams(request.url?.split('?')[1]).get('to') ?? '';
    response.writeHead(302, { Location: to === 'self' ? `${app.url}/login?x=1#y` : to }).end();
  });
  const { url } = await startMounted(t, app.url);
  const locationFor = async (to: string): Promise<string | null> =>
    (await fetch(url(`/app/x?to=${encodeURIComponent(to)}`), { redirect: 'manual' })).headers.get('location');
  assert.equal(await locationFor('/login'), '/app/login');
  assert.equal(await locationFor('next?page=2'), 'next?page=2');
  assert.equal(await locationFor('self'), '/app/login?x=1#y');
  assert.equal(await locationFor('https://other.example/login'), 'https://other.example/login');
  assert.equal(await locationFor('//other.example/login'), '//other.example/login');
});

test('a draining server waits for what an application works on', async (t) => {
  const arrived = gate();
  const finish = gate();
  const app = await startApplication(t, (_request, response) => {
    arrived.open();
    void finish.promise.then(() => response.end('done'));
  });
  const { port, server } = await startMounted(t, app.url);
  const client = await RawClient.open(t, port);
  client.get('/app/x');
  await arrived.promise;
  const drained = server.drain(10_000);
  finish.open();
  const { body, headers } = await client.answer();
  assert.deepEqual([body, headers['connection']], ['done', 'close']);
  client.socket.end();
  await drained;
});
