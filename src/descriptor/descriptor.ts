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
  /**
   * Media types that can be written, the usual one first. One with a `*` where each value has a type of its own, as files
   * have: `write` tells which.
   */
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
  /** Does once, before the first request, what would make the first request slow. @throws {JubakoError} SERVICE_INVALID */
  prepare?(): void;
  /**
   * A parsed JSON value → the value of the handler; a promise where it is decoded elsewhere: images, and multiparts.
   * @throws {JubakoError} INVALID_INPUT, TOO_LARGE, UNSUPPORTED_MEDIA - names the path, the value and what was wanted.
   */
  fromJson(json: unknown): T | Promise<T>;
  /** The value of the handler → something that `JSON.stringify` can write; a promise of it where `fromJson` gives one. */
  toJson(value: T): unknown;
  /**
   * Values that their own descriptors in `parts` have read → the value of the handler.
   * @throws {JubakoError} INVALID_INPUT - which one is missing, or not known.
   */
  fromParts?(values: Readonly<Record<string, unknown>>): T;
  /**
   * Checks a value that a handler or a model gave, or that arrived in the form of the runner link; returns what stands for it.
   * @throws {JubakoError} INVALID_INPUT, TOO_LARGE - the caller turns it into USER_CODE where the value is an output.
   */
  check(value: unknown): T;
}

/** Whose JSON is read on the spot. All but `image()` and `multipart()` are. */
export interface SyncDescriptor<T = unknown, Spec extends OutputSpec = DescriptorSpec> extends Descriptor<T, Spec> {
  fromJson(json: unknown): T;
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

// What the typed client takes where a handler is given `T` rides on `T` itself, as the type of an optional property
// `'~client'` that no value ever has: a plain `T` fits wherever the marked one is wanted. `ClientInput` reads it.

/** `T`, for which the typed client takes a `C`. */
export type ClientAs<T, C> = T extends null | undefined ? T : T & { readonly '~client'?: C };

/** What the typed client takes where a handler is given `T`. */
export type ClientInput<T> = T extends unknown
  ? string extends keyof T
    ? T // of any key: no mark
    : '~client' extends keyof T
      ? T extends { readonly '~client'?: infer C }
        ? C
        : never
      : T
  : never;

/** A `Blob` or `File` of Node or of a browser, as far as it is needed: the types of neither are asked for. */
export interface BlobLike {
  readonly size: number;
  readonly type: string;
  /** Of files. */
  readonly name?: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}
