import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { load, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { JubakoError } from '../errors.js';

// P1 A message that cannot be decoded is the client's fault. grpc-js would answer it INTERNAL, so the definitions here
//    decode it to an `Undecodable`, which is answered INVALID_ARGUMENT before any handler sees it.
// P2 An answer that cannot be encoded is a fault of this side. grpc-js answers it INTERNAL and drops the cause, which only
//    here can be told to the log.

// From dist/grpc: the .proto files are shipped in src, where tools of users can read them too.
export const PROTO_FOLDER = fileURLToPath(new URL('../../src/grpc/proto/', import.meta.url));

/** What stands in for a request whose bytes are not its protobuf message. */
export class Undecodable {
  readonly #rpc: string;
  readonly #cause: unknown;

  constructor(rpc: string, cause: unknown) {
    this.#rpc = rpc;
    this.#cause = cause;
  }

  toError(): JubakoError {
    const why = this.#cause instanceof Error ? this.#cause.message : String(this.#cause);
    return new JubakoError(
      'INVALID_INPUT',
      `Cannot decode the request of ${this.#rpc}: ${why}; wanted its protobuf message`,
      { cause: this.#cause },
    );
  }
}

/** All services of this room. Field names stay as in the .proto files; absent fields are undefined; int64 are `Int64`. */
export function loadProtos(files: readonly string[]): Promise<PackageDefinition> {
  const paths = files.map((file) => `${PROTO_FOLDER}${file}`);
  return load([healthProtoPath, ...paths], {
    keepCase: true,
    enums: String,
    oneofs: true,
  });
}

/** One service of the loaded package. */
export function serviceOf(protos: PackageDefinition, name: string): ServiceDefinition {
  const service = protos[name] as ServiceDefinition | undefined;
  if (service === undefined) throw new TypeError(`Cannot find the gRPC service "${name}" in the loaded .proto files`);
  return service;
}

/** The same service, but for P1 and P2. @param onUnencodable - told why, with the path of the RPC. */
export function guarded(
  definition: ServiceDefinition,
  onUnencodable: (cause: unknown, route: string) => void,
): ServiceDefinition {
  const service: Record<string, ServiceDefinition[string]> = {};
  for (const [key, method] of Object.entries(definition)) {
    const { path } = method;
    const decode = method.requestDeserialize as (bytes: Buffer) => unknown;
    const encode = method.responseSerialize as (message: unknown) => Buffer;
    service[key] = {
      ...method,
      requestDeserialize(bytes: Buffer): unknown {
        try {
          return decode(bytes);
        } catch (cause) {
          return new Undecodable(path, cause); // P1
        }
      },
      responseSerialize(message: unknown): Buffer {
        try {
          return encode(message);
        } catch (cause) {
          onUnencodable(cause, path); // P2
          throw cause;
        }
      },
    };
  }
  return service;
}

/** An int64 or uint64 as protobuf's decoder gives it and its encoder takes it: exact, and no BigInt per element. */
export interface Int64 {
  /** Lower and upper 32 bits, each as a signed number. */
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}
