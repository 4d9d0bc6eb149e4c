import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { JubakoError } from '../errors.js';
import type { ModelMetadata } from '../inference/model-info.js';
import type { OpenInference } from '../inference/open-inference.js';
import type { Admission } from './admission.js';
import type {
  ModelConfigResponse,
  ModelInferRequest,
  ModelInferResponse,
  ModelStatisticsMessage,
  NameAndVersion,
  RepositoryIndexRequest,
  RepositoryModelRequest,
} from './infer-messages.js';
import { toInferRequest, toParameters } from './infer-request.js';
import { toResponseMessage, toStatisticsMessage } from './infer-response.js';
import { bidirectional, unary, type Refuse, type Rpc } from './rpc.js';
import { streamInfer } from './stream-infer.js';

export interface OpenInferenceOptions {
  readonly open: OpenInference;
  /** Of the whole server, draining included. */
  readonly isReady: () => Promise<boolean>;
  readonly isDraining: () => boolean;
  readonly admission: Admission;
  readonly refuse: Refuse;
}

/** The service `inference.GRPCInferenceService` over the runners of a manifest. */
export function openInference(options: OpenInferenceOptions): UntypedServiceImplementation {
  const { open, isReady, isDraining, admission, refuse } = options;
  return {
    ServerLive: unary(() => ({ live: true }), refuse),
    ServerReady: unary(async () => ({ ready: await isReady() }), refuse),
    ModelReady: unary(async ({ name = '', version = '' }: NameAndVersion) => {
      const { ready } = await open.modelReadiness(name, version);
      return { ready: ready && !isDraining() };
    }, refuse),
    ServerMetadata: unary(() => open.serverMetadata, refuse),
    ModelMetadata: unary(
      ({ name = '', version = '' }: NameAndVersion): ModelMetadata => open.modelMetadata(name, version),
      refuse,
    ),
    ModelConfig: unary(
      ({ name = '', version = '' }: NameAndVersion): ModelConfigResponse => ({
        config: open.modelConfig(name, version),
      }),
      refuse,
    ),
    ModelInfer: unary(
      admission.guard((request: ModelInferRequest, rpc) => infer(open, request, rpc)),
      refuse,
    ),
    ModelStreamInfer: bidirectional(
      (requests: AsyncIterable<ModelInferRequest>, rpc) => streamInfer(requests, rpc, { open, admission, refuse }),
      refuse,
    ),
    ModelStatistics: unary(async ({ name = '', version = '' }: NameAndVersion) => {
      const list = await open.statistics(name, version);
      return { model_stats: list.map((one): ModelStatisticsMessage => toStatisticsMessage(one)) };
    }, refuse),
    ...repository(open, refuse),
    ...unserved(refuse),
  };
}

async function infer(open: OpenInference, message: ModelInferRequest, rpc: Rpc): Promise<ModelInferResponse> {
  const { model_name: name = '', model_version: version = '', raw_input_contents: raw } = message;
  const model = open.find(name, version);
  const response = await open.inference.infer(model, toInferRequest(message), rpc);
  return toResponseMessage(response, raw !== undefined);
}

function repository(open: OpenInference, refuse: Refuse): UntypedServiceImplementation {
  return {
    RepositoryIndex: unary(async ({ repository_name, ready = false }: RepositoryIndexRequest) => {
      refuseRepositoryName(repository_name);
      return { models: await open.repository.index(ready) };
    }, refuse),
    RepositoryModelLoad: unary(async (request: RepositoryModelRequest) => {
      refuseRepositoryName(request.repository_name);
      await open.repository.load(request.model_name ?? '', toParameters(request.parameters));
      return {};
    }, refuse),
    RepositoryModelUnload: unary(async (request: RepositoryModelRequest) => {
      refuseRepositoryName(request.repository_name);
      await open.repository.unload(request.model_name ?? '', toParameters(request.parameters));
      return {};
    }, refuse),
  };
}

function refuseRepositoryName(name = ''): void {
  if (name !== '')
    throw new JubakoError('INVALID_INPUT', `Cannot use the repository "${name}": there is one, which has no name`);
}

/** Extensions of Triton that are not served: what asks is told that there is nothing, what would change something fails. */
function unserved(refuse: Refuse): UntypedServiceImplementation {
  const refusing = (what: string): UntypedServiceImplementation[string] =>
    unary(() => {
      throw new JubakoError('METHOD_NOT_ALLOWED', `Cannot ${what}: this server has no such extension`);
    }, refuse);
  const noRegions = unary(() => ({ regions: {} }), refuse);
  const shared = refusing('use shared memory');
  return {
    SystemSharedMemoryStatus: noRegions,
    SystemSharedMemoryRegister: shared,
    SystemSharedMemoryUnregister: shared,
    CudaSharedMemoryStatus: noRegions,
    CudaSharedMemoryRegister: shared,
    CudaSharedMemoryUnregister: shared,
    TraceSetting: refusing('get or change trace settings'),
    LogSettings: refusing('get or change log settings'),
  };
}
