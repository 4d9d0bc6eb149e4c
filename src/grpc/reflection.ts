import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { mendFiles } from './reflection-files.js';
import { bidirectional, type Refuse } from './rpc.js';

// The reflection services, v1 and v1alpha.
// L1 The package answers as fast as it is asked and keeps what the client does not read: its answers are taken one by one
//    instead, when the one before is written.
// L2 A service whose definition has no descriptors, as generated code has none, is listed and cannot be described.

export interface Reflected {
  readonly name: string;
  readonly definition: ServiceDefinition;
}

export interface ReflectionOptions {
  readonly services: readonly Reflected[];
  /** Files with messages that no service names. */
  readonly otherFiles: readonly Buffer[];
  readonly refuse: Refuse;
}

/** The reflection services, each as its definition and its implementation. */
export function reflectionServices(
  options: ReflectionOptions,
): readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[] {
  const described = options.services.filter(({ definition }) => filesOf(definition).length > 0);
  const undescribed = options.services.filter((service) => !described.includes(service)).map(({ name }) => ({ name }));
  const files = new Set([...described.flatMap(({ definition }) => filesOf(definition)), ...options.otherFiles]);
  const protos = {
    files: { fileDescriptorProtos: mendFiles(files) } as unknown as MessageTypeDefinition<object, object>,
  };
  const served: (readonly [ServiceDefinition, UntypedServiceImplementation])[] = [];
  const addService = (definition: ServiceDefinition, implementation: UntypedServiceImplementation): void => {
    const answer = answererOf(implementation as unknown as PackageImplementation);
    const answers = async function* (requests: AsyncIterable<unknown>): AsyncGenerator<Answer, void, undefined> {
      for await (const request of requests) yield withNames(answer(request), undescribed);
    };
    served.push([definition, { ServerReflectionInfo: bidirectional(answers, options.refuse) }]);
  };
  new ReflectionService(protos, { services: described.map(({ name }) => name) }).addToServer({ addService });
  return served;
}

function filesOf(definition: ServiceDefinition): readonly Buffer[] {
  return Object.values(definition).flatMap((method) => {
    const { requestType } = method as { readonly requestType?: { readonly fileDescriptorProtos?: readonly Buffer[] } };
    return requestType?.fileDescriptorProtos ?? [];
  });
}

interface Answer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
}

/** How the package takes a call: it reads messages from it by its event, and writes each answer at once. */
interface PackageImplementation {
  ServerReflectionInfo(stream: {
    on(event: string, listener: (message: unknown) => void): void;
    write(answer: Answer): void;
    end(): void;
  }): void;
}

/** L1 */
function answererOf(implementation: PackageImplementation): (request: unknown) => Answer {
  let ask: (request: unknown) => void = () => undefined;
  let answer: Answer = {};
  implementation.ServerReflectionInfo({
    on: (event, listener) => {
      if (event === 'data') ask = listener;
    },
    write: (given) => {
      answer = given;
    },
    end: () => undefined,
  });
  return (request) => {
    ask(request);
    return answer;
  };
}

/** L2 */
function withNames(answer: Answer, names: readonly { readonly name: string }[]): Answer {
  const { listServicesResponse: list } = answer;
  if (list === undefined || names.length === 0) return answer;
  return { ...answer, listServicesResponse: { service: [...list.service, ...names] } };
}
