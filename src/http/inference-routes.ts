import type { FastifyInstance } from 'fastify';
import { Cancellation } from '../cancellation.js';
import { parseJson } from '../descriptor/json-value.js';
import { JubakoError } from '../errors.js';
import type { ModelStatistics } from '../inference/model-statistics.js';
import { OpenInference } from '../inference/open-inference.js';
import { newTiming } from '../service/invoke.js';
import type { ProtocolServerOptions, Readiness } from '../service/protocol-server.js';
import type { Admission } from './admission.js';
import { codingOf } from './decompress.js';
import { exchangeOf, type Exchange } from './exchange.js';
import { answerInference } from './inference-answer.js';
import { INFERENCE_TYPE } from './inference-error.js';
import { objectOf, toParameters } from './inference-head.js';
import { readInferRequest } from './inference-request.js';
import { readBody } from './request-body.js';
import { deadlineOf } from './request-deadline.js';

// The Open Inference Protocol over HTTP, with the extensions of Triton that `inference/model-info.ts` lists.
// I1 Only inference passes the admission: health, metadata and the repository answer at any load.
// I2 What a body's content type says doesn't matter: Triton's clients name none, others a wrong one, and Fastify would refuse
//    what is no media type at all.

/** Of requests about the repository: a few parameters. */
const MAX_CONTROL_BYTES = 64 * 1024;

/** Of both forms of a path; `version` is absent in one of them. */
interface ModelParams {
  readonly name: string;
  readonly version?: string;
}

type Serve = (exchange: Exchange, params: ModelParams) => Promise<void>;

export interface InferenceRoutesOptions {
  readonly server: ProtocolServerOptions;
  readonly admission: Admission;
  readonly isDraining: () => boolean;
}

/** @param app - leaves the bodies of requests to their handlers. */
export function addInferenceRoutes(app: FastifyInstance, options: InferenceRoutesOptions): void {
  const open = new OpenInference(options.server);
  addServerRoutes(app, open, options);
  addModelRoutes(app, open, options.isDraining);
  addRepositoryRoutes(app, open);
  addInferRoutes(app, open, options);
}

function addServerRoutes(app: FastifyInstance, open: OpenInference, options: InferenceRoutesOptions): void {
  const { server, isDraining } = options;
  const ready = async (): Promise<Readiness> => {
    const readiness = isDraining() ? undefined : await server.readiness();
    if (readiness === undefined || isDraining()) throw draining(server.worker);
    return readiness;
  };
  get(app, '/v2', () => Promise.resolve(open.serverMetadata));
  get(app, '/v2/health/live', () => Promise.resolve({ live: true }));
  get(app, '/v2/health/ready', async () => {
    const readiness = await ready();
    if (!readiness.ready) throw new JubakoError('NOT_READY', `Not ready: ${readiness.reason}`);
    return { ready: true };
  });
  // No region of memory is ever registered.
  get(app, '/v2/systemsharedmemory/status', () => Promise.resolve([]));
  get(app, '/v2/cudasharedmemory/status', () => Promise.resolve([]));
}

function addModelRoutes(app: FastifyInstance, open: OpenInference, isDraining: () => boolean): void {
  getModel(app, '', (name, version) => Promise.resolve(open.modelMetadata(name, version)));
  getModel(app, '/config', (name, version) => Promise.resolve(open.modelConfig(name, version)));
  getModel(app, '/ready', async (name, version) => {
    const readiness = await open.modelReadiness(name, version);
    if (isDraining()) throw new JubakoError('DRAINING', 'Not ready: the server is shutting down');
    if (!readiness.ready) throw new JubakoError('NOT_READY', `Not ready: ${readiness.reason}`);
    return { name, ready: true };
  });
  const statistics = async (name: string, version: string): Promise<unknown> => ({
    model_stats: (await open.statistics(name, version)).map(toStatisticsJson),
  });
  getModel(app, '/stats', statistics);
  get(app, '/v2/models/stats', () => statistics('', ''));
}

function addRepositoryRoutes(app: FastifyInstance, open: OpenInference): void {
  const index = async (json: unknown): Promise<unknown> => open.repository.index(isReadyWanted(json));
  get(app, '/v2/repository/index', () => index(undefined));
  post(app, '/v2/repository/index', (exchange) => answerJson(exchange, () => readControl(exchange).then(index)));
  for (const action of ['load', 'unload'] as const) {
    const path = `/v2/repository/models/{name}/${action}`;
    refuseOtherMethods(app, path, 'POST');
    post(app, path, (exchange, { name }) =>
      answerJson(exchange, async () => {
        const json = await readControl(exchange);
        const parameters = json === undefined ? undefined : objectOf(json, 'the body')['parameters'];
        await open.repository[action](name, toParameters(parameters, 'request'));
        return { name, [action]: true };
      }),
    );
  }
}

