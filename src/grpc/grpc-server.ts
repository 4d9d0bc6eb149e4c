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
import { Admission } from './admission.js';
import { bentoProtoFile, bentoService, bentoServiceName } from './bento-service.js';
import { Health } from './health.js';
import { Http2Front } from './http2-front.js';
import { Models } from '../inference/models.js';
import { openInference } from './open-inference.js';
import { loadProtos, serviceOf } from './protos.js';
import { addReflection } from './reflection.js';
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
const TCP_KEEP_ALIVE_MS = 60_000;

/** Builds the gRPC side of a worker. It never listens: connections come through `accept`. */
export async function createGrpcServer(options: ProtocolServerOptions): Promise<ProtocolServer> {
  const protos = await loadProtos(['inference.proto', bentoProtoFile(options.config.protocolVersion)]);
  return new GrpcServer(options, protos);
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

  constructor(options: ProtocolServerOptions, protos: PackageDefinition) {
    const { config, logger, metrics, manifest, service, invoker } = options;
    this.#logger = logger;
    this.#connectionsGauge = metrics.gauge('jubako_connections', { protocol: 'grpc' });
    this.#recorder = new RpcRecorder({
      recordRequest: options.recordRequest,
      inProgress: metrics.gauge('jubako_requests_in_progress', { protocol: 'grpc' }),
      logger,
    });
    this.#server = new Server({ ...serverOptions(config), interceptors: [this.#recorder.interceptor] });

    const isReady = async (): Promise<boolean> => {
      if (this.#isDraining) return false;
      const { ready } = await options.readiness();
      return ready && !this.#isDraining;
    };
    const refuse = this.#refuse;
    const bento = bentoServiceName(config.protocolVersion);
    this.#health = new Health(
      ['', INFERENCE, bento, ...manifest.runners.map((runner) => runner.name)],
      isReady,
      refuse,
    );
    this.#serve(serviceOf(protos, HEALTH), this.#health.implementation());
    const models = new Models(manifest, service);
    const admission = new Admission(config.maxConcurrency);
    this.#serve(serviceOf(protos, INFERENCE), openInference({ manifest, models, invoker, isReady, admission, refuse }));
    this.#serve(serviceOf(protos, bento), bentoService({ service, invoker, admission, refuse }));
    if (config.reflection) addReflection(protos, [HEALTH, INFERENCE, bento], this.#serve);
    if (config.channelz) this.#serve(getChannelzServiceDefinition(), getChannelzHandlers());

    this.#front = new Http2Front(this.#server, {
      onStream: this.#recorder.onStream,
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
    this.#recorder.endStreaming();
    this.#front.drain();
    await this.#allClosed(graceMs);
    this.#server.forceShutdown();
  }

  /** Resolves when no connection is left, or when those that are left after `graceMs` were cut. */
  #allClosed(graceMs: number): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const limit = setTimeout(() => {
        this.#recorder.markCutting();
        this.#logger.warn(
          { event: 'drain.cut', connections: this.#sockets.size, graceMs },
          'Cut the gRPC connections that were left',
        );
        this.#server.forceShutdown();
        for (const socket of this.#sockets) socket.destroy();
      }, graceMs);
      this.#onEmpty = (): void => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  readonly #serve = (service: ServiceDefinition, implementation: UntypedServiceImplementation): void => {
    this.#server.addService(service, implementation);
    this.#recorder.addRoutes(Object.values(service).map((method) => method.path));
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
