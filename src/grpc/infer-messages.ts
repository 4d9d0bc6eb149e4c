import type { Int64 } from './protos.js';
import type { TensorContents } from './tensor-contents.js';

// The messages of proto/inference.proto as the loader gives and takes them. In requests a field that was not sent is absent.

export interface NameAndVersion {
  readonly name?: string;
  readonly version?: string;
}

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface ModelMetadataResponse {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** One of them, by the type of the value. */
export interface InferParameter {
  readonly bool_param?: boolean;
  readonly int64_param?: Int64;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: Int64;
}

export interface InferInputTensor {
  readonly name?: string;
  readonly datatype?: string;
  readonly shape?: readonly Int64[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly contents?: TensorContents;
}

export interface InferRequestedOutputTensor {
  readonly name?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
}

export interface ModelInferRequest {
  readonly model_name?: string;
  readonly model_version?: string;
  readonly id?: string;
  readonly parameters?: Readonly<Record<string, InferParameter>>;
  readonly inputs?: readonly InferInputTensor[];
  readonly outputs?: readonly InferRequestedOutputTensor[];
  readonly raw_input_contents?: readonly Buffer[];
}

export interface InferOutputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly contents?: TensorContents;
}

export interface ModelInferResponse {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly outputs: readonly InferOutputTensor[];
  readonly raw_output_contents?: readonly Uint8Array[];
}