function addInferRoutes(app: FastifyInstance, open: OpenInference, options: InferenceRoutesOptions): void {
  const { admission, server } = options;
  const { maxBodyBytes } = server.config;
  const infer: Serve = async (exchange, { name, version = '' }) => {
    const { request, requestId, coding } = exchange;
    const body = await readBody(request, maxBodyBytes, coding, admission.inflation(exchange));
    if (exchange.isEnded) return;
    const model = open.find(name, version);
    const asked = readInferRequest(model, { name, version }, request.headers, body);
    const timing = newTiming();
    const cancellation = new Cancellation();
    exchange.timing = timing;
    exchange.cancellation = cancellation;
    const call = { requestId, cancellation, deadlineAtMs: deadlineOf(request.headers, exchange.startedAtMs), timing };
    const response = await open.inference.infer(model, asked.request, call);
    if (exchange.isUnanswered) await answerInference(exchange, response, (output) => asked.isBinary(output));
  };
  for (const path of modelPaths('/infer')) {
    refuseOtherMethods(app, path, 'POST');
    app.post<{ Params: ModelParams }>(toUrl(path), {
      onRequest: ({ params, raw }, reply, done) => {
        const exchange = exchangeOf(reply.raw);
        raw.headers['content-type'] = INFERENCE_TYPE; // I2
        exchange.route = path;
        if (isKnown(open, exchange, params) && admission.admit(exchange)) done();
      },
      handler: ({ params }, reply) => {
        const exchange = exchangeOf(reply.raw);
        void admission.run(exchange, () => infer(exchange, params));
      },
    });
  }
}

/** Before the body is read. False: the exchange has its answer. */
function isKnown(open: OpenInference, exchange: Exchange, { name, version = '' }: ModelParams): boolean {
  try {
    open.find(name, version);
    return true;
  } catch (thrown) {
    exchange.fail(JubakoError.from(thrown));
    return false;
  }
}

function getModel(app: FastifyInstance, tail: string, give: (name: string, version: string) => Promise<unknown>): void {
  for (const path of modelPaths(tail)) {
    refuseOtherMethods(app, path, 'GET');
    get(app, path, ({ name, version = '' }) => give(name, version));
  }
}

function modelPaths(tail: string): readonly string[] {
  return [`/v2/models/{name}${tail}`, `/v2/models/{name}/versions/{version}${tail}`];
}

/** `/v2/models/{name}` → `/v2/models/:name`. */
function toUrl(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function get(app: FastifyInstance, path: string, give: (params: ModelParams) => Promise<unknown>): void {
  app.get<{ Params: ModelParams }>(toUrl(path), ({ params }, reply) => {
    const exchange = exchangeOf(reply.raw);
    exchange.route = path;
    void answerJson(exchange, () => give(params));
  });
}

function post(app: FastifyInstance, path: string, serve: Serve): void {
  app.post<{ Params: ModelParams }>(toUrl(path), {
    onRequest: ({ raw }, _reply, done) => {
      raw.headers['content-type'] = INFERENCE_TYPE; // I2
      done();
    },
    handler: ({ params }, reply) => {
      const exchange = exchangeOf(reply.raw);
      exchange.route = path;
      void serve(exchange, params); // never rejects
    },
  });
}

/** The server knows by itself which paths without parameters there are. */
function refuseOtherMethods(app: FastifyInstance, path: string, allowed: 'GET' | 'POST'): void {
  const allow = allowed === 'GET' ? 'GET, HEAD' : 'POST';
  app.route({
    method: [allowed === 'GET' ? 'POST' : 'GET', 'PUT', 'PATCH', 'DELETE'],
    url: toUrl(path),
    exposeHeadRoute: false,
    onRequest: ({ method }, reply) => {
      const exchange = exchangeOf(reply.raw);
      exchange.route = path;
      const message = `Cannot ${method} ${path}: the methods are ${allow}`;
      exchange.fail(new JubakoError('METHOD_NOT_ALLOWED', message), ['Allow', allow]);
    },
    handler: () => undefined,
  });
}

/** Never rejects. */
async function answerJson(exchange: Exchange, give: () => Promise<unknown>): Promise<void> {
  try {
    exchange.answer(200, INFERENCE_TYPE, JSON.stringify(await give()));
  } catch (thrown) {
    exchange.fail(JubakoError.from(thrown));
  }
}

/** The body of a request about the repository; undefined: it has none. */
async function readControl(exchange: Exchange): Promise<unknown> {
  const { request } = exchange;
  const coding = codingOf(request.headers);
  exchange.sendContinue();
  const body = await readBody(request, MAX_CONTROL_BYTES, coding);
  return body.byteLength === 0 ? undefined : parseJson(body.bytes());
}

function isReadyWanted(json: unknown): boolean {
  if (json === undefined) return false;
  const { ready = false } = objectOf(json, 'the body');
  if (typeof ready === 'boolean') return ready;
  throw new JubakoError('INVALID_INPUT', 'Cannot read the body: "ready" must be true or false');
}

function toStatisticsJson({ name, version, durations, ...counts }: ModelStatistics): unknown {
  return {
    name,
    version,
    last_inference: counts.lastInference,
    inference_count: counts.inferenceCount,
    execution_count: counts.executionCount,
    inference_stats: durations,
    response_stats: {},
    batch_stats: [],
    memory_usage: [],
  };
}

function draining(worker: string): JubakoError {
  return new JubakoError('DRAINING', `Not ready: ${worker} is shutting down`);
}
