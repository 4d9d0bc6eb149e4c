import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { JubakoError } from '#dist/errors.js';
import { answerValues } from '#dist/http/answer-values.js';
import { streamFormats } from '#dist/http/stream-formats.js';
import { STALLED_MS, StreamedAnswer } from '#dist/http/streamed-answer.js';
import { defineService, json, stream } from '#dist/service/index.js';
import type { ServiceDefinition } from '#dist/service/define.js';
import { RawClient, errorOf, gate, type ErrorAnswer, type StartedServer } from './http-harness.js';
import { Source, startService } from './http-service.js';

// How streams end before their last value, and how they wait for their readers.

const EVENTS = 'text/event-stream';
const LINES = 'application/x-ndjson';

/** One API whose values come from `source`; `signals` has that of each call. */
function serviceOf(values: () => AsyncIterable<unknown>): { service: ServiceDefinition; signals: AbortSignal[] } {
  const signals: AbortSignal[] = [];
  const service = defineService({
    name: 'ends',
    apis: {
      values: {
        input: json(),
        output: stream(json()),
        handler: (_input, { signal }) => {
          signals.push(signal);
          return values();
        },
      },
      unary: {
        input: json(),
        output: json(),
        handler: (_input, { signal }) => {
          signals.push(signal);
          return new Promise(() => undefined);
        },
      },
    },
  });
  return { service, signals };
}

/** Starts a call; resolves when the head of the answer has come. */
async function open(server: StartedServer, accept = LINES): Promise<[ClientRequest, IncomingMessage]> {
  const call = request(server.url('/values'), { method: 'POST', agent: false, headers: { accept } });
  call.on('error', () => undefined).end('1');
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return [call, response];
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

function lastError(text: string): ErrorAnswer['error'] {
  return (JSON.parse(text.trim().split('\n').at(-1) ?? '') as ErrorAnswer).error;
}

void test('a client that leaves ends the generator, which waits for something else, and is CLIENT_GONE', async (t) => {
  const source = new Source();
  const waiting = gate<AbortSignal>();
  const { service, signals } = serviceOf(() =>
    source.values((number) => {
      if (number === 1) return number;
      const signal = signals[0] as AbortSignal;
      waiting.open(signal);
      return once(signal, 'abort').then(() => 2); // as a runner's call does
    }),
  );
  const server = await startService(t, service);
  const [call] = await open(server);
  const signal = await waiting.promise;
  call.destroy();
  await source.ended;
  assert.equal((signal.reason as JubakoError).code, 'CLIENT_GONE');
  const { status, outcome } = await server.nextOutcome();
  assert.deepEqual([status, outcome], [499, 'CLIENT_GONE']);
  assert.equal(server.outcomes.length, 1);
});

void test('a client that leaves before the first value ends the call too', async (t) => {
  const source = new Source();
  const waiting = gate();
  const { service, signals } = serviceOf(() =>
    source.values(() => {
      waiting.open();
      return once(signals[0] as AbortSignal, 'abort').then(() => undefined);
    }),
  );
  const server = await startService(t, service);
  const client = await RawClient.open(t, server.port);
  client.post('/values', '1');
  await waiting.promise;
  client.socket.destroy();
  await source.ended;
  assert.equal((await server.nextOutcome()).outcome, 'CLIENT_GONE');
});

const LARGE = 'x'.repeat(64 * 1024);
const MANY = 4_000;

/** Round trips in which the source gives no further value: it is held back. */
async function untilHeldBack(server: StartedServer, source: Source): Promise<void> {
  for (let given = -1, still = 0; still < 10; still += 1) {
    if (given !== source.given) still = 0;
    given = source.given;
    await (await fetch(server.url('/livez'))).text();
  }
}

void test('a reader that does not read holds the generator back, and gets everything when it does', async (t) => {
  const source = new Source();
  const { service } = serviceOf(() => source.values((number) => (number <= MANY ? LARGE : undefined)));
  const server = await startService(t, service);
  const [, response] = await open(server);
  await untilHeldBack(server, source);
  assert.ok(source.given < MANY / 4, `${source.given} of ${MANY} were made for a client that reads none`);
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).byteLength;
  assert.equal(bytes, MANY * (LARGE.length + 3));
  assert.equal(source.given, MANY);
});

