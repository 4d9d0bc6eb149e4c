import { DTYPES, type Dtype } from '../tensor/index.js';
import type { Model } from './models.js';
import type { Port, Ports } from './ports.js';

// What clients are told about a server and its models, in the words of the protocol.

/** `platform` of every model: who runs it. */
const PLATFORM = 'jubako';

/** Those of https://github.com/triton-inference-server/server/tree/main/docs/protocol that are served whole. */
export const EXTENSIONS = [
  'binary_tensor_data',
  'model_configuration',
  'model_repository',
  'parameters',
  'schedule_policy',
  'statistics',
] as const;

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  /** -1 stands for any size. */
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** @param name - as the client calls the model. */
export function toMetadata(model: Model, name: string, versions: readonly string[]): ModelMetadata {
  return {
    name,
    versions,
    platform: PLATFORM,
    inputs: model.inputs.list.map(toTensorMetadata),
    outputs: model.outputs.list.map(toTensorMetadata),
  };
}

function toTensorMetadata({ name, datatype, shape }: Port): TensorMetadata {
  return { name, datatype, shape };
}

/** The part of Triton's ModelConfig that means something here, by its field names. */
export interface ModelConfig {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  /** Rows that one run takes; 0: the model does not batch, and `dims` are whole shapes. */
  readonly max_batch_size: number;
  readonly input: readonly ConfigTensor[];
  readonly output: readonly ConfigTensor[];
  /** There where the server gathers requests into batches. */
  readonly dynamic_batching?: Readonly<Record<string, never>>;
  readonly model_transaction_policy: { readonly decoupled: boolean };
}

export interface ConfigTensor {
  readonly name: string;
  readonly data_type: string;
  /** Without the batch axis where `max_batch_size` isn't 0. */
  readonly dims: readonly number[];
}

export function toConfig(model: Model, name: string): ModelConfig {
  // Documents of a `json` model are batched as calls: the one dimension of the protocol is their number.
  const isBatched = model.maxBatchRows !== null && hasBatchAxis(model.inputs) && hasBatchAxis(model.outputs);
  const toTensor = (port: Port): ConfigTensor => ({
    name: port.name,
    data_type: dataTypeOf(port.dtype),
    dims: isBatched ? port.shape.slice(1) : port.shape,
  });
  return {
    name,
    platform: PLATFORM,
    backend: PLATFORM,
    max_batch_size: isBatched ? (model.maxBatchRows ?? 0) : 0,
    input: model.inputs.list.map(toTensor),
    output: model.outputs.list.map(toTensor),
    ...(isBatched && { dynamic_batching: {} }),
    model_transaction_policy: { decoupled: model.isStream },
  };
}

function hasBatchAxis({ kind, list }: Ports): boolean {
  return kind !== 'json' && list.every(({ shape }) => shape[0] === -1);
}

function dataTypeOf(dtype: Dtype): string {
  return dtype === 'string' ? 'TYPE_STRING' : `TYPE_${DTYPES[dtype].oip}`;
}
