import type { ModelConfig } from '../inference/model-info.js';
import type { Int64 } from './protos.js';
import type { TensorContents } from './tensor-contents.js';

// The messages of proto/inference.proto as the loader gives and takes them. In requests a field that was not sent is absent.

export interface NameAndVersion {
  readonly name?: string;
  readonly version?: string;
}

/** One of them, by the type of the value. */
export interface InferParameter {
  readonly bool_param?: boolean;
  readonly int64_param?: Int64;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: Int64;
  readonly bytes_param?: Uint8Array;
}

export type ParameterMap = Readonly<Record<string, InferParameter>>;

export interface InferInputTensor {
  readonly name?: string;
  readonly datatype?: string;
  readonly shape?: readonly Int64[];
  readonly parameters?: ParameterMap;
  readonly contents?: TensorContents;
}

export interface InferRequestedOutputTensor {
  readonly name?: string;
  readonly parameters?: ParameterMap;
}

export interface ModelInferRequest {
  readonly model_name?: string;
  readonly model_version?: string;
  readonly id?: string;
  readonly parameters?: ParameterMap;
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
  readonly parameters?: Readonly<Record<string, { readonly bool_param: boolean }>>;
  readonly outputs: readonly InferOutputTensor[];
  readonly raw_output_contents?: readonly Uint8Array[] | undefined;
}

export interface ModelStreamInferResponse {
  readonly error_message?: string;
  readonly infer_response: ModelInferResponse;
}

export interface ModelConfigResponse {
  readonly config: ModelConfig;
}

export interface StatisticDuration {
  readonly count: number;
  readonly ns: number;
}

export interface ModelStatisticsMessage {
  readonly name: string;
  readonly version: string;
  readonly last_inference: number;
  readonly inference_count: number;
  readonly execution_count: number;
  readonly inference_stats: Readonly<Record<string, StatisticDuration>>;
}

export interface RepositoryIndexRequest {
  readonly repository_name?: string;
  readonly ready?: boolean;
}

export interface RepositoryModelRequest {
  readonly repository_name?: string;
  readonly model_name?: string;
  readonly parameters?: ParameterMap;
}
