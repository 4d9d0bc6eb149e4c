import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { JubakoError } from '#dist/errors.js';
import { bytes, defineService, json, stream, tensor, text } from '#dist/service/index.js';
import { tensorOf } from '#dist/tensor/index.js';
import { ValueStreamReader, type ValueFrame } from '#dist/tensor/value-stream.js';
import { sendBytes } from '../support/http-client.js';
import { RawClient, gate, type ErrorAnswer, type StartedServer } from './http-harness.js';
import { startService } from './http-service.js';

// What the values of a stream look like on the wire, in each form. How streams end early is in http-stream-ends.test.ts.

const EVENTS = 'text/event-stream';
const LINES = 'application/x-ndjson';
const VALUES = 'application/vnd.jubako.values';

async function* upTo<T>(count: number, value: (number: number) => T, failure?: Error): AsyncGenerator<T> {
  for (let number = 1; number <= count; number += 1) yield value(number);
  if (failure !== undefined) throw failure;
}

/** Counts to what it is given; a negative number fails behind that many. */
const service = defineService({
  name: 'streams',
  apis: {
    objects: {
      input: json<number>(),
      output: stream(json<unknown>()),
      handler: (count) => upTo(Math.abs(count), (number) => ({ number }), count < 0 ? failing() : undefined),
    },
    words: {
      input: json<readonly string[]>(),
      output: stream(text()),
      handler: (words) => upTo(words.length, (number) => words[number - 1] as string),
    },
    fragile: {
      input: json<number>(),
      output: stream(text({ mediaType: 'text/markdown' })),
      handler: (count) => upTo(count, (number) => `w${number} `, failing()),
    },
    chunks: {
      input: json<number>(),
      output: stream(bytes({ mediaType: 'audio/wav' })),
      handler: (count) => upTo(count, (number) => Buffer.alloc(3, number)),
    },
    tensors: {
      input: json<number>(),
      output: stream(tensor('float32', [-1])),
      handler: (count) => upTo(count, (number) => tensorOf('float32', [2], [number, number])),
    },
    misfit: {
      input: json(),
      output: stream(text()),
      handler: () => upTo(2, (number) => (number === 1 ? 'a' : 2) as string),
    },
    inside: {
      input: json(),
      output: stream(json()),
      handler: () => upTo(1, (number) => number, new Error('a secret')),
    },
    bigint: { input: json(), output: stream(json()), handler: () => upTo(2, (number) => (number === 2 ? 2n : number)) },
  },
});

function failing(): JubakoError {
  return new JubakoError('QUEUE_FULL', 'Cannot go on', { details: [7] });
}

function call(server: StartedServer, path: string, input: unknown, accept?: string): Promise<Response> {
  return fetch(server.url(path), {
    method: 'POST',
    body: JSON.stringify(input),
    headers: { 'x-request-id': 'r-1', ...(accept !== undefined && { accept }) },
  });
}

const FAILURE = { code: 'QUEUE_FULL', message: 'Cannot go on', requestId: 'r-1', details: [7] };

void test('a stream is lines of JSON where the client has no other wish', async (t) => {
  const server = await startService(t, service);
  for (const accept of [undefined, '*/*', LINES, 'text/html', 'application/json']) {
    const answer = await call(server, '/objects', 2, accept);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), LINES);
    assert.equal(answer.headers.get('x-request-id'), 'r-1');
    assert.equal(answer.headers.get('cache-control'), 'no-cache');
    assert.equal(answer.headers.get('content-length'), null);
    assert.equal(await answer.text(), '{"number":1}\n{"number":2}\n');
    const { status, outcome, route } = await server.nextOutcome();
    assert.deepEqual([status, outcome, route], [200, 'ok', '/objects']);
  }
});

void test('a stream of events has ids, data and an end', async (t) => {
  const server = await startService(t, service);
  const answer = await call(server, '/objects', 2, EVENTS);
  assert.equal(answer.headers.get('content-type'), EVENTS);
  const first = 'id: 1\ndata: {"number":1}\n\n';
  assert.equal(await answer.text(), `${first}id: 2\ndata: {"number":2}\n\nevent: end\ndata:\n\n`);
  const lines = await call(server, '/words', ['one\ntwo\r\nthree\rfour', '', ' x'], EVENTS);
  const parts = [
    'id: 1\ndata: one\ndata: two\ndata: three\ndata: four\n\n',
    'id: 2\ndata: \n\n',
    'id: 3\ndata:  x\n\n',
  ];
  assert.equal(await lines.text(), `${parts.join('')}event: end\ndata:\n\n`);
});

