import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { createAccess, createTokenBuckets, type TokenSource } from '#dist/access/create-access.js';
import type { ServerConfig } from '#dist/config/settings.js';
import type { Access } from '#dist/service/access.js';
import type { ApiCall } from '#dist/service/invoke.js';
import { defineService, json } from '#dist/service/index.js';
import { RawClient, errorOf, gate, manifestOf, service, startHttp, type StartedServer } from './http-harness.js';

const KEY = '0123456789abcdef';
const OTHER_KEY = 'ABCDEFGHIJKLMNOP';

/** As a worker has it, with the buckets of the primary in the same process. */
function accessOf(settings: Partial<ServerConfig>): Access {
  const config = { apiKeys: [], rateLimit: 0, rateLimitBurst: null, trustedProxies: [], ...settings };
  const buckets = createTokenBuckets(config);
  const source: TokenSource = {
    take(client, wanted) {
      if (buckets === undefined) throw new Error('there is no limit');
      return Promise.resolve(buckets.take(client, wanted, 'http-0', performance.now()));
    },
  };
  return createAccess(config, source);
}

function start(
  t: TestContext,
  settings: Partial<ServerConfig>,
  more: Partial<ServerConfig> = {},
): Promise<StartedServer> {
  return startHttp(t, { config: more, others: { access: accessOf(settings) } });
}

test('a server with keys refuses every path without one, whether it exists or not, and says how it is asked for', async (t) => {
  const { url, nextOutcome } = await start(t, { apiKeys: [KEY] });
  const paths: readonly [method: string, path: string, route: string][] = [
    ['POST', '/echo', '/echo'],
    ['GET', '/docs.json', '/docs.json'],
    ['GET', '/', '/'],
    ['GET', '/metrics', '/metrics'],
    ['GET', '/v2', '/v2'],
    ['GET', '/v2/models/x/versions/1', '/v2/models/{name}/versions/{version}'],
    ['GET', '/secret/path', '(unknown)'],
    ['DELETE', '/echo', '(unknown)'],
  ];
  for (const [method, path, route] of paths) {
    const answer = await fetch(url(path), { method });
    assert.equal(answer.status, 401, path);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer', path);
    assert.match(await answer.text(), /wanted a key/);
    const outcome = await nextOutcome();
    assert.deepEqual([outcome.route, outcome.status, outcome.outcome], [route, 401, 'UNAUTHENTICATED']);
  }
});

test('a server with keys answers probes without one', async (t) => {
  const { url } = await start(t, { apiKeys: [KEY] });
  for (const path of ['/livez', '/readyz', '/healthz', '/v2/health/live', '/v2/health/ready'])
    assert.equal((await fetch(url(path))).status, 200, path);
  assert.equal((await fetch(url('/livez'), { method: 'HEAD' })).status, 200);
});

test('a server with keys lets their owners in, by either header', async (t) => {
  const { url } = await start(t, { apiKeys: [KEY, OTHER_KEY] });
  const statusWith = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await fetch(url('/echo'), { method: 'POST', body: '1', headers })).status;
  assert.equal(await statusWith({ authorization: `Bearer ${KEY}` }), 200);
  assert.equal(await statusWith({ 'x-api-key': OTHER_KEY }), 200);
  assert.equal(await statusWith({ authorization: 'Basic dXNlcjpwYXNz', 'x-api-key': KEY }), 200);
  assert.equal(await statusWith({ authorization: `Bearer ${KEY}x` }), 401);
  assert.equal(await statusWith({ 'x-api-key': 'null' }), 401);
});

test('a request is refused before its body is asked for', async (t) => {
  const { port } = await start(t, { apiKeys: [KEY] });
  const client = await RawClient.open(t, port);
  client.write('POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n');
  assert.equal((await client.answer()).status, 401);
});

test('a refusal on a path of the Open Inference Protocol has the form of that protocol', async (t) => {
  const { url } = await start(t, { apiKeys: [KEY] });
  const answer = await fetch(url('/v2/models/x/infer'), { method: 'POST', body: '{}' });
  assert.equal(answer.status, 401);
  assert.equal(answer.headers.get('x-error-code'), 'UNAUTHENTICATED');
  assert.equal(typeof ((await answer.json()) as { error: unknown }).error, 'string');
});

