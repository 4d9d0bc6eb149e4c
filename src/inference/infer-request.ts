import type { Tensor } from '../tensor/index.js';
import type { Port } from './ports.js';

// One request of the Open Inference Protocol and its answer, whichever protocol carried them.

export type ParameterValue = boolean | number | bigint | string;
export type Parameters = Readonly<Record<string, ParameterValue>>;

export interface InferRequest {
  readonly modelName: string;
  /** Empty: the default version. */
  readonly modelVersion: string;
  /** The client's own, which the answer repeats; empty: none. */
  readonly id: string;
  readonly parameters: Parameters | undefined;
  readonly inputs: readonly InferInput[];
  /** Undefined: all. */
  readonly outputs: readonly RequestedOutput[] | undefined;
}

export interface InferInput {
  readonly name: string;
  readonly datatype: string;
  /** As it came: neither whole numbers nor a sane length is sure. */
  readonly shape: readonly number[];
  readonly parameters: Parameters | undefined;
  readonly elements: Elements;
}

export interface RequestedOutput {
  readonly name: string;
  readonly parameters: Parameters | undefined;
}

/** The elements of one input, in whichever form they came. */
export interface Elements {
  /**
   * @param port - the input that they are for; not one of a `json` model.
   * @param shape - fits the port, and is countable.
   * @throws {JubakoError} INVALID_INPUT - names the input, what was given and what was wanted.
   */
  readTensor(port: Port, shape: readonly number[]): Tensor;
  /** The same as the bytes of each element of a BYTES tensor. */
  readBytes(port: Port, shape: readonly number[]): readonly Buffer[];
}

export interface InferResponse {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  /** Those that the request asked for, in its order. */
  readonly outputs: readonly InferOutput[];
}

export interface InferOutput {
  readonly port: Port;
  readonly tensor: Tensor;
}
