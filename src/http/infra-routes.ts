import type { FastifyInstance } from 'fastify';
import { JubakoError } from '../errors.js';
import type { ProtocolServerOptions, Readiness } from '../service/protocol-server.js';
import { answerCompressed } from './compress.js';
import { JSON_TYPE, exchangeOf, type Exchange } from './exchange.js';
import { openApiDocument } from './openapi.js';

const TEXT_TYPE = 'text/plain; charset=utf-8';
const OK = 'ok\n';
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Health, metrics and documentation: answered at any load, so none of them passes the admission. */
export function addInfraRoutes(app: FastifyInstance, options: ProtocolServerOptions, isDraining: () => boolean): void {
  const get = (route: string, serve: (exchange: Exchange) => void): void => {
    app.get(route, (_request, reply) => {
      const exchange = exchangeOf(reply.raw);
      exchange.route = route;
      serve(exchange);
    });
  };
  const alive = (exchange: Exchange): void => {
    exchange.answer(200, TEXT_TYPE, OK);
  };
  get('/livez', alive);
  get('/healthz', alive);
  get('/readyz', (exchange) => {
    void answerReadiness(exchange, options, isDraining);
  });
  if (options.config.metrics) {
    get('/metrics', (exchange) => {
      void answerMetrics(exchange, options);
    });
  }
  let document: Promise<string> | undefined;
  get('/docs.json', (exchange) => {
    document ??= writeDocument(options);
    void answerDocument(exchange, document);
  });
}

async function writeDocument({ manifest, service, config }: ProtocolServerOptions): Promise<string> {
  const { metrics, modelControl, apiKeys } = config;
  const isGuarded = apiKeys.length > 0;
  return JSON.stringify(await openApiDocument({ manifest, service, metrics, isGuarded, modelControl }));
}

/** Never rejects. */
async function answerDocument(exchange: Exchange, document: Promise<string>): Promise<void> {
  try {
    await answerCompressed(exchange, JSON_TYPE, await document);
  } catch (thrown) {
    exchange.fail(JubakoError.from(thrown));
  }
}

/** Never rejects. */
async function answerReadiness(
  exchange: Exchange,
  options: ProtocolServerOptions,
  isDraining: () => boolean,
): Promise<void> {
  try {
    const readiness: Readiness = isDraining() ? { ready: true } : await options.readiness();
    if (isDraining()) throw new JubakoError('DRAINING', `Not ready: ${options.worker} is shutting down`);
    if (!readiness.ready) throw new JubakoError('NOT_READY', `Not ready: ${readiness.reason}`);
    exchange.answer(200, TEXT_TYPE, OK);
  } catch (thrown) {
    exchange.fail(JubakoError.from(thrown));
  }
}

/** Never rejects. */
async function answerMetrics(exchange: Exchange, options: ProtocolServerOptions): Promise<void> {
  try {
    exchange.answer(200, METRICS_TYPE, await options.metricsText());
  } catch (thrown) {
    exchange.fail(JubakoError.from(thrown));
  }
}
