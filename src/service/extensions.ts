import type {
  Metadata,
  ServerInterceptor,
  ServiceDefinition as GrpcDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AnyRunners, HandlerContext } from './define.js';

// What a service brings beside its APIs: plugins for Fastify, services for gRPC, foreign applications under a path.

/** Routes, hooks and decorators for the HTTP side of a service. */
export interface HttpExtension<Runners = AnyRunners> {
  /**
   * Each is registered once in every HTTP worker, in a scope of its own: its hooks see its own routes. One that is wrapped by
   * fastify-plugin sees the requests of APIs, mounts and other plugins as well, by its hooks up to `preHandler` and by
   * `onResponse`; never health, metrics and documentation.
   */
  readonly plugins: readonly HttpPlugin<Runners>[];
}

export type HttpPlugin<Runners = AnyRunners> = (
  app: FastifyInstance,
  context: HttpPluginContext<Runners>,
) => void | Promise<void>;

export interface HttpPluginContext<Runners = AnyRunners> {
  /** What handlers of APIs get, for a request of a route of your own: runners, signal and id belong to that request. */
  contextOf(this: void, request: FastifyRequest): HandlerContext<Runners>;
}

/** Services and interceptors for the gRPC side of a service. */
export interface GrpcExtension<Runners = AnyRunners> {
  readonly services?: readonly GrpcService<Runners>[];
  /** See every call of every service, those of Jubako too, the first one first; https://github.com/grpc/proposal/blob/master/L112-node-server-interceptors.md */
  readonly interceptors?: readonly ServerInterceptor[];
}

export interface GrpcService<Runners = AnyRunners> {
  /** From generated code or from proto-loader; or a .proto file and the full name of a service in it. */
  readonly definition: GrpcDefinition | { readonly proto: string | URL; readonly service: string };
  /** Handlers as grpc-js takes them; errors that they throw, or give to the callback, are answered as those of APIs are. */
  readonly implementation: (context: GrpcServiceContext<Runners>) => UntypedServiceImplementation;
}

export interface GrpcServiceContext<Runners = AnyRunners> {
  /** What handlers of APIs get, for a call that a handler was given. */
  contextOf(this: void, call: { readonly metadata: Metadata }): HandlerContext<Runners>;
}

/** A foreign HTTP application: running elsewhere, or started and kept running by Jubako. */
export type MountOptions = MountedUpstream | MountedCommand;

interface MountBasics {
  /** True (default): the application sees its paths without the path that it is mounted under. */
  readonly stripPath?: boolean;
}

export interface MountedUpstream extends MountBasics {
  /** `http://host:port` */
  readonly upstream: string;
}

export interface MountedCommand extends MountBasics {
  /** Program and arguments; `{port}` in them stands for the port that it shall listen on, as PORT in its environment does. */
  readonly command: readonly string[];
  /** Default: the working folder of the server. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Path that it answers with a status below 500 once it is ready. Default: ready when its port takes connections. */
  readonly readyPath?: string;
}
