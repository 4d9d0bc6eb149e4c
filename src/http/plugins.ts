import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import {
  LogController,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyServerOptions,
} from 'fastify';
import { JubakoError } from '../errors.js';
import type { HttpPlugin, HttpPluginContext } from '../service/extensions.js';
import type { ProtocolServerOptions } from '../service/protocol-server.js';
import { errorText, retryHeaders } from './error-answer.js';
import type { Connections } from './connections.js';
import { JSON_TYPE, exchangeOf, type TrackedResponse } from './exchange.js';
import { isInferencePath } from './inference-error.js';
import { PluginCalls } from './plugin-calls.js';
import { toPluginFailure } from './plugin-errors.js';
import { routeLabel } from './route-label.js';

// U1 Plugins have Fastify as it comes: parsers, queries, schemas, logger, hooks, decorators, error and not-found handlers.
// U2 Each has a scope of its own, next to the scope of the work (APIs, Open Inference Protocol, mounts): its hooks see its own
//    routes. One that is marked by fastify-plugin joins the scope that they are all in: its hooks see the work and the plugins
//    too, up to `preHandler`, and `onResponse`; not `preSerialization`, `onSend` and `onError`, since Fastify does not write
//    the answers of the work. No plugin sees health, metrics and documentation.
// U3 What a plugin throws is answered as failures of handlers are, unless it has an error handler of its own.

const JOINS = Symbol.for('skip-override'); // set by fastify-plugin
/** For what plugins close, also when the requests have used up all time. */
const LEAST_CLOSE_MS = 500;
const DISPLAY_NAME = Symbol.for('fastify.display-name');

/** Options of Fastify that only a server with plugins pays for: schema compilers (10 MB, 60 ms), queries, the logger (U1). */
export function pluginAbilities({ logger }: ProtocolServerOptions): FastifyServerOptions {
  return {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (parent) => parent, // each request of a plugin gets one in `prepareScope`
  };
}

export function pluginsOf({ service }: ProtocolServerOptions): readonly HttpPlugin[] {
  return service.http?.plugins ?? [];
}

/**
 * Registers the plugins of the service, and the work where it belongs; then the server can serve.
 * @throws {JubakoError} SERVICE_INVALID - names the plugin that failed.
 */
export async function addPlugins(
  app: FastifyInstance,
  options: ProtocolServerOptions,
  work: FastifyPluginAsync,
): Promise<void> {
  const plugins = pluginsOf(options);
  if (plugins.length === 0) {
    await app.register(work);
    await app.ready();
    return;
  }
  const registrar = new Registrar(options);
  const joins = plugins.some((plugin) => factOf(plugin, JOINS) === true);
  await app.register(async (scope) => {
    registrar.prepareScope(scope);
    for (const [index, plugin] of plugins.entries()) await registrar.add(scope, plugin, index);
    if (joins) await registrar.addWork(scope, work);
  });
  if (!joins) await registrar.addWork(app, work);
  await registrar.ready(app);
}

/**
 * For plugins that listen to `upgrade` themselves, as @fastify/websocket does: they send requests through the routes with a
 * response of their own, and take the connection over behind them.
 */
export function adoptUpgrades(app: FastifyInstance, connections: Connections): void {
  app.addHook('onRequest', ({ raw }, reply, done) => {
    const response = reply.raw as TrackedResponse;
    if (response.exchange === undefined) connections.begin(raw, response).isTunnel = true;
    done();
  });
}

/** Runs the `onClose` hooks of plugins, once no request is left. Never rejects. */
export async function closePlugins(
  app: FastifyInstance,
  options: ProtocolServerOptions,
  graceMs: number,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(graceMs, LEAST_CLOSE_MS));
  });
  const closed = app.close().catch((err: unknown) => {
    options.logger.error({ event: 'plugin.failed', err }, 'a plugin failed while it was closed');
  });
  await Promise.race([closed, late]);
  clearTimeout(timer);
}

class Registrar {
  readonly #options: ProtocolServerOptions;
  readonly #calls: PluginCalls;
  readonly #context: HttpPluginContext;
  /** `POST /echo` → what the plugin that has it is called. */
  readonly #owners = new Map<string, string>();
  #registering = '';
  #work: FastifyInstance | undefined = undefined;

  constructor(options: ProtocolServerOptions) {
    this.#options = options;
    const calls = new PluginCalls({ invoker: options.invoker, timeoutMs: options.config.timeout * 1000 });
    this.#calls = calls;
    this.#context = { contextOf: (request) => calls.contextOf(request.raw) };
  }

