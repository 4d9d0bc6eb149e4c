import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { JubakoError } from '#dist/errors.js';
import type { HttpPlugin } from '#dist/service/extensions.js';
import { errorIn, post, startPlugins as start } from './plugin-harness.js';

test('a plugin has Fastify as it comes: parsers, queries, parameters, schemas, decorators, streams', async (t) => {
  const { url, nextOutcome } = await start(t, [
    async (app): Promise<void> => {
      app.decorate('greeting', 'hello');
      app.post<{ Params: { id: string }; Querystring: { n: number }; Body: { name: string } }>(
        '/things/:id',
        {
          schema: {
            querystring: { type: 'object', properties: { n: { type: 'integer' } } },
            body: { type: 'object', required: ['name'], properties: { name: { type: 'string', minLength: 2 } } },
            response: { 201: { type: 'object', properties: { text: { type: 'string' }, n: { type: 'number' } } } },
          },
        },
        async ({ params, query, body }, reply) => {
          await turn();
          reply.code(201).header('x-mine', 'yes');
          const { greeting } = app as unknown as { readonly greeting: string };
          return { text: `${greeting} ${body.name} ${params.id}`, n: query.n, hidden: true };
        },
      );
      app.post('/text', ({ body }) => ({ body }));
      app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
        done(null, JSON.parse(String(body)));
      });
      app.get('/stream', (_request, reply) => reply.type('text/csv').send(Readable.from(['a,b\n', '1,2\n'])));
      app.get('/web-stream', (_request, reply) => reply.send(new Blob(['web']).stream()));
    },
  ]);
  const created = await post(url('/things/7?n=5'), '{"name":"Ann"}', { 'x-request-id': 'mine-1' });
  assert.deepEqual([created.status, await created.json()], [201, { text: 'hello Ann 7', n: 5 }]);
  assert.deepEqual([created.headers.get('x-mine'), created.headers.get('x-request-id')], ['yes', 'mine-1']);
  const { route, status, outcome, requestId } = await nextOutcome();
  assert.deepEqual([route, status, outcome, requestId], ['/things/{id}', 201, 'ok', 'mine-1']);

  const invalid = await post(url('/things/7'), '{"name":"A"}');
  assert.equal(invalid.status, 400);
  const { code, message, details } = await errorIn(invalid);
  assert.equal(code, 'INVALID_INPUT');
  assert.match(message, /^Cannot read the body: body\/name must NOT have fewer than 2 characters$/);
  assert.deepEqual(details, [{ path: '/name', message: 'must NOT have fewer than 2 characters' }]);
  assert.equal((await nextOutcome()).outcome, 'INVALID_INPUT');

  const text = await fetch(url('/text'), { method: 'POST', body: 'plain', headers: { 'content-type': 'text/plain' } });
  assert.deepEqual(await text.json(), { body: 'plain' });
  const csv = await fetch(url('/stream'));
  assert.deepEqual([csv.headers.get('content-type'), await csv.text()], ['text/csv', 'a,b\n1,2\n']);
  assert.ok(csv.headers.has('x-request-id'));
  assert.equal(await (await fetch(url('/web-stream'))).text(), 'web');
  assert.equal((await fetch(url('/stream'), { method: 'HEAD' })).status, 200);
});

test('APIs are served as without plugins', async (t) => {
  const { url, nextOutcome } = await start(t, [(app): void => void app.get('/mine', () => 'mine')]);
  const answer = await post(url('/echo'), '{"a":1}');
  assert.deepEqual([answer.status, await answer.json()], [200, { a: 1 }]);
  assert.equal((await nextOutcome()).route, '/echo');
  assert.equal((await errorIn(await post(url('/echo'), '{'))).code, 'INVALID_INPUT');
  const { status, headers } = await fetch(url('/mine'), { method: 'DELETE' });
  assert.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD']);
});