async function framesOf(answer: Response): Promise<readonly ValueFrame[]> {
  assert.equal(answer.headers.get('content-type'), VALUES);
  const reader = new ValueStreamReader(1_000_000);
  const frames = reader.push(new Uint8Array(await answer.arrayBuffer()));
  reader.end();
  return frames;
}

void test('a stream of values keeps its tensors, and has an end', async (t) => {
  const server = await startService(t, service);
  const frames = await framesOf(await call(server, '/tensors', 2, VALUES));
  const item = (number: number): ValueFrame => ({ kind: 'item', value: tensorOf('float32', [2], [number, number]) });
  assert.deepEqual(frames, [item(1), item(2), { kind: 'end' }]);
  const words = await framesOf(await call(server, '/words', ['a'], VALUES));
  assert.deepEqual(words, [{ kind: 'item', value: 'a' }, { kind: 'end' }]);
});

void test('texts and bytes go raw where the client asks for their type', async (t) => {
  const server = await startService(t, service);
  for (const [path, input, accept, type, wanted] of [
    ['/words', ['a', '', 'ö'], 'text/plain', 'text/plain; charset=utf-8', 'aö'],
    ['/chunks', 2, 'application/octet-stream', 'application/octet-stream', '\x01\x01\x01\x02\x02\x02'],
    ['/chunks', 1, 'audio/*', 'audio/wav', '\x01\x01\x01'],
    ['/chunks', 1, '*/*', LINES, '"AQEB"\n'],
  ] as const) {
    const answer = await call(server, path, input, accept);
    assert.equal(answer.headers.get('content-type'), type);
    assert.equal(await answer.text(), wanted);
  }
});

void test('a stream without values is an answer without them', async (t) => {
  const server = await startService(t, service);
  assert.equal(await (await call(server, '/objects', 0, LINES)).text(), '');
  assert.equal(await (await call(server, '/objects', 0, EVENTS)).text(), 'event: end\ndata:\n\n');
  assert.deepEqual(await framesOf(await call(server, '/objects', 0, VALUES)), [{ kind: 'end' }]);
});

void test('a failure before the first value is an answer with its own status', async (t) => {
  const failingAtOnce = defineService({
    name: 'none',
    apis: {
      gone: {
        input: json(),
        output: stream(json()),
        handler: (): AsyncGenerator<unknown> => {
          throw new JubakoError('NOT_FOUND', 'Cannot find the topic');
        },
      },
      first: { input: json(), output: stream(text()), handler: () => upTo(1, () => 1 as unknown as string) },
    },
  });
  const server = await startService(t, failingAtOnce);
  for (const accept of [LINES, EVENTS, VALUES, 'text/plain']) {
    const answer = await call(server, '/gone', 1, accept);
    assert.equal(answer.status, 404);
    assert.deepEqual(((await answer.json()) as ErrorAnswer).error.message, 'Cannot find the topic');
    assert.deepEqual((await server.nextOutcome()).outcome, 'NOT_FOUND');
    assert.equal((await call(server, '/first', 1, accept)).status, 500);
    assert.deepEqual((await server.nextOutcome()).outcome, 'USER_CODE');
  }
});

void test('a failure after the first value is told in the stream, and is its outcome', async (t) => {
  const server = await startService(t, service);
  const lines = await call(server, '/objects', -1, LINES);
  assert.equal(await lines.text(), `{"number":1}\n${JSON.stringify({ error: FAILURE })}\n`);
  const events = await call(server, '/objects', -1, EVENTS);
  const data = JSON.stringify(FAILURE);
  assert.equal(await events.text(), `id: 1\ndata: {"number":1}\n\nevent: error\nretry: 1000\ndata: ${data}\n\n`);
  const frames = await framesOf(await call(server, '/objects', -1, VALUES));
  assert.deepEqual(frames, [
    { kind: 'item', value: { number: 1 } },
    { kind: 'error', error: FAILURE },
  ]);
  for (let i = 0; i < 3; i += 1) {
    const { status, outcome } = await server.nextOutcome();
    assert.deepEqual([status, outcome], [200, 'QUEUE_FULL']);
  }
  assert.equal(server.outcomes.length, 3);
});

