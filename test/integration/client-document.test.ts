import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientError } from '#dist/client/index.js';
import {
  answerError,
  answerJson,
  documentOf,
  JSON_SPEC,
  LIMIT,
  Milestone,
  startServer,
  type HandmadeApi,
} from './client-harness.js';

const echo: HandmadeApi = {
  input: JSON_SPEC,
  output: JSON_SPEC,
  answer: (response, { body }) => answerJson(response, JSON.parse(body.toString())),
};

test('the document is read once, also where many calls come at the same time', LIMIT, async (t) => {
  const server = await startServer(t, { echo });
  const client = server.client();
  assert.deepEqual(await Promise.all([1, 2, 3].map((n) => client.echo(n))), [1, 2, 3]);
  assert.equal(await client.echo(4), 4);
  assert.deepEqual(
    server.asked.map(({ method, url }) => `${method} ${url}`),
    ['GET /docs.json', ...Array.from({ length: 4 }, () => 'POST /echo')],
  );
});

test('routes are those of the document, below the path of the address', LIMIT, async (t) => {
  const server = await startServer(t, { echo }, { path: '/mounted', routeOf: () => '/v1/anders' });
  assert.equal(await server.client().echo(1), 1);
  assert.deepEqual(
    server.asked.map(({ url }) => url),
    ['/mounted/docs.json', '/mounted/v1/anders'],
  );
});

test('a document that could not be read is read again by the next call', LIMIT, async (t) => {
  let isReady = false;
  const server = await startServer(
    t,
    { echo },
    {
      document: (response) => {
        if (isReady) answerJson(response, documentOf({ echo }));
        else answerError(response, 503, { code: 'NOT_READY', message: 'not yet', requestId: 'r1' });
      },
    },
  );
  const client = server.client();
  const failure: unknown = await client.echo(1).catch((thrown: unknown) => thrown);
  assert.ok(failure instanceof ClientError && failure.code === 'NOT_READY' && failure.status === 503);
  isReady = true;
  assert.equal(await client.echo(1), 1);
});

test('what is no document of Jubako is INTERNAL and says so', LIMIT, async (t) => {
  let served: unknown;
  const documents = ['text', null, { paths: { '/a': { post: { 'x-jubako': { api: 'a' } } } } }];
  const server = await startServer(t, { echo }, { document: (response) => answerJson(response, served) });
  const client = server.client();
  for (served of documents) {
    const failure: unknown = await client.echo(1).catch((thrown: unknown) => thrown);
    assert.ok(failure instanceof ClientError);
    assert.equal(failure.code, 'INTERNAL');
    assert.match(failure.message, /docs\.json: none of its operations has "x-jubako"/);
  }
});

test('an API that the server does not have is NOT_FOUND and the others are named', LIMIT, async (t) => {
  const server = await startServer(t, { echo, other: echo });
  const failure: unknown = await server
    .client()
    .$call('missing' as 'echo', 1)
    .catch((thrown: unknown) => thrown);
  assert.ok(failure instanceof ClientError && failure.code === 'NOT_FOUND');
  assert.equal(failure.message, `Cannot call API "missing": in ${server.url}/docs.json are echo, other`);
});

test('a caller that gives up leaves the reading to those who still wait; the last one ends it', LIMIT, async (t) => {
  const came = new Milestone();
  const goOn = new Milestone();
  const left = new Milestone();
  let readings = 0;
  const server = await startServer(
    t,
    { echo },
    {
      document: (response) => {
        readings += 1;
        if (readings === 1) {
          response.on('close', left.reach);
          came.reach();
        } else {
          void goOn.reached.then(() => {
            answerJson(response, documentOf({ echo }));
          });
        }
      },
    },
  );
  const client = server.client();
  const controllers = [new AbortController(), new AbortController(), new AbortController()] as const;
  const calls = controllers.map(({ signal }, i) => client.echo(i, { signal }).catch((thrown: unknown) => thrown));
  await came.reached;
  controllers[0].abort('first');
  assert.equal(await calls[0], 'first');
  controllers[1].abort('second');
  controllers[2].abort('third');
  assert.deepEqual(await Promise.all(calls), ['first', 'second', 'third']);
  await left.reached;
  const again = [client.echo(1), client.echo(2)];
  goOn.reach();
  assert.deepEqual(await Promise.all(again), [1, 2]);
  assert.equal(readings, 2);
});