void test('a reader that leaves while it holds the generator back ends it', async (t) => {
  const source = new Source();
  const { service } = serviceOf(() => source.values((number) => (number <= MANY ? LARGE : undefined)));
  const server = await startService(t, service);
  const [call] = await open(server);
  await untilHeldBack(server, source);
  const inProgress = (): number | undefined =>
    server.metrics.takeDelta().gauges['jubako_requests_in_progress{protocol="http"}'];
  assert.equal(inProgress(), 1);
  call.destroy();
  await source.ended;
  await fetch(server.url('/livez'));
  assert.equal(inProgress(), 0);
  const outcomes = server.outcomes.filter(({ route }) => route === '/values');
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['CLIENT_GONE'],
  );
});

void test('a value that cannot be written ends the generator', async (t) => {
  const source = new Source();
  const { service } = serviceOf(() => source.values((number) => (number < 3 ? number : 10n)));
  const server = await startService(t, service);
  const [, response] = await open(server);
  assert.equal(lastError(await textOf(response)).code, 'USER_CODE');
  await source.ended;
});

void test('a stream behind another answer on its connection ends with the connection', async (t) => {
  const source = new Source();
  const { service, signals } = serviceOf(() => source.values((number) => (number <= MANY ? LARGE : undefined)));
  const server = await startService(t, service);
  const client = await RawClient.open(t, server.port);
  client.post('/unary', '1');
  client.post('/values', '1');
  await untilHeldBack(server, source);
  assert.ok(source.given > 0 && source.given < MANY / 4);
  client.socket.destroy();
  await source.ended;
  assert.ok(signals.every(({ aborted }) => aborted));
});

void test('the limits of a stream: 504 before the first value, a word in the stream after it', async (t) => {
  const source = new Source();
  const never = new Promise<never>(() => undefined);
  const late = await startService(t, serviceOf(() => source.values(() => never)).service, { limits: { firstMs: 5 } });
  const none = await fetch(late.url('/values'), { method: 'POST', body: '1' });
  assert.equal(none.status, 504);
  assert.equal((await late.nextOutcome()).outcome, 'DEADLINE_EXCEEDED');

  const idle = new Source();
  const { service, signals } = serviceOf(() => idle.values((number) => (number === 1 ? 1 : never)));
  const server = await startService(t, service, { limits: { idleMs: 5 } });
  const text = await (await fetch(server.url('/values'), { method: 'POST', body: '1' })).text();
  assert.equal(lastError(text).code, 'DEADLINE_EXCEEDED');
  const { status, outcome } = await server.nextOutcome();
  assert.deepEqual([status, outcome], [200, 'DEADLINE_EXCEEDED']);
  assert.equal(signals[0]?.aborted, true);
});

void test('drain lets a stream come to its end within the grace', async (t) => {
  const source = new Source();
  const go = gate();
  const { service } = serviceOf(() =>
    source.values((number) => (number === 1 ? 1 : number === 2 ? go.promise.then(() => 2) : undefined)),
  );
  const server = await startService(t, service);
  const [, response] = await open(server);
  const drained = server.server.drain(20_000);
  go.open();
  assert.equal(await textOf(response), '1\n2\n');
  await drained;
  const { status, outcome } = await server.nextOutcome();
  assert.deepEqual([status, outcome], [200, 'ok']);
});

void test('drain tells a stream that it cuts so, in every form, and ends its generator', async (t) => {
  for (const accept of [LINES, EVENTS]) {
    const source = new Source();
    const { service, signals } = serviceOf(() =>
      source.values((number) => (number === 1 ? 1 : once(signals[0] as AbortSignal, 'abort').then(() => undefined))),
    );
    const server = await startService(t, service);
    const [, response] = await open(server, accept);
    await server.server.drain(20);
    await source.ended;
    assert.match(await textOf(response), /"code":"DRAINING"/);
    const { status, outcome } = await server.nextOutcome();
    assert.deepEqual([status, outcome], [200, 'DRAINING']);
    assert.equal(server.outcomes.length, 1);
  }
});

