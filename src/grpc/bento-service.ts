import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { Descriptor } from '../descriptor/descriptor.js';
import type { ApiDefinition, ServiceDefinition } from '../service/define.js';
import type { Invoker } from '../service/invoke.js';
import type { Admission } from './admission.js';
import { readContent, writeContent } from './bento-content.js';
import type { CallRequest, CallResponse } from './bento-messages.js';
import { serviceMetadata } from './bento-metadata.js';
import { unary, type Refuse, type Rpc } from './rpc.js';

// BentoML's gRPC API over the APIs of a service. Its two versions have the same messages but for one that no API takes, so
// that one implementation serves both; v1alpha1 does not declare ServiceMetadata, and what is not declared is not served.

export type BentoVersion = ServerConfig['protocolVersion'];

export function bentoProtoFile(version: BentoVersion): string {
  return `bentoml-${version}.proto`;
}

export function bentoServiceName(version: BentoVersion): string {
  return `bentoml.grpc.${version}.BentoService`;
}

export interface BentoServiceOptions {
  readonly service: ServiceDefinition;
  readonly invoker: Invoker;
  readonly admission: Admission;
  readonly refuse: Refuse;
}

/** The service `bentoml.grpc.<version>.BentoService`. */
export function bentoService(options: BentoServiceOptions): UntypedServiceImplementation {
  const { service, invoker, admission, refuse } = options;
  const apis = new Map(Object.entries(service.apis));
  const metadata = serviceMetadata(service);

  const call = async (request: CallRequest, rpc: Rpc): Promise<CallResponse> => {
    const name = request.api_name ?? '';
    const api = apis.get(name) ?? refuseUnknown(name, apis);
    const { input, isJson } = readContent(name, api.input.spec, request);
    const { requestId, cancellation, deadlineAtMs, timing } = rpc;
    const form = isJson ? ({ form: 'json', json: input } as const) : ({ form: 'value', value: input } as const);
    const output = await invoker.callApi({ api: name, input: form, requestId, cancellation, deadlineAtMs, timing });
    return writeContent(name, api.output as Descriptor, output);
  };

  return {
    Call: unary(admission.guard(call), refuse),
    ServiceMetadata: unary(() => metadata, refuse),
  };
}

function refuseUnknown(name: string, apis: ReadonlyMap<string, ApiDefinition>): never {
  const known = [...apis.keys()].join(', ');
  throw new JubakoError('NOT_FOUND', `Cannot find the API "${name}": the APIs are ${known === '' ? '(none)' : known}`);
}
