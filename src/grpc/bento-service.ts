import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import type { ServerConfig } from '../config/settings.js';
import type { Descriptor } from '../descriptor/descriptor.js';
import { isStreamDescriptor } from '../descriptor/stream-descriptor.js';
import { JubakoError } from '../errors.js';
import type { ApiDefinition, ServiceDefinition } from '../service/define.js';
import type { ApiCall, Invoker } from '../service/invoke.js';
import type { Admission } from './admission.js';
import { readContent, writeContent } from './bento-content.js';
import { KINDS_V1, KINDS_V1ALPHA1, type FileKinds } from './bento-file.js';
import type { CallRequest, CallResponse } from './bento-messages.js';
import { serviceMetadata } from './bento-metadata.js';
import { serverStreaming, unary, type Refuse, type Rpc } from './rpc.js';

// BentoML's gRPC API over the APIs of a service, and what it lacks: calls that are answered by a stream. Its two versions
// have the same messages but for the kinds of files, so that one implementation serves both; v1alpha1 does not declare
// ServiceMetadata, and what is not declared is not served.

export type BentoVersion = ServerConfig['protocolVersion'];

/** The service of Jubako's own, served whatever the version of BentoML's is. */
export const JUBAKO_SERVICE = 'jubako.v1.Jubako';
const CALL_STREAM = `/${JUBAKO_SERVICE}/CallStream`;

/** The .proto files of both services; that of Jubako's has the messages of v1. */
export function bentoProtoFiles(version: BentoVersion): readonly string[] {
  const files = ['bentoml-v1.proto', 'jubako.proto'];
  return version === 'v1' ? files : [`bentoml-${version}.proto`, ...files];
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
export function bentoService(version: BentoVersion, options: BentoServiceOptions): UntypedServiceImplementation {
  const { service, invoker, admission, refuse } = options;
  const kinds = version === 'v1' ? KINDS_V1 : KINDS_V1ALPHA1;
  const metadata = serviceMetadata(service);

  const call = async (request: CallRequest, rpc: Rpc): Promise<CallResponse> => {
    const { name, api } = find(service, request);
    if (isStreamDescriptor(api.output)) {
      const why = `it gives a stream of values; wanted ${CALL_STREAM}`;
      throw new JubakoError('INVALID_INPUT', `Cannot call the API "${name}" by ${rpc.route}: ${why}`);
    }
    const output = await invoker.callApi(toApiCall(name, api, request, rpc, kinds));
    return writeContent(name, api.output as Descriptor, output, kinds);
  };

  return {
    Call: unary(admission.guard(call), refuse),
    ServiceMetadata: unary(() => metadata, refuse),
  };
}

/** The service `jubako.v1.Jubako`. */
export function jubakoService(options: BentoServiceOptions): UntypedServiceImplementation {
  const { service, invoker, admission, refuse } = options;

  async function* callStream(request: CallRequest, rpc: Rpc): AsyncGenerator<CallResponse, void, undefined> {
    const leave = admission.enter();
    try {
      const { name, api } = find(service, request);
      const { output } = api;
      if (!isStreamDescriptor(output)) {
        const why = 'it gives one value; wanted Call of BentoService';
        throw new JubakoError('INVALID_INPUT', `Cannot call the API "${name}" by ${rpc.route}: ${why}`);
      }
      const values = invoker.streamApi(toApiCall(name, api, request, rpc, KINDS_V1));
      for await (const value of values)
        yield await writeOrCancel(rpc, () => writeContent(name, output.of, value, KINDS_V1));
    } finally {
      leave();
    }
  }

  return { CallStream: serverStreaming(callStream, refuse) };
}

/** What can't be written ends the call for this reason, before the loop ends the stream for another. */
async function writeOrCancel(rpc: Rpc, write: () => CallResponse | Promise<CallResponse>): Promise<CallResponse> {
  try {
    return await write();
  } catch (thrown) {
    const error = JubakoError.from(thrown);
    rpc.cancellation.cancel(error);
    throw error;
  }
}

function toApiCall(name: string, api: ApiDefinition, request: CallRequest, rpc: Rpc, kinds: FileKinds): ApiCall {
  const { requestId, cancellation, deadlineAtMs, timing } = rpc;
  const input = readContent(name, api.input, request, kinds);
  return { api: name, input, requestId, cancellation, deadlineAtMs, timing };
}

interface FoundApi {
  readonly name: string;
  readonly api: ApiDefinition;
}

function find({ apis }: ServiceDefinition, { api_name: name = '' }: CallRequest): FoundApi {
  const api = Object.hasOwn(apis, name) ? apis[name] : undefined;
  if (api !== undefined) return { name, api };
  const known = Object.keys(apis).join(', ');
  throw new JubakoError('NOT_FOUND', `Cannot find the API "${name}": the APIs are ${known === '' ? '(none)' : known}`);
}
