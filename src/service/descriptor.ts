import type { DescriptorSpec, OutputSpec, StreamSpec } from '../ipc/manifest.js';
import type { Tensor } from '../tensor/index.js';

export type {
  DescriptorSpec,
  JsonSchema,
  JsonSpec,
  OutputSpec,
  StreamSpec,
  TensorSpec,
  TensorsSpec,
} from '../ipc/manifest.js';

/**
 * What a value must look like, and how it is written as JSON. Protocol rooms speak to users' values only through this.
 * `T` is the type that handlers and models see.
 */
export interface Descriptor<T = unknown, Spec extends OutputSpec = DescriptorSpec> {
  readonly spec: Spec;
  /** Does once, before the first request, what would make the first request slow. */
  prepare?(): void;
  /**
   * A parsed JSON value → the value of the handler.
   * @throws {JubakoError} INVALID_INPUT - names the path, the value and what was wanted.
   */
  fromJson(json: unknown): T;
  /** The value of the handler → something that `JSON.stringify` can write. */
  toJson(value: T): unknown;
  /**
   * Checks a value that a handler or a model gave, or that arrived as a tensor.
   * @throws {JubakoError} INVALID_INPUT - the caller turns it into USER_CODE where the value is an output.
   */
  check(value: unknown): T;
}

/** Values one after another, each as `of` says; there is no JSON of the whole, so `fromJson` and `toJson` throw. */
export interface StreamDescriptor<T = unknown> extends Descriptor<AsyncIterable<T>, StreamSpec> {
  readonly of: Descriptor<T>;
}

/** The type behind a descriptor: `ValueOf<typeof tensor('float32', [-1, 64])>` is `Tensor<'float32'>`. */
export type ValueOf<D> = D extends Descriptor<infer T> ? T : never;

export type TensorFields = Readonly<Record<string, Tensor>>;
