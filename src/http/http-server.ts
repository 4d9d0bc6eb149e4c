import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify';
import { JubakoError } from '../errors.js';
import { refuseUnknownCertificate } from '../net/tls-files.js';
import type { ProtocolServer, ProtocolServerOptions } from '../service/protocol-server.js';
import { guardRoutes } from './access-hook.js';
import { Admission } from './admission.js';
import { addApiRoutes } from './api-routes.js';
import { Connections } from './connections.js';
import { Cors } from './cors.js';
import { fromFastifyError } from './error-answer.js';
import { TrackedResponse, exchangeOf, type Exchange } from './exchange.js';
import { isInferencePath } from './inference-error.js';
import { addInferenceRoutes } from './inference-routes.js';
import { addInfraRoutes } from './infra-routes.js';
import { faultOf, framingFaultOf } from './malformed-request.js';
import { Mounts } from './mounts.js';
import { addPlugins, adoptUpgrades, closePlugins, pluginAbilities, pluginsOf } from './plugins.js';
import { addSwaggerUi } from './swagger-ui.js';
import { Upgrades } from './upgrades.js';

// H1 Fastify routes; what is answered, counted and logged is the exchange's (exchange.ts). Its own logger, error format and
//    request ids are off.
// H2 Routes that do work read their bodies themselves (request-body.ts), behind `Admission`; Fastify's parsers are for the
//    routes of plugins.

/** Time for the head of a request; also for the first byte on a new connection. */
const HEAD_TIMEOUT_MS = 30_000;
/** Time for a whole request to arrive: 100 MB at 3 Mbit/s. */
const REQUEST_TIMEOUT_MS = 300_000;
const CHECK_TIMEOUTS_EVERY_MS = 5_000;
const HANDSHAKE_TIMEOUT_MS = 30_000;
/** API routes that the answer to an unknown path names. */
const ROUTES_IN_MESSAGE = 10;

type Listener = (request: IncomingMessage, response: ServerResponse) => void;
/** Path → its methods. */
type KnownRoutes = ReadonlyMap<string, ReadonlySet<string>>;

interface NodeServerOptions {
  readonly options: ProtocolServerOptions;
  readonly connections: Connections;
  /** Undefined: nobody takes a connection over. */
  readonly upgrades: Upgrades | undefined;
  /** Fastify's. */
  readonly route: Listener;
}

/** Serves the APIs of a service over HTTP/1.1. Never listens: connections come through `accept`. */
export async function createHttpServer(options: ProtocolServerOptions): Promise<ProtocolServer> {
  const connections = new Connections(options);
  const upgrades = options.manifest.mounts.length === 0 ? undefined : new Upgrades();
  const app: FastifyInstance = Fastify({
    ...(pluginsOf(options).length === 0 ? LEAN : pluginAbilities(options)),
    bodyLimit: options.config.maxBodyBytes,
    requestIdHeader: false,
    genReqId: noId,
    frameworkErrors: (error, request, reply) => {
      exchangeOf(reply.raw).fail(fromFastifyError(error, options.config.maxBodyBytes, request.headers['content-type']));
    },
    clientErrorHandler: (error, socket) => {
      connections.onClientError(error, socket);
    },
    serverFactory: (route) => createNodeServer({ options, connections, upgrades, route }),
  });
  const known = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = known.get(url) ?? new Set<string>();
    for (const each of [method].flat()) methods.add(each);
    known.set(url, methods);
  });
  if (pluginsOf(options).length > 0) adoptUpgrades(app, connections);
  guardRoutes(app, options.access);
  answerErrors(app, options, known);
  addInfraRoutes(app, options, () => connections.isDraining);
  addSwaggerUi(app, options.manifest.name);
  const gauge = options.metrics.gauge('jubako_requests_in_progress', { protocol: 'http' });
  const admission = new Admission(options.config, gauge);
  const mounts = upgrades === undefined ? undefined : new Mounts(options, upgrades);
  await addPlugins(app, options, async (work) => {
    leaveBodies(work);
    addApiRoutes(work, options, admission);
    addInferenceRoutes(work, { server: options, admission, isDraining: () => connections.isDraining });
    await mounts?.add(app, work);
  });
  connections.attach(app.server);
  return {
    accept: (socket) => {
      connections.accept(socket);
    },
    get connections(): number {
      return connections.count;
    },
    drain: async (graceMs) => {
      const untilMs = performance.now() + graceMs;
      mounts?.drain();
      await connections.drain(graceMs);
      await closePlugins(app, options, untilMs - performance.now());
    },
  };
}