test('what a plugin throws is answered as failures of handlers are, and its own errors keep their status', async (t) => {
  const withStatus = (statusCode: number, message: string): Error => Object.assign(new Error(message), { statusCode });
  const throwing: Readonly<Record<string, () => unknown>> = {
    '/sync': () => {
      throw new Error('the inside');
    },
    '/async': () => Promise.reject(new Error('the inside')),
    '/text': () => Promise.reject('the inside'), // eslint-disable-line @typescript-eslint/prefer-promise-reject-errors
    '/conflict': () => Promise.reject(withStatus(409, 'there is one')),
    '/gateway': () => Promise.reject(withStatus(502, 'the inside')),
    '/full': () => Promise.reject(new JubakoError('QUEUE_FULL', 'no room', { retryAfterSeconds: 7 })),
    '/stream': () =>
      new Readable({
        read(): void {
          this.destroy(new Error('the inside'));
        },
      }),
  };
  const { url, nextOutcome, logged } = await start(t, [
    (app): void => {
      for (const [path, handler] of Object.entries(throwing)) app.get(path, async () => handler());
    },
  ]);
  const expected: readonly [path: string, status: number, code: string, message: RegExp][] = [
    ['/sync', 500, 'USER_CODE', /the log has the cause/],
    ['/async', 500, 'USER_CODE', /the log has the cause/],
    ['/text', 500, 'USER_CODE', /the log has the cause/],
    ['/conflict', 409, 'INVALID_INPUT', /^there is one$/],
    ['/gateway', 502, 'USER_CODE', /the log has the cause/],
    ['/full', 503, 'QUEUE_FULL', /^no room$/],
    ['/stream', 500, 'USER_CODE', /the log has the cause/],
  ];
  for (const [path, status, code, message] of expected) {
    const answer = await fetch(url(path));
    const error = await errorIn(answer);
    assert.deepEqual([answer.status, error.code], [status, code], path);
    assert.match(error.message, message, path);
    assert.equal(error.requestId, answer.headers.get('x-request-id'));
    const outcome = await nextOutcome();
    assert.deepEqual([outcome.route, outcome.status, outcome.outcome], [path, status, code]);
    if (path === '/full') assert.equal(answer.headers.get('retry-after'), '7');
  }
  const internal = expected.filter(([, , code]) => code === 'USER_CODE').map(([path]) => path);
  assert.deepEqual(
    logged.map(({ route }) => route),
    internal,
  );
});

test('a plugin may answer its failures itself', async (t) => {
  const { url, nextOutcome } = await start(t, [
    (app): void => {
      app.setErrorHandler((_error, _request, reply) => reply.code(418).send({ mine: true }));
      app.get('/teapot', () => Promise.reject(new Error('no coffee')));
    },
    (app): void => void app.get('/other', () => Promise.reject(new Error('no'))),
  ]);
  const answer = await fetch(url('/teapot'));
  assert.deepEqual([answer.status, await answer.json()], [418, { mine: true }]);
  assert.equal((await nextOutcome()).outcome, 'INVALID_INPUT');
  assert.equal((await errorIn(await fetch(url('/other')))).code, 'USER_CODE');
});

test('a body that a plugin cannot read is refused', async (t) => {
  const config = { maxBodyBytes: 20 };
  const { url } = await start(t, [(app): void => void app.post('/mine', () => 'mine')], { config });
  const codeOf = async (body: string, type: string): Promise<string> =>
    (await errorIn(await post(url('/mine'), body, { 'content-type': type }))).code;
  assert.equal(await codeOf('{', 'application/json'), 'INVALID_INPUT');
  assert.equal(await codeOf('x'.repeat(21), 'text/plain'), 'TOO_LARGE');
  assert.equal(await codeOf('a=b', 'application/x-www-form-urlencoded'), 'UNSUPPORTED_MEDIA');
  assert.equal(await codeOf('x', 'nonsense'), 'UNSUPPORTED_MEDIA');
});

test('hooks and decorators of a plugin stay in it', async (t) => {
  const seen: string[] = [];
  const { url } = await start(t, [
    (app): void => {
      app.addHook('onRequest', async ({ url: path }) => void seen.push(path));
      app.decorateRequest('mark', 'mine');
      app.get('/mine', (request) => (request as unknown as { readonly mark: string }).mark);
    },
    (app): void => void app.get('/other', (request) => String('mark' in request)),
  ]);
  assert.equal(await (await fetch(url('/mine'))).text(), 'mine');
  assert.equal(await (await fetch(url('/other'))).text(), 'false');
  await post(url('/echo'), '1');
  await fetch(url('/livez'));
  assert.deepEqual(seen, ['/mine']);
});

