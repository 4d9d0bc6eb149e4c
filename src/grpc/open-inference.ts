import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { JubakoError } from '../errors.js';
import type { Priority } from '../service/define.js';
import type { Invoker } from '../service/invoke.js';
import { parseJson } from '../descriptor/json-value.js';
import type { Manifest } from '../service/manifest.js';
import { Tensor } from '../tensor/index.js';
import type {
  ModelInferRequest,
  ModelInferResponse,
  ModelMetadataResponse,
  NameAndVersion,
  TensorMetadata,
} from './infer-messages.js';
import { readDocuments, readInput, requestedOutputs, writeOutputs } from './infer-tensors.js';
import type { Admission } from './admission.js';
import type { Model, Models, Port } from '../inference/models.js';
import { priorityOf } from './request-priority.js';
import { unary, type Refuse, type Rpc } from './rpc.js';

/** `platform` of ModelMetadata: who runs the model. */
const PLATFORM = 'jubako';

export interface OpenInferenceOptions {
  readonly manifest: Manifest;
  readonly models: Models;
  readonly invoker: Invoker;
  readonly isReady: () => Promise<boolean>;
  readonly admission: Admission;
  readonly refuse: Refuse;
}

/** The service `inference.GRPCInferenceService` over the runners of a manifest. */
export function openInference(options: OpenInferenceOptions): UntypedServiceImplementation {
  const { manifest, models, isReady, admission, refuse } = options;
  const inference = new Inference(options);
  return {
    ServerLive: unary(() => ({ live: true }), refuse),
    ServerReady: unary(async () => ({ ready: await isReady() }), refuse),
    ModelReady: unary(async ({ name = '', version = '' }: NameAndVersion) => {
      models.find(name, version);
      return { ready: await isReady() };
    }, refuse),
    ServerMetadata: unary(() => ({ name: manifest.name, version: manifest.version, extensions: [] }), refuse),
    ModelMetadata: unary(({ name = '', version = '' }: NameAndVersion): ModelMetadataResponse => {
      const model = models.find(name, version);
      return {
        name,
        versions: models.versions(name),
        platform: PLATFORM,
        inputs: model.inputs.list.map(toMetadata),
        outputs: model.outputs.list.map(toMetadata),
      };
    }, refuse),
    ModelInfer: unary(
      admission.guard((request: ModelInferRequest, rpc) => inference.infer(request, rpc)),
      refuse,
    ),
  };
}

function toMetadata(port: Port): TensorMetadata {
  return { name: port.name, datatype: port.datatype, shape: port.shape };
}

class Inference {
  readonly #models: Models;
  readonly #invoker: Invoker;

  constructor(options: OpenInferenceOptions) {
    this.#models = options.models;
    this.#invoker = options.invoker;
  }

  async infer(request: ModelInferRequest, rpc: Rpc): Promise<ModelInferResponse> {
    const model = this.#models.find(request.model_name ?? '', request.model_version ?? '');
    const ports = requestedOutputs(model, request);
    const priority = priorityOf(request.parameters);
    const values =
      model.inputs.kind === 'json'
        ? await this.#runDocuments(model, request, priority, rpc)
        : [await this.#run(model, readInput(model, request), priority, rpc)];
    return writeOutputs(request, model.version, ports, tensorsOf(model, ports, values));
  }

  #run(model: Model, input: unknown, priority: Priority, rpc: Rpc): Promise<unknown> {
    const { runner, method } = model;
    const { requestId, cancellation, deadlineAtMs, timing } = rpc;
    return this.#invoker.callRunner({
      runner,
      method,
      input,
      priority,
      requestId,
      cancellation,
      deadlineAtMs,
      timing,
    });
  }

  /** A call per document. Where one fails the request fails, and the others are told to stop. */
  async #runDocuments(
    model: Model,
    request: ModelInferRequest,
    priority: Priority,
    rpc: Rpc,
  ): Promise<readonly unknown[]> {
    const values = readDocuments(model, request).map((bytes, i) => parseJson(bytes, `element ${i} of the input`));
    if (model.outputs.kind !== 'json' && values.length !== 1) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot read the input: it has ${values.length} documents; wanted 1, since the output is not JSON`,
      );
    }
    try {
      return await Promise.all(values.map((value) => this.#run(model, value, priority, rpc)));
    } catch (thrown) {
      rpc.cancellation.cancel(new JubakoError('CLIENT_GONE', 'Another document of the same request has failed'));
      throw thrown;
    }
  }
}

/** The tensors of the wanted outputs. @param values - what the calls gave: one, unless the output is JSON. */
function tensorsOf(model: Model, ports: readonly Port[], values: readonly unknown[]): readonly Tensor[] {
  switch (model.outputs.kind) {
    case 'json': {
      const documents = values.map((value) => JSON.stringify(model.toJson(value)));
      const tensor = new Tensor('string', [documents.length], documents);
      return ports.map(() => tensor);
    }
    case 'tensor':
      return ports.map(() => values[0] as Tensor);
    case 'tensors':
      return ports.map((port) => (values[0] as Readonly<Record<string, Tensor>>)[port.name] as Tensor);
    default:
      return model.outputs.kind satisfies never;
  }
}