void test('drain answers a call that it cuts, instead of resetting its connection', async (t) => {
  const { service, signals } = serviceOf(() => new Source().values(() => undefined));
  const server = await startService(t, service);
  const client = await RawClient.open(t, server.port);
  client.post('/unary', '1');
  const answered = client.answer();
  await server.server.drain(20);
  const answer = await answered;
  assert.deepEqual([answer.status, errorOf(answer).code], [503, 'DRAINING']);
  assert.equal(signals[0]?.aborted, true);
  assert.equal((await server.nextOutcome()).outcome, 'DRAINING');
});

void test('drain cuts a stream whose reader does not read, once and without a word', async (t) => {
  const source = new Source();
  const { service } = serviceOf(() => source.values((number) => (number <= MANY ? LARGE : undefined)));
  const server = await startService(t, service);
  await open(server);
  await untilHeldBack(server, source);
  await server.server.drain(20);
  await source.ended;
  assert.equal(server.server.connections, 0);
  const outcomes = server.outcomes.filter(({ route }) => route === '/values');
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['DRAINING'],
  );
});

void test('a stream keeps its place among the admitted until its end', async (t) => {
  const source = new Source();
  const go = gate();
  const { service } = serviceOf(() =>
    source.values((number) => (number === 1 ? 1 : number === 2 ? go.promise.then(() => 2) : undefined)),
  );
  const server = await startService(t, service, { config: { maxConcurrency: 1 } });
  const [, response] = await open(server);
  const post = async (): Promise<number> => {
    const answer = await fetch(server.url('/values'), { method: 'POST', body: '1' });
    await answer.text();
    return answer.status;
  };
  assert.equal(await post(), 503);
  go.open();
  await textOf(response);
  assert.equal(await post(), 200);
});

/** A bare server whose one request is answered by `StreamedAnswer`. */
async function startBare(
  t: TestContext,
): Promise<{ answer: StreamedAnswer; response: ServerResponse; client: Socket }> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const asked = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  const client = await RawClient.open(t, (server.address() as AddressInfo).port);
  client.get('/');
  const [, response] = await asked;
  const nothing = (): void => undefined;
  const answer = new StreamedAnswer({ isEnded: false, failedLate: nothing, streamEnded: nothing }, response);
  response.writeHead(200);
  return { answer, response, client: client.socket };
}

void test('only while a client has something to take, it is watched for taking nothing', async (t) => {
  const { answer, response, client } = await startBare(t);
  client.pause();
  assert.equal(response.socket?.timeout ?? 0, 0);
  while (!answer.isFull) answer.write(LARGE);
  const drained = answer.drained();
  assert.equal(response.socket?.timeout, STALLED_MS);
  client.resume();
  await drained;
  assert.equal(response.socket?.timeout, 0);
  assert.equal(answer.isFull, false);
  await answer.drained(); // at once: nothing waits
});

void test('while no value comes, a stream of events has comments, and no longer', async (t) => {
  const { answer, client } = await startBare(t);
  const [, events] = streamFormats('values', stream(json()));
  assert.ok(events?.type === EVENTS);
  const go = gate();
  const source = new Source();
  const values = source.values((number) => (number === 1 ? 1 : number === 2 ? go.promise.then(() => 2) : undefined));
  const exchange = { requestId: 'r', beginStream: () => answer, fail: () => assert.fail('failed') };
  const answered = answerValues(exchange, values, events, 1);
  let text = '';
  for await (const chunk of client) {
    text += String(chunk);
    if (text.split('\r\n:\n\n\r\n').length > 3) go.open();
    if (text.includes('event: end')) break;
  }
  await answered;
  assert.match(text, /id: 1\ndata: 1\n\n.*:\n\n.*id: 2\ndata: 2\n\n.*event: end/s);
});