test('a plugin that is marked by fastify-plugin sees the requests of APIs and of other plugins, and may refuse them', async (t) => {
  const seen: string[] = [];
  const joining: HttpPlugin = (app) => {
    app.decorate('shared', 'yes');
    app.addHook('onRequest', async ({ url: path, headers, id, log }, reply) => {
      seen.push(path);
      if (headers['x-user'] !== undefined) return;
      log.error({ id }, 'a stranger');
      if (headers['x-throw'] === undefined) await reply.code(403).send({ error: 'who are you?' });
      else throw new JubakoError('FORBIDDEN', 'who are you?');
    });
    app.addHook('onResponse', async ({ url: path }, reply) => void seen.push(`${path} ${reply.statusCode}`));
  };
  Object.assign(joining, { [Symbol.for('skip-override')]: true });
  const { url, nextOutcome, logged } = await start(t, [
    (app): void => void app.get('/mine', () => 'mine'),
    joining,
    (app): void => void app.get('/shared', () => (app as unknown as { readonly shared: string }).shared),
  ]);
  const headers = { 'x-user': 'Ann' };
  assert.equal((await post(url('/echo'), '1', headers)).status, 200);
  assert.equal(await (await fetch(url('/shared'), { headers })).text(), 'yes');
  assert.equal((await nextOutcome()).outcome, 'ok');
  assert.equal((await nextOutcome()).outcome, 'ok');

  const refused = await post(url('/echo'), '1', { 'x-request-id': 'stranger-1' });
  assert.deepEqual([refused.status, await refused.json()], [403, { error: 'who are you?' }]);
  const { route, outcome } = await nextOutcome();
  assert.deepEqual([route, outcome], ['/echo', 'FORBIDDEN']);
  assert.deepEqual([logged[0]?.['requestId'], logged[0]?.['id']], ['stranger-1', 'stranger-1']);
  const thrown = await post(url('/echo'), '1', { 'x-throw': 'yes' });
  assert.equal((await errorIn(thrown)).code, 'FORBIDDEN');
  const inference = await fetch(url('/v2'), { headers: { 'x-throw': 'yes' } });
  assert.deepEqual([inference.status, await inference.json()], [403, { error: 'who are you?' }]);

  await fetch(url('/livez'));
  await fetch(url('/docs.json'));
  assert.ok(!seen.some((path) => path.startsWith('/livez') || path.startsWith('/docs')));
  assert.ok(seen.includes('/echo 200'));
});

test('a plugin may answer paths that nobody knows', async (t) => {
  const { url, nextOutcome } = await start(t, [
    (app): void => {
      void app.register(
        (inner, _options, done): void => {
          inner.setNotFoundHandler((_request, reply) => reply.code(404).send('no such admin page'));
          inner.get('/start', (_request, reply) => {
            reply.callNotFound();
          });
          done();
        },
        { prefix: '/admin' },
      );
    },
  ]);
  assert.equal(await (await fetch(url('/admin/x'))).text(), 'no such admin page');
  const { route, outcome } = await nextOutcome();
  assert.deepEqual([route, outcome], ['(unknown)', 'NOT_FOUND']);
  assert.equal(await (await fetch(url('/admin/start'))).text(), 'no such admin page');
  assert.equal((await errorIn(await fetch(url('/x')))).code, 'NOT_FOUND');
});

test('a plugin that cannot be registered keeps the server from starting, by name', async (t) => {
  async function broken(): Promise<void> {
    await turn();
    throw new Error('no database');
  }
  const refusals: readonly [plugins: readonly HttpPlugin[], says: RegExp][] = [
    [[broken], /the plugin "broken" failed while it was registered: no database/],
    [
      [(app): void => void app.get('/livez', () => 'mine')],
      /plugin 1 failed .*'GET' already declared for route '\/livez'/,
    ],
    [[(app): void => void app.post('/echo', () => 'mine')], /plugin 1 has the route "POST \/echo", .* of API "echo"/],
    [[(app): void => void app.get('/v2', () => 'mine')], /a plugin has a route of the server: .*\/v2/],
    [
      [(app): void => void app.get('/a', () => 1), (app): void => void app.get('/a', () => 2)],
      /plugin 2 failed .*'GET' already declared for route '\/a'/,
    ],
    [
      [(app): void => void app.addHook('onReady', () => Promise.reject(new Error('not ready')))],
      /a plugin failed when all were registered: not ready/,
    ],
  ];
  for (const [plugins, says] of refusals) {
    await assert.rejects(
      start(t, plugins),
      (thrown) => thrown instanceof JubakoError && thrown.code === 'SERVICE_INVALID' && says.test(thrown.message),
      String(says),
    );
  }
});
