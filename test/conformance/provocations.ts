import assert from 'node:assert/strict';
import { writeFileSync, rmSync } from 'node:fs';
import type { Agent } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { get, keepAliveAgent } from '../support/http-client.js';
import { tempFolder, until } from '../support/start-primary.js';
import { askEverywhere, hear, isLogged, nextRequestId, type Heard } from './catalogue.js';
import type { ConformanceServer } from './conformance-server.js';
import type { DoorName, Target } from './door.js';
import { callUnary } from './grpc-clients.js';
import { askHttp } from './http-doors.js';
import { observe, type Observation } from './observations.js';
import type { Message } from './protobuf-values.js';

// How servers are brought to fail.

export interface Servers {
  /** Small limits, no hurry. */
  readonly main: ConformanceServer;
  /** Its `timeout` is short. */
  readonly hasty: ConformanceServer;
  /** It wants a key. */
  readonly guarded: ConformanceServer;
  /** This client has sent all that it may. */
  readonly limited: ConformanceServer;
  /** While this file exists, runner `held` of `main` does not get ready. */
  readonly closedGate: string;
}

export const MAX_BODY_BYTES = 65_536;
/** More than the doors of one protocol, and what fills a queue. */
export const MAX_CONCURRENCY = 10;

export const HOLD: Target = { api: 'hold', model: 'held.hold' };
export const HOLD_IN_MODEL: Target = { api: 'hold-in-model', model: 'held.hold' };
export const ECHO: Target = { api: 'echo', model: 'model.echo' };
const QUEUE: Target = { api: 'queue', model: 'held.queue' };

/** What `hold` is asked for. */
interface Hold {
  readonly id: string;
  readonly until: string;
}

