import assert from 'node:assert/strict';
import { writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { ErrorCode } from '#dist/errors.js';
import { get, keepAliveAgent } from '../support/http-client.js';
import { tempFolder, until } from '../support/start-primary.js';
import { askEverywhere, hear, isLogged, nextRequestId, type Heard } from './catalogue.js';
import type { ConformanceServer } from './conformance-server.js';
import { askHttp, callUnary, type Message, type Target } from './doors.js';

// What brings each row of the catalogue about, apart from a service that throws it.
// F1 The order matters: what takes workers away comes last.

export interface Servers {
  /** Small limits, no hurry. */
  readonly main: ConformanceServer;
  /** Its `timeout` is short. */
  readonly hasty: ConformanceServer;
  /** While this file exists, runner `held` of `main` does not get ready. */
  readonly closedGate: string;
}

export const MAX_BODY_BYTES = 65_536;
export const MAX_CONCURRENCY = 6;

export interface Cause {
  readonly title: string;
  /** Of the message to the client. */
  readonly message?: RegExp;
  /** What each door answered; nothing where the client hears nothing. */
  readonly provoke: (servers: Servers, t: TestContext) => Promise<readonly Heard[]>;
}

const HOLD: Target = { api: 'hold', model: 'held.hold' };
const HOLD_IN_MODEL: Target = { api: 'hold-in-model', model: 'held.hold' };
const QUEUE: Target = { api: 'queue', model: 'held.queue' };
const DOUBLE: Target = { api: 'double', model: 'model.double' };
const ECHO: Target = { api: 'echo', model: 'model.echo' };
const NUMBER: Target = { api: 'number', model: 'model.number' };

export const CAUSES: Readonly<Record<ErrorCode, readonly Cause[]>> = {
  INVALID_INPUT: [
    {
      title: 'value that does not fit the schema',
      message: /\/n must be number/,
      provoke: ({ main }) => askEverywhere(main, NUMBER, { n: 'three' }),
    },
    {
      title: 'tensor of another shape',
      message: /shape.*\[1, 3\]/,
      provoke: ({ main }) => askEverywhere(main, DOUBLE, [[1, 2, 3]]),
    },
  ],
  UNAUTHENTICATED: [],
  FORBIDDEN: [],
  NOT_FOUND: [
    {
      title: 'API, route or model that is not there',
      message: /Cannot find .*nope/,
      provoke: ({ main }) => askEverywhere(main, { api: 'nope', model: 'nope' }, 1),
    },
    {
      title: 'name that every object has',
      message: /Cannot find .*constructor/,
      provoke: ({ main }) => askEverywhere(main, { api: 'constructor', model: 'constructor' }, 1),
    },
    {
      title: 'method that its runner has not',
      message: /model\.nope/,
      provoke: ({ main }) => askInference(main, 'ModelInfer', { model_name: 'model.nope' }),
    },
    {
      title: 'version that is not served',
      message: /version "99".*"3"/,
      provoke: async ({ main }) => [
        ...(await askInference(main, 'ModelInfer', { model_name: 'model.echo', model_version: '99' })),
        ...(await askInference(main, 'ModelReady', { name: 'model.echo', version: '99' })),
        ...(await askInference(main, 'ModelMetadata', { name: 'model.echo', version: '99' })),
      ],
    },
  ],
  METHOD_NOT_ALLOWED: [
    {
      title: 'HTTP method that a route does not take',
      message: /^Cannot (?:GET|DELETE|PUT) \/echo: the methods are POST$/,
      provoke: async ({ main }: Servers): Promise<readonly Heard[]> => {
        const asked = await Promise.all(['GET', 'DELETE', 'PUT'].map((method) => askRoute(main, '/echo', { method })));
        for (const { told } of asked) assert.match(told.seen, /"allow":"POST"/);
        return asked;
      },
    },
    {
      title: 'POST to a probe',
      message: /the methods are GET, HEAD/,
      provoke: async ({ main }) => [await askRoute(main, '/livez', { body: '1' })],
    },
  ],
  TOO_LARGE: [
    {
      title: 'HTTP body beyond maxBodyBytes',
      message: /larger than 65536 bytes/,
      provoke: async ({ main }) => [await askRoute(main, '/echo', { body: `"${'x'.repeat(MAX_BODY_BYTES)}"` })],
    },
  ],
  UNSUPPORTED_MEDIA: [
    {
      title: 'content type that an API does not take',
      message: /application\/xml/,
      provoke: async ({ main }) => [
        await askRoute(main, '/double', { body: '<one/>', headers: { 'content-type': 'application/xml' } }),
      ],
    },
    {
      title: 'body in a coding that is unknown',
      message: /zstd/,
      provoke: async ({ main }) => [
        await askRoute(main, '/echo', { body: '1', headers: { 'content-encoding': 'zstd' } }),
      ],
    },
  ],
  RATE_LIMITED: [],
  QUEUE_FULL: [
    {
      title: 'queue of a runner that is full',
      message: /2 rows wait already|as much work as it takes/,
      provoke: fillQueue,
    },
    { title: 'as many requests as maxConcurrency allows', message: /the limit is 6|limit of 6/, provoke: fillWorkers },
  ],
  DEADLINE_EXCEEDED: [
    {
      title: 'handler that takes longer than the setting timeout',
      message: /the deadline has passed/,
      provoke: ({ hasty }, t) => askEverywhere(hasty, HOLD, neverDone(t)),
    },
    {
      title: 'model that takes longer than the setting timeout',
      message: /deadline/,
      provoke: ({ hasty }, t) => askEverywhere(hasty, HOLD_IN_MODEL, neverDone(t)),
    },
    { title: 'deadline of a gRPC client', provoke: outlastClient },
  ],
  CLIENT_GONE: [{ title: 'client that leaves', provoke: leave }],
  USER_CODE: [
    {
      title: 'handler and model that throw a plain error',
      provoke: async ({ main }) => [
        ...(await askEverywhere(main, { api: 'crash', model: 'model.crash' }, 'the secret is 42')),
        ...(await askEverywhere(main, { api: 'crash-in-model' }, 'the secret is 42')),
      ],
    },
    {
      title: 'model that gives another shape than it promises',
      provoke: ({ main }) => askEverywhere(main, { api: 'narrow', model: 'model.narrow' }, [[1, 2, 3, 4]]),
    },
    {
      title: 'model that gives another number of rows than it got',
      provoke: ({ main }) =>
        askEverywhere(main, { api: 'short', model: 'model.short' }, [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ]),
    },
    {
      title: 'model that gives no list for a batch of JSON values',
      provoke: ({ main }) => askEverywhere(main, { api: 'listless', model: 'model.listless' }, 1),
    },
    {
      title: 'handler whose output does not fit its descriptor',
      provoke: ({ main }) => askEverywhere(main, { api: 'misfit' }, 1),
    },
  ],
  RUNNER_LOST: [
    {
      title: 'runner worker that dies with a call that must not be repeated',
      message: /held\.hold/,
      provoke: killRunner,
    },
  ],
  NOT_READY: [
    {
      title: 'runner tier that is away',
      message: /runner "held"/,
      provoke: (servers, t) => whileAway(servers, () => askEverywhere(servers.main, HOLD_IN_MODEL, neverDone(t))),
    },
    {
      title: 'probe of a server whose runner tier is away',
      message: /runner "held"/,
      provoke: (servers) => whileAway(servers, async () => [await askRoute(servers.main, '/readyz', {})]),
    },
  ],
  DRAINING: [{ title: 'server that was told to stop', message: /shutting down/, provoke: stop }],
  // Nothing that a client does brings these about: a bug does, or a start that fails.
  INTERNAL: [],
  LINK_PROTOCOL: [],
  BIND_FAILED: [],
  CONFIG_INVALID: [],
  SERVICE_INVALID: [],
};

interface RouteRequest {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function askRoute({ http }: ConformanceServer, route: string, { body, ...rest }: RouteRequest): Promise<Heard> {
  const requestId = nextRequestId('route');
  return hear(`HTTP ${route}`, 'http', requestId, await askHttp(`${http}${route}`, body, { ...rest, requestId }));
}

async function askInference(
  { clients }: ConformanceServer,
  method: string,
  request: Message,
): Promise<readonly Heard[]> {
  const requestId = nextRequestId(method);
  return [hear(method, 'grpc', requestId, await callUnary(clients.inference, method, request, { requestId }))];
}

function neverDone(t: TestContext): { readonly id: string; readonly until: string } {
  return { id: nextRequestId('never'), until: join(tempFolder(t), 'never') };
}

/** One call in the model and two in the queue: one more has no room, whatever door it comes by. */
async function fillQueue({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const task = { id: 'fills', until: join(tempFolder(t), 'release') };
  const door = main.door('HTTP');
  const filling = [door.ask(QUEUE, task)];
  await main.primary.nextLog({ event: 'model.started', id: task.id });
  filling.push(door.ask(QUEUE, task), door.ask(QUEUE, task));
  await main.sees('jubako_runner_queue_rows{runner="held",method="queue"} 2');
  const heard = await askEverywhere(main, QUEUE, task);
  writeFileSync(task.until, '');
  for (const told of await Promise.all(filling)) assert.equal(told.code, 'ok', told.seen);
  return heard;
}

/** Both API workers are full; their probes are answered all the same. */
async function fillWorkers({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const task = { id: nextRequestId('busy'), until: join(tempFolder(t), 'release') };
  const filling = ['HTTP', 'BentoService.Call'].flatMap((name) =>
    Array.from({ length: MAX_CONCURRENCY }, () => main.door(name as 'HTTP').ask(HOLD, task)),
  );
  await Promise.all(filling.map(() => main.primary.nextLog({ event: 'handler.started', id: task.id })));
  const heard = await askEverywhere(main, ECHO, 1);
  assert.equal((await get(`${main.http}/livez`)).status, 200);
  assert.equal((await callUnary(main.clients.health, 'Check', {})).code, 'ok');
  writeFileSync(task.until, '');
  for (const told of await Promise.all(filling)) assert.equal(told.code, 'ok', told.seen);
  return heard;
}

/** The client gives up by itself, and hears nothing of the server; the server knows the same deadline. */
async function outlastClient({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const task = neverDone(t);
  for (const door of main.doors.filter(({ protocol }) => protocol === 'grpc')) {
    const requestId = nextRequestId('deadline');
    const told = await door.ask(HOLD, task, { requestId, deadlineMs: 400 });
    assert.equal(told.status, status.DEADLINE_EXCEEDED, told.seen);
    const line = await main.primary.nextLog({ event: 'request.finished', requestId });
    // The client's clock starts before the request is sent: its farewell may be faster than the server's own timer.
    assert.ok(['DEADLINE_EXCEEDED', 'CLIENT_GONE'].includes(String(line['outcome'])), String(line['outcome']));
  }
  writeFileSync(task.until, '');
  await main.primary.nextLog({ event: 'model.finished', id: task.id }); // the runner is free again
  return [];
}

/** Seen in the log and the metrics, not by the client. */
async function leave({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  for (const [name, wanted] of [
    ['HTTP', 499],
    ['BentoService.Call', status.CANCELLED],
  ] as const) {
    const leaving = new AbortController();
    const task = neverDone(t);
    const requestId = nextRequestId('leaves');
    const door = main.door(name);
    const told = door.ask(HOLD, task, { requestId, signal: leaving.signal }).catch(() => undefined);
    await main.primary.nextLog({ event: 'handler.started', id: task.id });
    leaving.abort();
    await told;
    await isLogged(main, 'CLIENT_GONE', { door: name, protocol: door.protocol, requestId }, wanted);
  }
  await main.sees('jubako_requests_total{protocol="http",route="/hold",outcome="CLIENT_GONE"} 1');
  await until(async () =>
    /\{protocol="grpc",route="\/bentoml\.grpc\.v1\.BentoService\/Call",outcome="CLIENT_GONE"\} \d/.test(
      await main.metrics(),
    ),
  );
  return [];
}

async function killRunner({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const asked = askEverywhere(main, HOLD_IN_MODEL, neverDone(t));
  await main.sees('jubako_runner_queue_rows{runner="held",method="hold"} 2');
  process.kill(main.workers.get('runner-held-0') ?? NaN, 'SIGKILL');
  const heard = await asked;
  await until(async () => (await get(`${main.http}/readyz`)).status === 200);
  return heard;
}

/** Both API workers have noticed that runner `held` is away while `ask` runs, and that it is back afterwards. */
async function whileAway<T>({ main, closedGate }: Servers, ask: () => Promise<T>): Promise<T> {
  const { primary, http, clients } = main;
  const areReady = async (wanted: boolean): Promise<boolean> => {
    const { value } = await callUnary(clients.inference, 'ServerReady', {});
    const isGrpcReady = (value as { readonly ready?: boolean } | undefined)?.ready ?? false;
    return isGrpcReady === wanted && ((await get(`${http}/readyz`)).status === 200) === wanted;
  };
  const lastPid = (): number => {
    const lines = primary.logs.filter(({ event, name }) => event === 'worker.ready' && name === 'runner-held-0');
    return Number(lines.at(-1)?.['workerPid']);
  };
  await until(() => primary.processes().includes(lastPid())); // the log line of a new one may be on its way
  writeFileSync(closedGate, '');
  try {
    process.kill(lastPid(), 'SIGKILL');
    await until(() => areReady(false));
    return await ask();
  } finally {
    rmSync(closedGate);
    await until(() => areReady(true));
  }
}

/** An idle connection is told so by /readyz while it stays open, a health watch as it is ended. */
async function stop({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const agent = keepAliveAgent();
  t.after(() => {
    agent.destroy();
  });
  await get(`${main.http}/readyz`, { agent });
  const watchId = nextRequestId('watch');
  const watched = watchHealth(main, watchId);
  const task = { id: nextRequestId('busy'), until: join(tempFolder(t), 'release') };
  const busy = main.door('HTTP').ask(HOLD, task); // keeps the server from ending
  await main.primary.nextLog({ event: 'handler.started', id: task.id });
  main.primary.signal('SIGTERM');

  const requestId = nextRequestId('readyz');
  let answer = await get(`${main.http}/readyz`, { agent });
  while (answer.status === 200)
    answer = await get(`${main.http}/readyz`, { agent, headers: { 'x-request-id': requestId } });
  const { error } = answer.json as { readonly error: { readonly code: string; readonly message: string } };
  assert.deepEqual([answer.status, error.code, answer.headers['retry-after']], [503, 'DRAINING', '1'], answer.text);
  assert.match(error.message, /shutting down/);
  const { code, details, metadata } = await watched;
  assert.deepEqual([code, metadata.get('x-error-code')], [status.UNAVAILABLE, ['DRAINING']], details);
  await isLogged(main, 'DRAINING', { door: 'Watch', protocol: 'grpc', requestId: watchId }, status.UNAVAILABLE);
  writeFileSync(task.until, '');
  assert.equal((await busy).code, 'ok');
  assert.deepEqual(await main.primary.exited, { code: 0, signal: null });
  return [];
}

interface Watch {
  on(event: 'data', listener: () => void): this;
  on(event: 'error', listener: (error: ServiceError) => void): this;
}

/** Resolves with what ends the watch. */
function watchHealth({ clients }: ConformanceServer, requestId: string): Promise<ServiceError> {
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId);
  const { health } = clients as unknown as { readonly health: { Watch(request: object, metadata: Metadata): Watch } };
  return new Promise((resolve) => {
    health
      .Watch({ service: '' }, metadata)
      .on('data', () => undefined)
      .on('error', resolve);
  });
}
