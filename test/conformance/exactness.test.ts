import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import type { ErrorCode } from '#dist/errors.js';
import { LIMIT, tempFolder, until } from '../support/start-primary.js';
import { ConformanceServer } from './conformance-server.js';
import type { DoorName, Protocol } from './door.js';
import { askHttp } from './http-doors.js';
import { exchangeBytes } from './wire.js';

// Every request is counted once, by how it ended: what the test has counted is what /metrics says, over all workers.

type Counts = Record<string, number>;

/** One request that ends in one known way. */
interface Kind {
  readonly protocol: Protocol;
  readonly route: string;
  readonly outcome: 'ok' | ErrorCode;
  readonly send: (server: ConformanceServer, t: TestContext) => Promise<unknown>;
}

const CALL = '/bentoml.grpc.v1.BentoService/Call';
const INFER = '/inference.GRPCInferenceService/ModelInfer';
const INFER_PATH = '/v2/models/{name}/infer';
const UNKNOWN = '(unknown)';
const ROW = [[1, 2, 3, 4]];
const DEADLINE_MS = 50;

function http(route: string, outcome: Kind['outcome'], body: string, more: Parameters<typeof askHttp>[2] = {}): Kind {
  const send: Kind['send'] = (server) => askHttp(`${server.http}${route}`, body, more);
  return { protocol: 'http', route, outcome, send };
}

function infer(outcome: Kind['outcome'], model: string, value: unknown): Kind {
  const send: Kind['send'] = (server) => server.door('OIP typed').ask({ api: '', model }, value);
  return { protocol: 'grpc', route: INFER, outcome, send };
}

function call(outcome: Kind['outcome'], api: string, value: unknown): Kind {
  const send: Kind['send'] = (server) => server.door('Bento Call').ask({ api }, value);
  return { protocol: 'grpc', route: CALL, outcome, send };
}

function refusal(code: ErrorCode): { readonly code: ErrorCode; readonly message: string } {
  return { code, message: 'as asked' };
}

/** The handler has the call when the client leaves. */
async function leave(server: ConformanceServer, t: TestContext, name: DoorName): Promise<void> {
  const leaving = new AbortController();
  const task = { id: `leaves-${(leavers += 1)}`, until: join(tempFolder(t), 'never') };
  const told = server.door(name).ask({ api: 'hold' }, task, { signal: leaving.signal });
  const gone = told.catch(() => undefined);
  await server.primary.nextLog({ event: 'handler.started', id: task.id });
  leaving.abort();
  await gone;
}
let leavers = 0;

const KINDS: readonly Kind[] = [
  http('/echo', 'ok', '1'),
  http('/double', 'ok', JSON.stringify(ROW)),
  http('/livez', 'ok', '', { method: 'GET' }),
  http('/echo', 'INVALID_INPUT', '{'),
  http('/double', 'INVALID_INPUT', '[[1,2,3]]'),
  http('/echo', 'METHOD_NOT_ALLOWED', '', { method: 'DELETE' }),
  http('/double', 'UNSUPPORTED_MEDIA', '<a/>', { headers: { 'content-type': 'text/xml' } }),
  http('/echo', 'TOO_LARGE', `"${'x'.repeat(70_000)}"`),
  http('/refuse', 'RATE_LIMITED', JSON.stringify(refusal('RATE_LIMITED'))),
  http('/refuse-in-model', 'UNAUTHENTICATED', JSON.stringify(refusal('UNAUTHENTICATED'))),
  http('/crash', 'USER_CODE', '"on purpose"'),
  http('/crash-in-model', 'USER_CODE', '"on purpose"'),
  { protocol: 'http', route: UNKNOWN, outcome: 'NOT_FOUND', send: (server) => askHttp(`${server.http}/nope`, '1') },
  {
    protocol: 'http',
    route: UNKNOWN,
    outcome: 'INVALID_INPUT',
    send: (server) => exchangeBytes(server.httpPort, 'no HTTP\r\n\r\n'),
  },
  { protocol: 'http', route: '/hold', outcome: 'CLIENT_GONE', send: (server, t) => leave(server, t, 'API JSON') },
  infer('ok', 'model.double', ROW),
  infer('ok', 'model.echo', 1),
  infer('INVALID_INPUT', 'model.double', [[1]]),
  infer('NOT_FOUND', 'nope', 1),
  infer('USER_CODE', 'model.crash', 'on purpose'),
  infer('FORBIDDEN', 'model.refuse', refusal('FORBIDDEN')),
  infer('TOO_LARGE', 'model.echo', 'x'.repeat(70_000)),
  call('ok', 'echo', 1),
  call('ok', 'double', ROW),
  call('INVALID_INPUT', 'double', 1),
  call('NOT_FOUND', 'nope', 1),
  call('USER_CODE', 'crash', 'on purpose'),
  call('QUEUE_FULL', 'refuse', refusal('QUEUE_FULL')),
  { protocol: 'grpc', route: CALL, outcome: 'CLIENT_GONE', send: (server, t) => leave(server, t, 'Bento Call') },
  {
    protocol: 'grpc',
    route: UNKNOWN,
    outcome: 'NOT_FOUND',
    send: (server) => server.clients.wire('/not/there', new Uint8Array()),
  },
];

/** How often each of them is sent; all at the same time. */
const TIMES = 12;

function seriesOf({ protocol, route, outcome }: Pick<Kind, 'protocol' | 'route' | 'outcome'>): string {
  return `${protocol} ${route} ${outcome}`;
}

function count(counts: Counts, kinds: readonly Omit<Kind, 'send'>[]): void {
  for (const kind of kinds) counts[seriesOf(kind)] = (counts[seriesOf(kind)] ?? 0) + 1;
}