void test('what an internal failure says stays in the log', async (t) => {
  const server = await startService(t, service);
  for (const [path, inside] of [
    ['/inside', /a secret/],
    ['/misfit', /does not fit its descriptor/],
    ['/bigint', /Cannot write a value of API .*bigint.* as JSON: .*BigInt/],
  ] as const) {
    const body = await (await call(server, path, 1)).text();
    const last = JSON.parse(body.trim().split('\n').at(-1) ?? '') as ErrorAnswer;
    assert.equal(last.error.code, 'USER_CODE');
    assert.doesNotMatch(body, inside);
    assert.match(JSON.stringify(server.logged.at(-1)), inside);
    assert.equal((await server.nextOutcome()).outcome, 'USER_CODE');
  }
});

void test('a raw stream that fails breaks off, and its outcome is the failure', async (t) => {
  const server = await startService(t, service);
  for (const accept of ['text/plain', 'text/markdown']) {
    const answer = await call(server, '/fragile', 2, accept);
    assert.equal(answer.headers.get('content-type'), `${accept}; charset=utf-8`);
    await assert.rejects(answer.text());
    const { status, outcome } = await server.nextOutcome();
    assert.deepEqual([status, outcome], [200, 'QUEUE_FULL']);
  }
  const raw = await sendBytes({ port: server.port }, Buffer.from(http11('/fragile', '2', 'text/plain')));
  assert.match(raw, /\r\nw1 \r\n.*\r\nw2 \r\n$/s); // all values, no last chunk
  assert.equal(server.outcomes.length, 3);
});

function http11(path: string, body: string, accept: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

void test('HTTP/1.0 gets a stream that the end of the connection ends', async (t) => {
  const server = await startService(t, service);
  const post = (path: string, accept: string): string =>
    `POST ${path} HTTP/1.0\r\nConnection: keep-alive\r\nAccept: ${accept}\r\nContent-Length: 1\r\n\r\n2`;
  const whole = await sendBytes({ port: server.port }, Buffer.from(post('/objects', LINES)));
  assert.match(whole, /\r\nConnection: close\r\n/);
  assert.doesNotMatch(whole, /Transfer-Encoding/i);
  assert.ok(whole.endsWith('\r\n\r\n{"number":1}\n{"number":2}\n'));
  const cut = await sendBytes({ port: server.port }, Buffer.from(post('/fragile', 'text/plain')));
  assert.ok(cut.endsWith('\r\n\r\nw1 w2 '));
  assert.deepEqual(
    server.outcomes.map(({ outcome }) => outcome),
    ['ok', 'QUEUE_FULL'],
  );
});

void test('the head and the first value are sent before the second value is asked for', async (t) => {
  const asked = gate();
  const slow = gate();
  const waiting = defineService({
    name: 'waiting',
    apis: {
      slow: {
        input: json(),
        output: stream(json()),
        handler: async function* () {
          yield 1;
          asked.open();
          await slow.promise;
          yield 2;
        },
      },
    },
  });
  const server = await startService(t, waiting);
  const answer = await call(server, '/slow', 1);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.deepEqual(await reader?.read(), { done: false, value: '1\n' });
  await asked.promise;
  slow.open();
  assert.deepEqual(await reader?.read(), { done: false, value: '2\n' });
  assert.deepEqual(await reader?.read(), { done: true, value: undefined });
});

void test('the connection of a stream that has ended serves the next request', async (t) => {
  const server = await startService(t, service);
  const client = await RawClient.open(t, server.port);
  let text = '';
  client.socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  client.write(http11('/objects', '1', LINES) + http11('/objects', '-1', EVENTS));
  client.get('/livez');
  for (let i = 0; i < 3; i += 1) await server.nextOutcome();
  client.socket.end();
  await once(client.socket, 'close');
  assert.equal(text.match(/HTTP\/1.1 200 OK/g)?.length, 3);
  assert.match(text, /ok\n$/);
});

void test('a stream is not compressed', async (t) => {
  const server = await startService(t, service, { config: { compression: true } });
  const answer = await call(server, '/objects', 500);
  assert.equal(answer.headers.get('content-encoding'), null);
  assert.equal((await answer.text()).split('\n').length, 501);
});