function createNodeServer({ options, connections, upgrades, route }: NodeServerOptions): Server {
  const { config, tls } = options;
  const cors = config.corsOrigins.length === 0 ? undefined : new Cors(config.corsOrigins);
  const settings: ServerOptions<typeof IncomingMessage, typeof TrackedResponse> = {
    ServerResponse: TrackedResponse,
    keepAliveTimeout: Math.round(config.timeoutKeepAlive * 1000),
    headersTimeout: HEAD_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_TIMEOUTS_EVERY_MS,
    requireHostHeader: false, // Node's own answer would be neither ours nor counted
  };
  const begin = (request: IncomingMessage, response: TrackedResponse): Exchange | undefined => {
    const exchange = connections.begin(request, response);
    if (cors?.begin(exchange) === true) return undefined;
    const framingFault = framingFaultOf(request);
    if (framingFault !== undefined) response.shouldKeepAlive = false; // what follows may be anything
    const fault = framingFault ?? faultOf(request);
    if (fault === undefined) return exchange;
    exchange.fail(new JubakoError('INVALID_INPUT', fault));
    return undefined;
  };
  const onRequest = (request: IncomingMessage, response: TrackedResponse): void => {
    if (begin(request, response) !== undefined) route(request, response);
  };
  const server =
    tls === undefined
      ? createServer(settings, onRequest)
      : createTlsServer({ handshakeTimeout: HANDSHAKE_TIMEOUT_MS, ...tls, ...settings }, onRequest);
  if (tls !== undefined) {
    server.prependListener('secureConnection', (socket: TLSSocket) => refuseUnknownCertificate(socket, tls));
  }
  server.maxHeadersCount = 0; // Node would leave out those above 2,000; the size of a head is limited anyway
  server.on('checkContinue', (request: IncomingMessage, response: TrackedResponse) => {
    const exchange = begin(request, response);
    if (exchange === undefined) return;
    exchange.waitsForContinue = true;
    route(request, response);
  });
  server.on('checkExpectation', onRequest); // RFC 9110 10.1.1: an expectation that is not known may be ignored
  const plain = server as unknown as Server; // Node's types know no response of ours
  upgrades?.attach(plain, onRequest, (socket) =>
    plain.emit(tls === undefined ? 'connection' : 'secureConnection', socket),
  );
  return plain;
}

/** What Fastify leaves out where there are no plugins. */
const LEAN: FastifyServerOptions = {
  logger: false,
  routerOptions: { querystringParser: noQuery },
  schemaController: { compilersFactory: { buildValidator: noSchema, buildSerializer: noSchema } },
};

/** No route has a schema: descriptors check and write. Fastify would load ajv and a serializer compiler for nothing (10 MB, 60 ms). */
function noSchema(): never {
  throw new TypeError('Cannot compile a schema: routes of this server have none');
}

/** H2 */
function leaveBodies(work: FastifyInstance): void {
  work.removeAllContentTypeParsers();
  // The named one is found in Fastify's cache, `*` never is.
  work.addContentTypeParser(['application/json', '*'], (_request, _payload, done) => {
    done(null);
  });
}

function answerErrors(app: FastifyInstance, options: ProtocolServerOptions, known: KnownRoutes): void {
  app.setErrorHandler((thrown, request, reply) => {
    exchangeOf(reply.raw).fail(fromFastifyError(thrown, options.config.maxBodyBytes, request.headers['content-type']));
    reply.hijack();
  });
  const apiRoutes = describeRoutes(options);
  // A hook, because Fastify would read the body before it calls a not-found handler.
  app.addHook('onRequest', (request, reply, done) => {
    const isTaken = request.server !== app; // by a plugin that has a not-found handler
    if (request.is404 && !isTaken) refuseUnknown(exchangeOf(reply.raw), request, known, apiRoutes);
    else done();
  });
}

function refuseUnknown(exchange: Exchange, request: FastifyRequest, known: KnownRoutes, apiRoutes: string): void {
  const path = pathOf(request.url);
  const route = known.get(path);
  if (route !== undefined) {
    exchange.route = path;
    const allow = [...route].join(', ');
    const message = `Cannot ${request.method} ${path}: the methods are ${allow}`;
    exchange.fail(new JubakoError('METHOD_NOT_ALLOWED', message), ['Allow', allow]);
    return;
  }
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  const hint = isInferencePath(request.url) ? 'no such path of the Open Inference Protocol is served' : apiRoutes;
  exchange.fail(new JubakoError('NOT_FOUND', `Cannot find ${request.method} ${shown}: ${hint}`));
}

function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  const path = end === -1 ? url : url.slice(0, end);
  try {
    return decodeURI(path);
  } catch {
    return path; // malformed percent-encoding matches no route
  }
}

function describeRoutes({ manifest }: ProtocolServerOptions): string {
  if (manifest.apis.length === 0) return 'the service has no APIs';
  const shown = manifest.apis.slice(0, ROUTES_IN_MESSAGE).map(({ route }) => `POST ${route}`);
  const more = manifest.apis.length - shown.length;
  return `the APIs are ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}; see /docs.json`;
}

/** Ids are the exchange's (H1). */
function noId(): string {
  return '';
}

const NO_QUERY = Object.freeze({});

/** No route reads a query. */
function noQuery(): Record<string, unknown> {
  return NO_QUERY;
}
