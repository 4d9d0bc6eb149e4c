import type { FastifyInstance } from 'fastify';
import { JubakoError } from '../errors.js';
import type { ProtocolServerOptions } from '../service/protocol-server.js';
import { JSON_TYPE, exchangeOf, type Exchange } from './exchange.js';
import { openApiDocument } from './openapi.js';

const TEXT_TYPE = 'text/plain; charset=utf-8';
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
    exchange.answer(200, TEXT_TYPE, 'ok\n');
  };
  get('/livez', alive);
  get('/healthz', alive);
  get('/readyz', (exchange) => {
    const why = whyNotReady(options, isDraining());
    if (why === undefined) alive(exchange);
    else exchange.fail(why);
  });
  if (options.config.metrics) {
    get('/metrics', (exchange) => {
      void answerMetrics(exchange, options);
    });
  }
  let document: string | undefined;
  get('/docs.json', (exchange) => {
    document ??= JSON.stringify(openApiDocument(options.manifest, { metrics: options.config.metrics }));
    exchange.answer(200, JSON_TYPE, document);
  });
}

function whyNotReady(options: ProtocolServerOptions, isDraining: boolean): JubakoError | undefined {
  if (isDraining) return new JubakoError('DRAINING', `Not ready: ${options.worker} is shutting down`);
  const readiness = options.readiness();
  return readiness.ready ? undefined : new JubakoError('NOT_READY', `Not ready: ${readiness.reason}`);
}

/** Never rejects. */
async function answerMetrics(exchange: Exchange, options: ProtocolServerOptions): Promise<void> {
  try {
    exchange.answer(200, METRICS_TYPE, await options.metricsText());
  } catch (thrown) {
    exchange.fail(JubakoError.from(thrown));
  }
}
