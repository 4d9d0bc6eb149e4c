import type { DescriptorSpec, ItemSpec, OutputSpec, StreamSpec } from '../ipc/manifest.js';
import type { Tensor } from '../tensor/index.js';

export type {
  BytesSpec,
  ColumnType,
  DescriptorSpec,
  FileSpec,
  ImageSpec,
  ItemSpec,
  JsonSchema,
  JsonSpec,
  MediaSpec,
  MethodOutputSpec,
  MultipartSpec,
  OutputSpec,
  PartSpec,
  StreamSpec,
  TableSpec,
  TensorSpec,
  TensorsSpec,
  TextSpec,
  ValueSpec,
} from '../ipc/manifest.js';

/** Bytes that say what they are, as the bodies of HTTP, the parts of forms and files do. */
export interface Media {
  /** In lower case, without parameters: `image/png`; empty: not said. */
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** `charset=utf-8` → `{ charset: 'utf-8' }`, names in lower case. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Without folders. */
  readonly fileName?: string;
}

/** The form that values have beside JSON. */
export interface MediaForm<T = unknown> {
  /** Media types that are read, the usual one first; `image/*` and `*\/*` stand for many. JSON isn't among them. */
  readonly accepts: readonly string[];
  /** Media types that can be written, the usual one first. */
  readonly gives: readonly string[];
  /**
   * @throws {JubakoError} INVALID_INPUT, TOO_LARGE, UNSUPPORTED_MEDIA - what does not fit, and what was wanted.
   */
  read(media: Media): T | Promise<T>;
  /** @param mediaType - one of `gives`. */
  write(value: T, mediaType: string): Media | Promise<Media>;
}

/**
 * What a value must look like, and how it is written as JSON. Protocol rooms speak to users' values only through this.
 * `T` is the type that handlers and models see.
 */
export interface Descriptor<T = unknown, Spec extends OutputSpec = DescriptorSpec> {
  readonly spec: Spec;
  /** Where values have a form beside JSON. */
  readonly media?: MediaForm<T>;
  /** Where a value is made of named ones: it can come and go as multipart/form-data. */
  readonly parts?: Readonly<Record<string, Descriptor>>;
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
export interface StreamDescriptor<T = unknown, Of extends ItemSpec = ItemSpec> extends Descriptor<
  AsyncIterable<T>,
  StreamSpec<Of>
> {
  readonly of: Descriptor<T, Of>;
}

/** The type behind a descriptor: `ValueOf<typeof tensor('float32', [-1, 64])>` is `Tensor<'float32'>`. */
export type ValueOf<D> = D extends Descriptor<infer T, OutputSpec> ? T : never;

export type TensorFields = Readonly<Record<string, Tensor>>;
