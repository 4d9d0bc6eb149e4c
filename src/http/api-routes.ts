import type { FastifyInstance } from 'fastify';
import { Cancellation } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { ApiDefinition } from '../service/define.js';
import type { Descriptor, TensorSpec } from '../descriptor/descriptor.js';
import { newTiming } from '../service/invoke.js';
import { parseJson } from '../descriptor/json-value.js';
import type { ApiManifest } from '../service/manifest.js';
import type { ProtocolServerOptions } from '../service/protocol-server.js';
import { Admission } from './admission.js';
import { bodyTooLarge } from './error-answer.js';
import { exchangeOf, type Exchange } from './exchange.js';
import { BodyChunks, bodyKindOf, readTensor } from './request-body.js';
import { answerOutput } from './response-body.js';

const NO_BODY = Buffer.alloc(0);

/** `POST <route>` for each API of the manifest. */
export function addApiRoutes(app: FastifyInstance, options: ProtocolServerOptions): void {
  const gauge = options.metrics.gauge('jubako_requests_in_progress', { protocol: 'http' });
  const admission = new Admission(options.config.maxConcurrency, gauge);
  for (const manifest of options.manifest.apis) {
    const { name } = manifest;
    const { apis } = options.service;
    const definition = Object.hasOwn(apis, name) ? apis[name] : undefined;
    if (definition === undefined) {
      throw new JubakoError(
        'SERVICE_INVALID',
        `Cannot serve API "${name}": the manifest has it, the service has ${Object.keys(apis).join(', ')}`,
      );
    }
    const route = new ApiRoute(options, admission, manifest, definition);
    app.post(manifest.route, {
      onRequest: (_request, reply, done) => {
        if (route.admit(exchangeOf(reply.raw))) done();
      },
      handler: (request, reply) => {
        void route.serve(exchangeOf(reply.raw), request.body as Buffer | BodyChunks | undefined);
      },
    });
  }
}

class ApiRoute {
  readonly #options: ProtocolServerOptions;
  readonly #admission: Admission;
  readonly #manifest: ApiManifest;
  readonly #definition: ApiDefinition;

  constructor(options: ProtocolServerOptions, admission: Admission, manifest: ApiManifest, definition: ApiDefinition) {
    this.#options = options;
    this.#admission = admission;
    this.#manifest = manifest;
    this.#definition = definition;
  }

  /** Before the body is read. False: the exchange has its answer. */
  admit(exchange: Exchange): boolean {
    exchange.route = this.#manifest.route;
    try {
      const { headers } = exchange.request;
      exchange.isBinary = bodyKindOf(headers, this.#manifest.input) === 'binary';
      const { maxBodyBytes, maxConcurrency } = this.#options.config;
      if (Number(headers['content-length']) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
      if (!this.#admission.enter(exchange)) {
        throw new JubakoError(
          'QUEUE_FULL',
          `Cannot take the request: this worker is at its limit of ${maxConcurrency} (maxConcurrency)`,
        );
      }
      exchange.sendContinue();
      return true;
    } catch (thrown) {
      exchange.fail(JubakoError.from(thrown));
      return false;
    }
  }

  /** Never rejects. */
  async serve(exchange: Exchange, body: Buffer | BodyChunks = NO_BODY): Promise<void> {
    const { name: api } = this.#manifest;
    this.#admission.callStarted(exchange);
    try {
      const { requestId, isBinary } = exchange;
      const input = isBinary
        ? readTensor(body, exchange.request.headers, this.#manifest.input as TensorSpec)
        : parseJson(body instanceof BodyChunks ? Buffer.concat(body.list) : body);
      const timing = newTiming();
      const cancellation = new Cancellation();
      exchange.timing = timing;
      exchange.cancellation = cancellation;
      const output = await this.#options.invoker.callApi({
        api,
        input: isBinary ? { form: 'value', value: input } : { form: 'json', json: input },
        requestId,
        cancellation,
        deadlineAtMs: undefined,
        timing,
      });
      if (exchange.isUnanswered) answerOutput(exchange, api, this.#definition.output as Descriptor, output);
    } catch (thrown) {
      exchange.fail(JubakoError.from(thrown));
    } finally {
      this.#admission.callSettled(exchange);
    }
  }
}
