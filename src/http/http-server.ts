import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { JubakoError } from '../errors.js';
import { refuseUnknownCertificate } from '../net/tls-files.js';
import type { ProtocolServer, ProtocolServerOptions } from '../service/protocol-server.js';
import { addApiRoutes } from './api-routes.js';
import { Connections } from './connections.js';
import { fromFastifyError } from './error-answer.js';
import { TrackedResponse, exchangeOf, type Exchange } from './exchange.js';
import { addInfraRoutes } from './infra-routes.js';
import { readChunks } from './request-body.js';
import { addSwaggerUi } from './swagger-ui.js';
import { BINARY_TYPE } from './tensor-headers.js';

// H1 Fastify routes and reads bodies; what is answered, counted and logged is the exchange's (exchange.ts). Its own logger,
//    error format and request ids are off.

/** Time for the head of a request; also for the first byte on a new connection. */
const HEAD_TIMEOUT_MS = 30_000;
/** Time for a whole request to arrive: 100 MB at 3 Mbit/s. */
const REQUEST_TIMEOUT_MS = 300_000;
const CHECK_TIMEOUTS_EVERY_MS = 5_000;
const HANDSHAKE_TIMEOUT_MS = 30_000;
/** API routes that the answer to an unknown path names. */
const ROUTES_IN_MESSAGE = 10;

type Listener = (request: IncomingMessage, response: ServerResponse) => void;
type KnownRoutes = ReadonlyMap<string, { readonly allow: string }>;

/** Serves the APIs of a service over HTTP/1.1. Never listens: connections come through `accept`. */
export async function createHttpServer(options: ProtocolServerOptions): Promise<ProtocolServer> {
  const connections = new Connections(options);
  const app = Fastify({
    logger: false,
    bodyLimit: options.config.maxBodyBytes,
    requestIdHeader: false,
    genReqId: noId,
    routerOptions: { querystringParser: noQuery },
    schemaController: { compilersFactory: { buildValidator: noSchema, buildSerializer: noSchema } },
    frameworkErrors: (error, request, reply) => {
      exchangeOf(reply.raw).fail(fromFastifyError(error, options.config.maxBodyBytes, request.headers['content-type']));
    },
    clientErrorHandler: (error, socket) => {
      connections.onClientError(error, socket);
    },
    serverFactory: (route) => createNodeServer(options, connections, route),
  });
  readBodies(app, options.config.maxBodyBytes);
  const known = new Map<string, { allow: string }>();
  app.addHook('onRoute', ({ url, method }) => {
    known.set(url, { allow: method === 'POST' ? 'POST' : 'GET, HEAD' });
  });
  answerErrors(app, options, known);
  addInfraRoutes(app, options, () => connections.isDraining);
  addSwaggerUi(app, options.manifest.name);
  addApiRoutes(app, options);
  await app.ready();
  connections.attach(app.server);
  return {
    accept: (socket) => {
      connections.accept(socket);
    },
    get connections(): number {
      return connections.count;
    },
    drain: (graceMs) => connections.drain(graceMs),
  };
}

function createNodeServer(options: ProtocolServerOptions, connections: Connections, route: Listener): Server {
  const { config, tls } = options;
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
    if (request.headers.host !== undefined || request.httpVersion === '1.0') return exchange;
    exchange.fail(new JubakoError('INVALID_INPUT', 'Cannot serve an HTTP/1.1 request without the header Host'));
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
  server.on('checkContinue', (request: IncomingMessage, response: TrackedResponse) => {
    const exchange = begin(request, response);
    if (exchange === undefined) return;
    exchange.waitsForContinue = true;
    route(request, response);
  });
  server.on('checkExpectation', onRequest); // RFC 9110 10.1.1: an expectation that is not known may be ignored
  return server as unknown as Server;
}

/** No route has a schema: descriptors check and write. Fastify would load ajv and a serializer compiler for nothing (10 MB, 60 ms). */
function noSchema(): never {
  throw new TypeError('Cannot compile a schema: routes of this server have none');
}

/**
 * Every body arrives at the handlers as a Buffer, whatever its type says, or as BodyChunks where tensors may be large; which
 * types an API takes is the API's.
 */
function readBodies(app: FastifyInstance, maxBodyBytes: number): void {
  app.removeAllContentTypeParsers();
  // The named ones are found in Fastify's cache, `*` never is.
  app.addContentTypeParser(['application/json', '*'], { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  app.addContentTypeParser(BINARY_TYPE, (_request, payload, done) => {
    readChunks(payload, maxBodyBytes, done);
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
    if (request.is404) refuseUnknown(exchangeOf(reply.raw), request, known, apiRoutes);
    else done();
  });
}

function refuseUnknown(exchange: Exchange, request: FastifyRequest, known: KnownRoutes, apiRoutes: string): void {
  const path = pathOf(request.url);
  const route = known.get(path);
  if (route !== undefined) {
    exchange.route = path;
    const message = `Cannot ${request.method} ${path}: the methods are ${route.allow}`;
    exchange.fail(new JubakoError('METHOD_NOT_ALLOWED', message), ['Allow', route.allow]);
    return;
  }
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  exchange.fail(new JubakoError('NOT_FOUND', `Cannot find ${request.method} ${shown}: ${apiRoutes}`));
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
