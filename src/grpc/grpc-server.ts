import type { Socket } from 'node:net';
import {
  Server,
  getChannelzHandlers,
  getChannelzServiceDefinition,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { ProtocolServer, ProtocolServerOptions } from '../service/protocol-server.js';
import type { Logger } from '../telemetry/logger.js';
import type { Gauge } from '../telemetry/metrics.js';
import { admitCall } from './access.js';
import { Admission } from './admission.js';
import { JUBAKO_SERVICE, bentoProtoFiles, bentoService, bentoServiceName, jubakoService } from './bento-service.js';
import { ERROR_FILES } from './error-details.js';
import { createForeignContext } from './foreign-context.js';
import { implementationOf, loadForeignServices, type ForeignService } from './foreign-services.js';
import { Health } from './health.js';
import { healthNames } from './health-names.js';
import { Http2Front } from './http2-front.js';
import { OpenInference } from '../inference/open-inference.js';
import { openInference } from './open-inference.js';
import { guarded, loadProtos, serviceOf } from './protos.js';
import { reflectionServices, type Reflected } from './reflection.js';
import type { Refuse } from './rpc.js';
import { RpcRecorder } from './rpc-recorder.js';
import { toStatus } from './status.js';
import { createTlsFront } from './tls-front.js';

// S1 Drain: health turns NOT_SERVING, calls without an end are ended, every client is told to go (http2-front H1), what
//    was accepted is answered, connections close. At the end of the grace period the rest is cut.
// S2 The setting `timeoutKeepAlive` is for HTTP/1.1. A gRPC channel is meant to idle: closing it after seconds would make
//    each sparse caller pay for a new connection. Peers that vanished are found by TCP keep-alive instead; HTTP/2 PINGs
//    of the server would do the same and, sent after a GOAWAY, break calls that drain (grpc-node issue 3068).

const HEALTH = 'grpc.health.v1.Health';
const INFERENCE = 'inference.GRPCInferenceService';
const CHANNELZ = 'grpc.channelz.v1.Channelz';
const TCP_KEEP_ALIVE_MS = 60_000;

/**
 * Builds the gRPC side of a worker. It never listens: connections come through `accept`.
 * @throws {JubakoError} SERVICE_INVALID - one of the services that the service brings itself.
 */
export async function createGrpcServer(options: ProtocolServerOptions): Promise<ProtocolServer> {
  const [protos, foreign] = await Promise.all([
    loadProtos(['inference.proto', ...bentoProtoFiles(options.config.protocolVersion)]),
    loadForeignServices(options.service.grpc?.services),
  ]);
  return new GrpcServer(options, protos, foreign);
}

class GrpcServer implements ProtocolServer {
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #front: Http2Front;
  readonly #enter: (socket: Socket) => void;
  readonly #recorder: RpcRecorder;
  readonly #health: Health;
  readonly #sockets = new Set<Socket>();
  readonly #connectionsGauge: Gauge;
  #isDraining = false;
  #drained: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: ProtocolServerOptions, protos: PackageDefinition, foreign: readonly ForeignService[]) {
    const { access, config, logger, metrics, service } = options;
    this.#logger = logger;
    this.#connectionsGauge = metrics.gauge('jubako_connections', { protocol: 'grpc' });
    this.#recorder = new RpcRecorder({
      recordRequest: options.recordRequest,
      inProgress: metrics.gauge('jubako_requests_in_progress', { protocol: 'grpc' }),
      refuse: this.#refuse,
      admit: access.isOpen
        ? undefined
        : (path, metadata, peer): void | Promise<void> => admitCall(access, path, metadata, peer),
    });
    this.#server = new Server({
      ...serverOptions(config),
      interceptors: this.#recorder.around(service.grpc?.interceptors ?? []),
    });
    this.#health = this.#serveAll(options, protos, foreign);
    this.#front = new Http2Front(this.#server, {
      maxConcurrentStreams: config.maxConcurrentStreams,
      maxConnectionAgeMs: config.maxConnectionAge * 1000,
      maxConnectionAgeGraceMs: config.maxConnectionAgeGrace * 1000,
      onStream: this.#recorder.onStream,
      onAged: (session) => {
        this.#recorder.endEndless('The connection has reached its age: connect again', session);
      },
      onSessionError: (error) => {
        logger.debug({ event: 'connection.failed', err: error }, 'HTTP/2 connection failed');
      },
    });
    const inject = this.#front.inject.bind(this.#front);
    this.#enter = options.tls === undefined ? inject : createTlsFront(options.tls, logger, inject);
  }

  get connections(): number {
    return this.#sockets.size;
  }

  accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#connectionsGauge.set(this.#sockets.size);
    socket.on('error', this.#onSocketError);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#connectionsGauge.set(this.#sockets.size);
      if (this.#sockets.size === 0) this.#onEmpty?.();
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    this.#enter(socket);
  }

  drain(graceMs: number): Promise<void> {
    this.#drained ??= this.#drain(graceMs);
    return this.#drained;
  }

  /** S1 */
  async #drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    this.#health.stop();
    this.#recorder.endEndless('The server is shutting down');
    this.#front.drain();
    await this.#allClosed(graceMs);
    this.#server.forceShutdown();
  }

  /** Resolves when no connection is left, or when those that are left after `graceMs` were cut. */
  #allClosed(graceMs: number): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const limit = setTimeout(() => {
        this.#logger.warn(
          { event: 'drain.cut', connections: this.#sockets.size, graceMs },
          'Cut the gRPC connections that were left',
        );
        this.#front.cut();
        for (const socket of this.#sockets) socket.destroy();
      }, graceMs);
      this.#onEmpty = (): void => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  #serveAll(options: ProtocolServerOptions, protos: PackageDefinition, foreign: readonly ForeignService[]): Health {
    const { config, invoker, manifest, models, service } = options;
    const refuse = this.#refuse;
    const isReady = async (): Promise<boolean> => {
      const { ready } = await options.readiness();
      return ready && !this.#isDraining;
    };
    const isDraining = (): boolean => this.#isDraining;
    const admission = new Admission(config.maxConcurrency);
    const bento = { service, invoker, admission, refuse };
    const implementations = {
      [INFERENCE]: openInference({ open: new OpenInference(options), isReady, isDraining, admission, refuse }),
      [bentoServiceName(config.protocolVersion)]: bentoService(config.protocolVersion, bento),
      [JUBAKO_SERVICE]: jubakoService(bento),
    };
    const served: Reflected[] = [];
    const serve = (name: string, definition: ServiceDefinition, handlers: UntypedServiceImplementation): void => {
      this.#serve(definition, handlers);
      served.push({ name, definition });
    };
    for (const [name, handlers] of Object.entries(implementations)) serve(name, serviceOf(protos, name), handlers);
    const context = createForeignContext(invoker);
    for (const one of foreign) serve(one.name, one.definition, implementationOf(one, context, refuse));

    const services = served.map(({ name }) => name);
    const health = new Health(healthNames({ manifest, services, isReady, models }), refuse);
    serve(HEALTH, serviceOf(protos, HEALTH), health.implementation());
    this.#recorder.addEndless([`/${HEALTH}/Watch`, `/${INFERENCE}/ModelStreamInfer`]);
    if (config.channelz) serve(CHANNELZ, getChannelzServiceDefinition(), getChannelzHandlers());
    if (config.reflection) this.#serveReflection(served);
    return health;
  }

  #serveReflection(services: readonly Reflected[]): void {
    const reflection = reflectionServices({ services, otherFiles: ERROR_FILES, refuse: this.#refuse });
    for (const [definition, handlers] of reflection) {
      this.#serve(definition, handlers);
      this.#recorder.addEndless(Object.values(definition).map(({ path }) => path));
    }
  }

  #serve(definition: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    const paths = Object.values(definition).map(({ path }) => path);
    for (const path of paths) {
      if (this.#recorder.hasRoute(path))
        throw new JubakoError('SERVICE_INVALID', `Cannot serve ${path} twice: another gRPC service has that name`);
    }
    this.#server.addService(guarded(definition, this.#onUnencodable), implementation);
    this.#recorder.addRoutes(paths);
  }

  readonly #onUnencodable = (cause: unknown, route: string): void => {
    this.#logger.error({ event: 'answer.unencodable', route, err: cause }, `Cannot encode an answer of ${route}`);
  };

  readonly #refuse: Refuse = (thrown, rpc) => {
    const error = JubakoError.from(thrown);
    if (error.kind.internal === true) {
      const { route, requestId } = rpc;
      this.#logger.error({ event: 'request.failed', route, requestId, code: error.code, err: error }, error.message);
    }
    return toStatus(error, rpc.requestId);
  };

  readonly #onSocketError = (error: Error): void => {
    this.#logger.debug({ event: 'connection.failed', err: error }, 'Connection failed');
  };
}

function serverOptions(config: ServerConfig): Record<string, number> {
  return {
    'grpc.max_receive_message_length': config.maxMessageLength,
    'grpc.max_send_message_length': config.maxMessageLength,
    // Off unless asked for: it keeps a record of every call and has leaked (grpc-node issues 1941, 2068).
    'grpc.enable_channelz': config.channelz ? 1 : 0,
    ...(config.maxConcurrentStreams > 0 && { 'grpc.max_concurrent_streams': config.maxConcurrentStreams }),
  };
}