interface RouteRequest {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function askRoute(
  { http }: ConformanceServer,
  route: string,
  { body, ...rest }: RouteRequest,
  door: DoorName = 'API JSON',
): Promise<Heard> {
  const requestId = nextRequestId('route');
  return hear(door, 'http', requestId, await askHttp(`${http}${route}`, body, { ...rest, requestId }));
}

/** GETs; those below /v2 are of the Open Inference Protocol. */
export function askAll(server: ConformanceServer, routes: readonly string[]): Promise<readonly Heard[]> {
  return Promise.all(
    routes.map((route) => askRoute(server, route, {}, route.startsWith('/v2') ? 'OIP JSON' : 'API JSON')),
  );
}

/** An RPC of the Open Inference Protocol. */
export async function askInference({ clients }: ConformanceServer, method: string, request: Message): Promise<Heard> {
  const requestId = nextRequestId(method);
  return hear('OIP typed', 'grpc', requestId, await callUnary(clients.inference, method, request, { requestId }));
}

/** Infers with a version of a model, whether there is one or not. */
export async function askModel(server: ConformanceServer, model: string, version: string): Promise<readonly Heard[]> {
  const path = version === '' ? model : `${model}/versions/${version}`;
  return [
    await askRoute(server, `/v2/models/${path}/infer`, { body: '{"inputs":[]}' }, 'OIP JSON'),
    await askInference(server, 'ModelInfer', { model_name: model, model_version: version }),
  ];
}

export function neverDone(t: TestContext): Hold {
  return { id: nextRequestId('never'), until: join(tempFolder(t), 'never') };
}

/** One call in the model and two in the queue: one more has no room, whatever door it comes by. */
export async function fillQueue({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const task = { id: 'fills', until: join(tempFolder(t), 'release') };
  const door = main.door('API JSON');
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
export async function fillWorkers({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const task = { id: nextRequestId('busy'), until: join(tempFolder(t), 'release') };
  const filling = (['API JSON', 'Bento Call'] as const).flatMap((name) =>
    Array.from({ length: MAX_CONCURRENCY }, () => main.door(name).ask(HOLD, task)),
  );
  await Promise.all(filling.map(() => main.primary.nextLog({ event: 'handler.started', id: task.id })));
  const heard = await askEverywhere(main, ECHO, 1);
  assert.equal((await get(`${main.http}/livez`)).status, 200);
  assert.equal((await callUnary(main.clients.health, 'Check', {})).code, 'ok');
  writeFileSync(task.until, '');
  for (const told of await Promise.all(filling)) assert.equal(told.code, 'ok', told.seen);
  return heard;
}

/** The server gives up, at the time that the client named. */
export async function outlastRequest({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const task = neverDone(t);
  const timeoutUs = 100_000;
  const document = { name: 'input', datatype: 'BYTES', shape: [1] };
  const body = JSON.stringify({
    inputs: [{ ...document, data: [JSON.stringify(task)] }],
    parameters: { timeout: timeoutUs },
  });
  const heard = [
    await askRoute(main, '/v2/models/held.hold/infer', { body }, 'OIP JSON'),
    await askInference(main, 'ModelInfer', {
      model_name: 'held.hold',
      parameters: { timeout: { int64_param: timeoutUs } },
      inputs: [{ ...document, contents: { bytes_contents: [Buffer.from(JSON.stringify(task))] } }],
    }),
  ];
  await release(main, task);
  return heard;
}

const OUTLASTED = {
  section: 'causes',
  row: 'DEADLINE_EXCEEDED',
  title: 'deadline of a gRPC client',
} as const satisfies Partial<Observation>;

/** The client gives up by itself, and hears nothing of the server; the server knows the same deadline. */
export async function outlastClient({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const task = neverDone(t);
  for (const door of main.doors.filter(({ name }) => name === 'Bento Call' || name === 'OIP raw')) {
    const requestId = nextRequestId('deadline');
    const told = await door.ask(HOLD, task, { requestId, deadlineMs: 400 });
    assert.equal(told.status, status.DEADLINE_EXCEEDED, told.seen);
    const line = await main.primary.nextLog({ event: 'request.finished', requestId });
    // The client's clock starts before the request is sent: its farewell may be faster than the server's own timer.
    assert.ok(['DEADLINE_EXCEEDED', 'CLIENT_GONE'].includes(String(line['outcome'])), String(line['outcome']));
    observe({ ...OUTLASTED, door: door.name, status: told.status });
  }
  await release(main, task);
  return [];
}

/** Resolves when the runner is free again. */
async function release({ primary }: ConformanceServer, task: Hold): Promise<void> {
  writeFileSync(task.until, '');
  await primary.nextLog({ event: 'model.finished', id: task.id });
}

/** Seen in the log and the metrics, not by the client. */
export async function leave({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  for (const door of main.doors) {
    const task = neverDone(t);
    if (!door.leadsTo(HOLD, task)) continue;
    const leaving = new AbortController();
    const requestId = nextRequestId('leaves');
    const told = door.ask(HOLD, task, { requestId, signal: leaving.signal }).catch(() => undefined);
    const isModel = door.name.startsWith('OIP');
    await main.primary.nextLog({ event: isModel ? 'model.started' : 'handler.started', id: task.id });
    leaving.abort();
    await told;
    const wanted = door.protocol === 'http' ? 499 : status.CANCELLED;
    await isLogged(main, 'CLIENT_GONE', { door: door.name, protocol: door.protocol, requestId }, wanted);
    observe({
      section: 'causes',
      row: 'CLIENT_GONE',
      title: 'client that leaves, as the log has it',
      door: door.name,
      status: wanted,
    });
    if (isModel) await release(main, task);
  }
  const gone = (route: string): RegExp => new RegExp(`route="${route}",outcome="CLIENT_GONE"\\} \\d`);
  await until(async () => {
    const text = await main.metrics();
    return [/\/hold/, /\/bentoml.grpc.v1.BentoService\/Call/].every(({ source }) => gone(source).test(text));
  });
  return [];
}

export async function killRunner({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const asked = askEverywhere(main, HOLD_IN_MODEL, neverDone(t));
  await main.sees('jubako_runner_queue_rows{runner="held",method="hold"} 6'); // and one runs
  process.kill(main.workers.get('runner-held-0') ?? NaN, 'SIGKILL');
  const heard = await asked;
  await until(async () => (await get(`${main.http}/readyz`)).status === 200);
  return heard;
}

/** Both API workers have noticed that runner `held` is away while `ask` runs, and that it is back afterwards. */
export async function whileAway<T>({ main, closedGate }: Servers, ask: () => Promise<T>): Promise<T> {
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

const PROBES = [
  ['/readyz', 'API JSON'],
  ['/v2/health/ready', 'OIP JSON'],
] as const;

/** Idle connections are told so by probes while they stay open, streams as they are ended. */
export async function stop({ main }: Servers, t: TestContext): Promise<readonly Heard[]> {
  const agents = PROBES.map(() => keepAliveAgent());
  t.after(() => {
    for (const agent of agents) agent.destroy();
  });
  await Promise.all(agents.map((agent) => get(`${main.http}/readyz`, { agent })));
  const streams = await Promise.all([openStream(main, 'Watch'), openStream(main, 'ModelStreamInfer')]);
  const task = { id: nextRequestId('busy'), until: join(tempFolder(t), 'release') };
  const busy = main.door('API JSON').ask(HOLD, task); // keeps the server from ending
  await main.primary.nextLog({ event: 'handler.started', id: task.id });
  main.primary.signal('SIGTERM');

  const told = (door: DoorName, seen: number): void => {
    observe({ section: 'causes', row: 'DRAINING', title: 'server that was told to stop', door, status: seen });
  };
  for (const [i, [path, door]] of PROBES.entries()) {
    const agent = agents[i] as Agent;
    let answer = await get(`${main.http}${path}`, { agent });
    while (answer.status === 200) answer = await get(`${main.http}${path}`, { agent });
    assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '1'], answer.text);
    assert.match(answer.text, /shutting down/);
    assert.match(`${String(answer.headers['x-error-code'])} ${answer.text}`, /DRAINING/);
    told(door, answer.status);
  }
  for (const { name, requestId, ended } of streams) {
    const { code, details, metadata } = await ended;
    assert.deepEqual([code, metadata.get('x-error-code')], [status.UNAVAILABLE, ['DRAINING']], details);
    await isLogged(main, 'DRAINING', { door: 'OIP typed', protocol: 'grpc', requestId }, status.UNAVAILABLE);
    if (name === 'ModelStreamInfer') told('OIP typed', code);
  }
  writeFileSync(task.until, '');
  assert.equal((await busy).code, 'ok');
  assert.deepEqual(await main.primary.exited, { code: 0, signal: null });
  return [];
}

interface OpenStream {
  readonly name: 'Watch' | 'ModelStreamInfer';
  readonly requestId: string;
  /** Resolves with what ends it. */
  readonly ended: Promise<ServiceError>;
}

interface StreamEvents {
  on(event: 'data', listener: () => void): this;
  on(event: 'error', listener: (error: ServiceError) => void): this;
}

/** Resolves when its first answer has come. */
function openStream({ clients }: ConformanceServer, name: OpenStream['name']): Promise<OpenStream> {
  const requestId = nextRequestId(name);
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId);
  const { health, inference } = clients as unknown as {
    readonly health: { Watch(request: object, metadata: Metadata): StreamEvents };
    readonly inference: { ModelStreamInfer(metadata: Metadata): StreamEvents & { write(request: Message): void } };
  };
  let call: StreamEvents;
  if (name === 'Watch') call = health.Watch({ service: '' }, metadata);
  else {
    const stream = inference.ModelStreamInfer(metadata);
    stream.write({ model_name: 'nope' }); // is answered: nothing of it is left
    call = stream;
  }
  const ended = new Promise<ServiceError>((resolve) => {
    call.on('error', resolve);
  });
  return new Promise((resolve) => {
    call.on('data', () => {
      resolve({ name, requestId, ended });
    });
  });
}