test('a client beyond its rate is told when to come again, and others are not held up by it', async (t) => {
  const { url, outcomes } = await start(t, { apiKeys: [KEY, OTHER_KEY], rateLimit: 0.1, rateLimitBurst: 2 });
  const post = (key: string): Promise<Response> =>
    fetch(url('/echo'), { method: 'POST', body: '1', headers: { 'x-api-key': key } });
  assert.deepEqual([(await post(KEY)).status, (await post(KEY)).status], [200, 200]);
  for (let i = 0; i < 3; i += 1) {
    const refused = await post(KEY);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '10');
    assert.match(await refused.text(), /"code":"RATE_LIMITED"/);
  }
  assert.equal((await post(OTHER_KEY)).status, 200);
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['ok', 'ok', 'RATE_LIMITED', 'RATE_LIMITED', 'RATE_LIMITED', 'ok'],
  );
  assert.equal((await fetch(url('/readyz'))).status, 200);
});

test('a rate is counted for the client that a trusted proxy names', async (t) => {
  const settings = { rateLimit: 0.1, rateLimitBurst: 1, trustedProxies: ['127.0.0.0/8'] };
  const { url } = await start(t, settings);
  const post = async (client: string): Promise<number> =>
    (await fetch(url('/echo'), { method: 'POST', body: '1', headers: { 'x-forwarded-for': client } })).status;
  assert.equal(await post('198.51.100.1'), 200);
  assert.equal(await post('198.51.100.2'), 200);
  assert.equal(
    await post('203.0.113.9, 198.51.100.1'),
    429,
    'what its sender puts before its own address counts for nothing',
  );
});

test('a client that leaves while the primary is asked is recorded once, and its call is not made', async (t) => {
  const asked = gate();
  const answered = gate();
  const access: Access = {
    isOpen: false,
    admit: () => {
      asked.open();
      return answered.promise;
    },
  };
  const calls: ApiCall[] = [];
  const { port, outcomes, nextOutcome, url } = await startHttp(t, {
    others: { access },
    callApi: (call) => {
      calls.push(call);
      return Promise.resolve(1);
    },
  });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  await asked.promise;
  client.socket.destroy();
  assert.equal((await nextOutcome()).outcome, 'CLIENT_GONE');
  answered.open();
  assert.equal((await fetch(url('/echo'), { method: 'POST', body: '2' })).status, 200);
  assert.equal(calls.length, 1);
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['CLIENT_GONE', 'ok'],
  );
});

test('what goes wrong while the primary is asked is answered, and kept from the client', async (t) => {
  const access: Access = { isOpen: false, admit: () => Promise.reject(new Error('the inside')) };
  const { port, logged } = await startHttp(t, { others: { access } });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  const error = errorOf(await client.answer());
  assert.equal(error.code, 'INTERNAL');
  assert.doesNotMatch(error.message, /inside/);
  assert.equal(logged.length, 1);
});

test('keys guard the routes of plugins as well', async (t) => {
  const definition = defineService({
    name: 'guarded',
    apis: { echo: { input: json(), output: json(), handler: (input) => input } },
    http: {
      plugins: [
        (app): void => {
          app.get('/mine/:id', () => 'mine');
          app.setNotFoundHandler((_request, reply) => reply.code(404).send('nothing'));
        },
      ],
    },
  });
  const { url, nextOutcome } = await startHttp(t, {
    others: { access: accessOf({ apiKeys: [KEY] }), service: definition, manifest: manifestOf(definition) },
  });
  for (const path of ['/mine/5', '/nowhere']) assert.equal((await fetch(url(path))).status, 401);
  assert.equal((await nextOutcome()).route, '/mine/{id}');
  const headers = { authorization: `Bearer ${KEY}` };
  assert.equal(await (await fetch(url('/mine/5'), { headers })).text(), 'mine');
  assert.equal(await (await fetch(url('/nowhere'), { headers })).text(), 'nothing');
});

test('a server without keys and limits asks nobody', async (t) => {
  const { url } = await startHttp(t, {
    others: {
      service,
      access: {
        isOpen: true,
        admit: () => {
          throw new Error('asked');
        },
      },
    },
  });
  assert.equal((await fetch(url('/echo'), { method: 'POST', body: '1' })).status, 200);
});