  /** The scope that all plugins are in (U2). */
  prepareScope(scope: FastifyInstance): void {
    const { logger, config } = this.#options;
    scope.setErrorHandler((thrown, request, reply) => {
      const exchange = exchangeOf(reply.raw);
      if (!exchange.isUnanswered) return; // its deadline has passed, say
      const { error, status } = toPluginFailure(thrown, config.maxBodyBytes, request.headers['content-type']);
      if (isInferencePath(request.raw.url)) {
        exchange.fail(error); // in the protocol's own form
        reply.hijack();
        return;
      }
      const { requestId, route } = exchange;
      exchange.foreignOutcome = error.code;
      if (error.kind.internal === true)
        logger.error({ event: 'request.failed', requestId, route, code: error.code, err: error }, error.message);
      const [name, value] = retryHeaders(error);
      if (name !== undefined) reply.header(name, value);
      reply.code(status).type(JSON_TYPE).send(errorText(error, requestId));
    });
    scope.addHook('onRequest', (request, reply, done) => {
      const exchange = exchangeOf(reply.raw);
      const isServed = !this.#isOfWork(request.server);
      exchange.isForeign = true;
      request.id = exchange.requestId;
      request.log = reply.log = logger.child({ requestId: exchange.requestId });
      if (request.routeOptions.url !== undefined) exchange.route = routeLabel(request.routeOptions.url);
      this.#calls.begin(request.raw, reply.raw, isServed);
      done();
    });
    scope.addHook('preParsing', (request, reply, payload, done) => {
      if (!this.#isOfWork(request.server)) exchangeOf(reply.raw).sendContinue();
      done(null, payload);
    });
    scope.addHook('onSend', (_request, reply, payload: unknown, done) => {
      done(null, watched(payload, reply));
    });
    scope.addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) this.#owners.set(`${each} ${url}`, this.#registering);
    });
  }

  async add(scope: FastifyInstance, plugin: HttpPlugin, index: number): Promise<void> {
    this.#registering = nameOf(plugin, index);
    try {
      await scope.register(contained(plugin), this.#context);
    } catch (thrown) {
      throw this.#refusal(`${this.#registering} failed while it was registered: ${messageOf(thrown)}`, thrown);
    }
  }

  /** Last: who is told of two owners of a route is then always the plugin. */
  async addWork(scope: FastifyInstance, work: FastifyPluginAsync): Promise<void> {
    this.#registering = 'the server';
    for (const { name, route } of this.#options.manifest.apis) {
      const owner = this.#owners.get(`POST ${route}`);
      if (owner !== undefined)
        throw this.#refusal(`${owner} has the route "POST ${route}", which is that of API "${name}"`);
    }
    try {
      await scope.register(async (inner, options) => {
        this.#work = inner;
        await work(inner, options);
      });
    } catch (thrown) {
      if (thrown instanceof JubakoError) throw thrown;
      throw this.#refusal(`a plugin has a route of the server: ${messageOf(thrown)}`, thrown);
    }
  }

  /** After it the hooks `onReady` of the plugins have run. */
  async ready(app: FastifyInstance): Promise<void> {
    try {
      await app.ready();
    } catch (thrown) {
      throw this.#refusal(`a plugin failed when all were registered: ${messageOf(thrown)}`, thrown);
    }
  }

  #isOfWork(scope: FastifyInstance): boolean {
    // Scopes inside of another have it as prototype.
    return this.#work !== undefined && (scope === this.#work || Object.prototype.isPrototypeOf.call(this.#work, scope));
  }

  #refusal(why: string, cause?: unknown): JubakoError {
    return new JubakoError('SERVICE_INVALID', `Cannot serve "${this.#options.manifest.name}": ${why}`, { cause });
  }
}

/** What a plugin throws before it is a promise would end the process: Fastify lets it pass. */
function contained(plugin: HttpPlugin): FastifyPluginAsync<HttpPluginContext> {
  const call = plugin as (app: FastifyInstance, context: HttpPluginContext, done: (error?: Error) => void) => unknown;
  const wrapped: FastifyPluginAsync<HttpPluginContext> = (app, context) =>
    new Promise<void>((resolve, reject) => {
      const result = call(app, context, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(error);
      });
      const isOfCallback = plugin.length > 2 && !(result instanceof Promise);
      if (!isOfCallback) resolve(result as Promise<void> | undefined);
    });
  // What fastify-plugin has written on it.
  for (const key of Object.getOwnPropertySymbols(plugin)) Object.assign(wrapped, { [key]: factOf(plugin, key) });
  return wrapped;
}

/** A stream that breaks after the head was sent is the failure of the plugin, not of the client. */
function watched(payload: unknown, reply: FastifyReply): unknown {
  const body = isWebStream(payload) ? Readable.fromWeb(payload) : payload;
  if (!(body instanceof Readable)) return body;
  body.once('error', (thrown) => {
    const exchange = exchangeOf(reply.raw);
    if (reply.raw.headersSent && !exchange.isEnded) exchange.failedLate(JubakoError.from(thrown, 'USER_CODE'));
  });
  return body;
}

function isWebStream(payload: unknown): payload is ReadableStream {
  return payload instanceof globalThis.ReadableStream;
}

function nameOf(plugin: HttpPlugin, index: number): string {
  const name = factOf(plugin, DISPLAY_NAME) ?? plugin.name;
  return typeof name === 'string' && name !== '' ? `the plugin "${name}"` : `plugin ${index + 1}`;
}

function factOf(plugin: HttpPlugin, key: symbol): unknown {
  return (plugin as unknown as Readonly<Record<symbol, unknown>>)[key];
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
