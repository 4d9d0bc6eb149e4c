import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { ServerConfig } from '../config/settings.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { RecordRequest } from '../telemetry/request-log.js';
import type { Access } from './access.js';
import type { ServiceDefinition } from './define.js';
import type { Invoker } from './invoke.js';
import type { Manifest } from './manifest.js';
import type { ModelControl } from './model-control.js';

/** What the HTTP room and the gRPC room each offer to the worker that hosts them. Neither ever listens: connections are handed in. */
export interface ProtocolServer {
  /** Takes over a raw TCP connection that the primary accepted; TLS, if any, is spoken here. */
  accept(socket: Socket): void;
  /** Connections open right now. */
  readonly connections: number;
  /**
   * Answers what was accepted, tells clients to go (`Connection: close`, GOAWAY), and resolves when every connection is
   * closed or `graceMs` has passed, whichever is first; what is left then is cut. Never rejects.
   */
  drain(graceMs: number): Promise<void>;
}

export interface ProtocolServerOptions {
  readonly service: ServiceDefinition;
  readonly manifest: Manifest;
  readonly config: ServerConfig;
  readonly invoker: Invoker;
  /** From the seven `ssl…` settings, for `tls.createServer`; undefined: plaintext. */
  readonly tls: TlsOptions | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Called exactly once per request, however it ended. */
  readonly recordRequest: RecordRequest;
  /** As it is now, not as it was seen last; takes up to 80 ms. */
  readonly readiness: () => Promise<Readiness>;
  /** Prometheus text of all processes of this server together. */
  readonly metricsText: () => Promise<string>;
  /** The counters of all processes of this server together whose series begin with `prefix`: series with its labels → amount. */
  readonly counters: (prefix: string) => Promise<Readonly<Record<string, number>>>;
  readonly models: ModelControl;
  /** Who may call, and how often. */
  readonly access: Access;
  /** Path of a mount → `http://host:port` of its application. */
  readonly mounts: Readonly<Record<string, string>>;
  /** Name of this worker, e.g. `http-0`. */
  readonly worker: string;
}

/** `reason` names what is missing, for people: `runner "digits" is not connected`. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string };
