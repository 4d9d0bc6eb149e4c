import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccess } from '#dist/access/create-access.js';
import { defineService, json } from '#dist/service/index.js';
import { RawClient, errorOf, manifestOf, startHttp, type Answer } from './http-harness.js';

const APP = 'https://app.example';
const ASKS = 'Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type,x-api-key\r\n';

function preflight(client: RawClient, path: string, origin: string): Promise<Answer> {
  client.write(`OPTIONS ${path} HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\n${ASKS}\r\n`);
  return client.answer();
}

test('a preflight of a known origin is answered, whatever its path, without a key and without a body', async (t) => {
  const refuse = { take: (): never => assert.fail('asked') };
  const settings = { apiKeys: ['0123456789abcdef'], rateLimit: 0, rateLimitBurst: null, trustedProxies: [] };
  const { port, nextOutcome } = await startHttp(t, {
    config: { corsOrigins: [APP, 'http://localhost:5173'] },
    others: { access: createAccess(settings, refuse) },
  });
  const client = await RawClient.open(t, port);
  for (const path of ['/echo', '/v2/models/x/infer', '/nowhere']) {
    const { status, headers, body } = await preflight(client, path, APP);
    assert.deepEqual([status, body], [200, '']);
    assert.equal(headers['access-control-allow-origin'], APP);
    assert.match(headers['access-control-allow-methods'] ?? '', /\bPOST\b/);
    assert.equal(headers['access-control-allow-headers'], 'content-type,x-api-key');
    assert.equal(headers['access-control-max-age'], '600');
    assert.equal(headers['access-control-allow-credentials'], undefined);
    const outcome = await nextOutcome();
    assert.deepEqual([outcome.route, outcome.outcome], ['(preflight)', 'ok']);
  }
});

test('a preflight of another origin is refused with a word on why', async (t) => {
  const { port, nextOutcome } = await startHttp(t, { config: { corsOrigins: [APP] } });
  const client = await RawClient.open(t, port);
  const answer = await preflight(client, '/echo', 'https://evil.example');
  assert.equal(answer.status, 403);
  assert.match(errorOf(answer).message, /https:\/\/evil\.example.*corsOrigins/);
  assert.equal(answer.headers['access-control-allow-origin'], undefined);
  assert.equal((await nextOutcome()).outcome, 'FORBIDDEN');
});

test('answers and failures carry the headers of the origin, and say that they depend on it', async (t) => {
  const { port } = await startHttp(t, { config: { corsOrigins: [APP], maxBodyBytes: 10 } });
  const client = await RawClient.open(t, port);
  const answerTo = (origin: string | undefined, path: string, body: string): Promise<Answer> => {
    client.post(path, body, origin === undefined ? '' : `Origin: ${origin}\r\n`);
    return client.answer();
  };
  const cases: readonly [path: string, body: string, status: number][] = [
    ['/echo', '1', 200],
    ['/echo', '{', 400],
    ['/nowhere', '1', 404],
    ['/livez', '1', 405],
    ['/echo', '"too large"  ', 413],
  ];
  for (const [path, body, status] of cases) {
    const known = await answerTo(APP, path, body);
    assert.equal(known.status, status);
    assert.equal(known.headers['access-control-allow-origin'], APP);
    assert.equal(known.headers['access-control-expose-headers'], '*');
    const unknown = await answerTo('https://evil.example', path, body);
    assert.deepEqual([unknown.status, unknown.headers['access-control-allow-origin']], [status, undefined]);
    const none = await answerTo(undefined, path, body);
    assert.equal(none.headers['access-control-allow-origin'], undefined);
    for (const { headers } of [known, unknown, none]) assert.equal(headers['vary'], 'Origin');
  }
});

test('with * any page may call, and answers depend on nothing', async (t) => {
  const { port } = await startHttp(t, { config: { corsOrigins: ['*'] } });
  const client = await RawClient.open(t, port);
  for (const origin of [APP, 'null']) {
    assert.equal((await preflight(client, '/echo', origin)).headers['access-control-allow-origin'], '*');
    client.post('/echo', '1', `Origin: ${origin}\r\n`);
    const { headers } = await client.answer();
    assert.deepEqual([headers['access-control-allow-origin'], headers['vary']], ['*', undefined]);
  }
});

test('OPTIONS that is no preflight goes where it belongs', async (t) => {
  const { port } = await startHttp(t, { config: { corsOrigins: [APP] } });
  const client = await RawClient.open(t, port);
  client.write(`OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: ${APP}\r\n\r\n`);
  assert.equal((await client.answer()).status, 405);
  client.write(`OPTIONS /echo HTTP/1.1\r\nHost: x\r\n${ASKS}\r\n`);
  assert.equal((await client.answer()).status, 405);
});

test('without corsOrigins nothing is said about origins', async (t) => {
  const { port } = await startHttp(t);
  const client = await RawClient.open(t, port);
  assert.equal((await preflight(client, '/echo', APP)).status, 405);
  client.post('/echo', '1', `Origin: ${APP}\r\n`);
  const { headers } = await client.answer();
  assert.deepEqual([headers['access-control-allow-origin'], headers['vary']], [undefined, undefined]);
});

test('answers of plugins carry the headers too: ours over theirs, but what they depend on adds up', async (t) => {
  const definition = defineService({
    name: 'mine',
    apis: { echo: { input: json(), output: json(), handler: (input) => input } },
    http: {
      plugins: [
        (app): void => {
          app.get('/mine', (_request, reply) =>
            reply.header('access-control-allow-origin', 'https://wrong.example').header('vary', 'Accept').send('mine'),
          );
        },
      ],
    },
  });
  const { port } = await startHttp(t, {
    config: { corsOrigins: [APP] },
    others: { service: definition, manifest: manifestOf(definition) },
  });
  const client = await RawClient.open(t, port);
  client.write(`GET /mine HTTP/1.1\r\nHost: x\r\nOrigin: ${APP}\r\n\r\n`);
  const { headers } = await client.answer();
  assert.equal(headers['access-control-allow-origin'], APP);
  assert.match(headers['vary'] ?? '', /Origin/);
});