const SERIES = /^jubako_requests_total\{protocol="(http|grpc)",route="([^"]*)",outcome="([^"]*)"\} (\d+)$/gm;

/** Without the scrapes themselves. */
function readCounts(metrics: string): Counts {
  const counts: Counts = {};
  for (const [, protocol = '', route = '', outcome = '', value] of metrics.matchAll(SERIES)) {
    if (route !== '/metrics') counts[`${protocol} ${route} ${outcome}`] = Number(value);
  }
  return counts;
}

function sumOf(counts: Counts): number {
  return Object.values(counts).reduce((sum, value) => sum + value, 0);
}

describe('exactness of the counts', () => {
  let server: ConformanceServer;
  const sent: Counts = {};
  before(async () => {
    const limits = ['--max-body-bytes', '65536', '--max-message-length', '65536'];
    server = await ConformanceServer.start([...limits, '--api-workers', '2', '--runner-workers', '2']);
  }, LIMIT);

  /** Waits until as many requests are counted as were sent; gives the counts. */
  const countedAll = async (): Promise<Counts> => {
    const wanted = sumOf(sent);
    let counts: Counts = {};
    await until(async () => {
      counts = readCounts(await server.metrics());
      return sumOf(counts) >= wanted;
    });
    return counts;
  };

  test('jubako_requests_total has every request once, by its outcome, over all workers', LIMIT, async (t) => {
    const kinds = KINDS.flatMap((kind) => new Array<Kind>(TIMES).fill(kind));
    // Neighbours differ, so that good, bad and refused requests meet in every worker.
    const mixed = kinds.map((_, at) => kinds[(at * 7) % kinds.length] as Kind);
    await Promise.all(mixed.map((kind) => kind.send(server, t)));
    count(sent, mixed);
    assert.equal(sumOf(sent), KINDS.length * TIMES);
    assert.deepEqual(await countedAll(), sent);
  });

  test('jubako_requests_total has no more than that when all workers have told what they counted', LIMIT, async (t) => {
    // Each worker tells what it has counted in order: by the time these are known, older counts are as well.
    const last = [
      http('/echo', 'ok', '1'),
      http('/echo', 'ok', '2'),
      call('ok', 'echo', 1),
      infer('ok', 'model.echo', 1),
    ];
    for (const kind of last) await kind.send(server, t);
    count(sent, last);
    const first = await countedAll();
    assert.deepEqual(first, sent);
    assert.deepEqual(readCounts(await server.metrics()), sent);
  });

  test('log has a line for every request that is counted', LIMIT, async () => {
    const logged: Counts = {};
    const lines = server.primary.logs.filter(
      ({ event, route }) => event === 'request.finished' && route !== '/metrics',
    );
    for (const { protocol, route, outcome } of lines) count(logged, [{ protocol, route, outcome } as Kind]);
    const probes = seriesOf({ protocol: 'http', route: '/livez', outcome: 'ok' }); // on the log at level debug only
    assert.deepEqual({ ...logged, [probes]: sent[probes] }, sent);
  });

  test('jubako_runner_calls_total has every call of a runner once, by its outcome', LIMIT, async () => {
    // What an API worker refuses, no runner hears of.
    const wanted: Counts = {
      'double ok': 3 * TIMES,
      'echo ok': TIMES + 1,
      'refuse UNAUTHENTICATED': TIMES,
      'refuse FORBIDDEN': TIMES,
      'crash USER_CODE': 2 * TIMES,
    };
    let counts: Counts = {};
    await until(async () => {
      counts = {};
      const series = /^jubako_runner_calls_total\{runner="model",method="(\w+)",outcome="(\w+)"\} (\d+)$/gm;
      for (const [, method, outcome, value] of (await server.metrics()).matchAll(series))
        counts[`${method ?? ''} ${outcome ?? ''}`] = Number(value);
      return sumOf(counts) >= sumOf(wanted);
    });
    assert.deepEqual(counts, wanted);
  });

  test('request that the deadline of its gRPC client ends is counted once', LIMIT, async (t) => {
    const counted = readCounts(await server.metrics());
    const task = { id: 'late', until: join(tempFolder(t), 'never') };
    const asked = Array.from({ length: TIMES }, () =>
      server.door('Bento Call').ask({ api: 'hold' }, task, { deadlineMs: DEADLINE_MS }),
    );
    for (const told of await Promise.all(asked)) assert.equal(told.status, 4, told.seen);
    // A client's farewell may be faster than the server's own timer; either way it is one request.
    const ends = (counts: Counts): number =>
      ['DEADLINE_EXCEEDED', 'CLIENT_GONE'].reduce((sum, code) => sum + (counts[`grpc ${CALL} ${code}`] ?? 0), 0);
    const wanted = ends(counted) + TIMES;
    await until(async () => ends(readCounts(await server.metrics())) >= wanted);
    assert.equal(ends(readCounts(await server.metrics())), wanted);
  });

  test('jubako_requests_total has counted nothing twice in the meantime', LIMIT, async () => {
    await server.isUnharmed();
    for (const { name, protocol } of server.doors) {
      const route = {
        http: name.startsWith('OIP') ? INFER_PATH : '/double',
        grpc: name === 'Bento Call' ? CALL : INFER,
      };
      count(sent, [{ protocol, route: route[protocol], outcome: 'ok' }]);
    }
    // How the late ones were shared out, the test before has said.
    const counts = readCounts(await server.metrics());
    for (const code of ['DEADLINE_EXCEEDED', 'CLIENT_GONE']) {
      const series = `grpc ${CALL} ${code}`;
      if (counts[series] !== undefined) sent[series] = counts[series];
    }
    assert.deepEqual(await countedAll(), sent);
  });
});
