import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition, UntypedHandleCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { JubakoError } from '../errors.js';
import type { GrpcExtension, GrpcService, GrpcServiceContext } from '../service/extensions.js';
import { adaptHandler } from './foreign-handlers.js';
import type { Refuse } from './rpc-life.js';

// The gRPC services that a service brings itself: found, checked, and made to answer as the others do.

/** A service of the user whose definition is there; its implementation is made when the server is. */
export interface ForeignService {
  /** Full name, such as `sample.v1.Greeter`. */
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly implementation: GrpcService['implementation'];
}

/** As most code for Node expects it of messages; who wants other forms loads the file and gives the definition. */
const LOADER_OPTIONS = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true } as const;

/** @throws {JubakoError} SERVICE_INVALID */
export function loadForeignServices(services: GrpcExtension['services'] = []): Promise<readonly ForeignService[]> {
  return Promise.all(
    services.map(async ({ definition: given, implementation }) => {
      const definition = isFile(given) ? await loadDefinition(given) : given;
      return { name: nameOf(definition), definition, implementation };
    }),
  );
}

/** @throws {JubakoError} SERVICE_INVALID - what the user's code throws, or gives instead of handlers. */
export function implementationOf(
  service: ForeignService,
  context: GrpcServiceContext,
  refuse: Refuse,
): UntypedServiceImplementation {
  const handlers = handlersOf(service, context);
  const adapted: Record<string, UntypedHandleCall> = {};
  for (const [key, method] of Object.entries(service.definition)) {
    const handler = handlers[key] ?? (method.originalName === undefined ? undefined : handlers[method.originalName]);
    if (handler === undefined) continue; // grpc-js answers UNIMPLEMENTED
    if (typeof handler !== 'function') throw invalid(`${service.name}.${key} is not a function`);
    const isUnary = !method.requestStream && !method.responseStream;
    adapted[key] = adaptHandler(handler.bind(handlers), isUnary, refuse);
  }
  return adapted;
}

function handlersOf(
  { name, implementation }: ForeignService,
  context: GrpcServiceContext,
): UntypedServiceImplementation {
  let handlers: unknown;
  try {
    handlers = implementation(context);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new JubakoError('SERVICE_INVALID', `Cannot serve ${name}: its implementation fails: ${why}`, { cause });
  }
  if (typeof handlers !== 'object' || handlers === null)
    throw invalid(`the implementation of ${name} gives ${String(handlers)}; wanted an object with its handlers`);
  return handlers as UntypedServiceImplementation;
}

type ProtoFile = Extract<GrpcService['definition'], { readonly service: string }>;

function isFile(definition: GrpcService['definition']): definition is ProtoFile {
  return typeof definition.service === 'string';
}

async function loadDefinition({ proto, service }: ProtoFile): Promise<ServiceDefinition> {
  const path = proto instanceof URL ? fileURLToPath(proto) : resolve(proto);
  const loaded = await load(path, LOADER_OPTIONS).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new JubakoError('SERVICE_INVALID', `Cannot load the .proto file "${path}": ${why}`, { cause });
  });
  const found = loaded[service];
  const services = Object.keys(loaded).filter((name) => isService(loaded[name]));
  if (found === undefined || !isService(found))
    throw invalid(
      `there is no service "${service}" in "${path}"; the services are ${services.length === 0 ? '(none)' : services.join(', ')}`,
    );
  return found;
}

/** Messages and enums have a `format`. */
function isService(definition: object | undefined): definition is ServiceDefinition {
  return definition !== undefined && !('format' in definition);
}

function nameOf(definition: ServiceDefinition): string {
  const [method] = Object.values(definition);
  const [, name] = /^\/([^/]+)\/[^/]+$/.exec(method?.path ?? '') ?? [];
  if (name === undefined)
    throw invalid('a definition has no methods, or methods whose path is not "/package.Service/Method"');
  return name;
}

function invalid(why: string): JubakoError {
  return new JubakoError('SERVICE_INVALID', `Cannot serve the gRPC services of the service: ${why}`);
}
