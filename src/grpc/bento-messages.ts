import type { Int64 } from './protos.js';

// The messages of proto/bentoml-v1.proto and proto/bentoml-v1alpha1.proto as the loader gives and takes them; the two
// differ in `File.kind` alone. In requests a field that was not sent is absent.

/** google.protobuf.Value; without a kind it is null, as BentoML's clients send None. */
export interface Value {
  readonly kind?: 'nullValue' | 'numberValue' | 'stringValue' | 'boolValue' | 'structValue' | 'listValue';
  /** 0, or its name. */
  readonly nullValue?: number | string;
  readonly numberValue?: number;
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly structValue?: Struct;
  readonly listValue?: { readonly values?: readonly Value[] };
}

/** google.protobuf.Struct */
export interface Struct {
  readonly fields?: Readonly<Record<string, Value>>;
}

export interface NdArrayValues {
  readonly float_values?: readonly number[];
  readonly double_values?: readonly number[];
  readonly string_values?: readonly string[];
  readonly bool_values?: readonly boolean[];
  readonly int32_values?: readonly number[];
  readonly int64_values?: readonly Int64[];
  readonly uint32_values?: readonly number[];
  readonly uint64_values?: readonly Int64[];
}

export type ValuesField = keyof NdArrayValues;

export interface NdArray extends NdArrayValues {
  /** Name of the enum value; a number where the enum has no such value. */
  readonly dtype?: string | number;
  readonly shape?: readonly number[];
}

export interface File {
  readonly content?: Buffer;
  /** In v1 a media type; in v1alpha1 the name of an enum value, or a number where the enum has no such value. */
  readonly kind?: string | number;
}

export interface SeriesValues {
  readonly bool_values?: readonly boolean[];
  readonly float_values?: readonly number[];
  readonly int32_values?: readonly number[];
  readonly int64_values?: readonly Int64[];
  readonly double_values?: readonly number[];
  readonly string_values?: readonly string[];
}

export type SeriesField = keyof SeriesValues;

export interface DataFrame {
  readonly column_names?: readonly string[];
  readonly columns?: readonly SeriesValues[];
}

export type ContentField =
  'serialized_bytes' | 'ndarray' | 'dataframe' | 'series' | 'file' | 'text' | 'json' | 'multipart';

/** What Request, Response and Part have in common. */
export interface Content {
  readonly serialized_bytes?: Buffer;
  readonly ndarray?: NdArray;
  readonly dataframe?: DataFrame;
  readonly series?: SeriesValues;
  readonly file?: File;
  readonly text?: { readonly value?: string };
  readonly json?: Value;
}

export interface Part extends Content {
  /** Which field is given. */
  readonly representation?: Exclude<ContentField, 'multipart'>;
}

export interface Multipart {
  readonly fields?: Readonly<Record<string, Part>>;
}

export interface CallRequest extends Content {
  readonly api_name?: string;
  /** Which field is given. */
  readonly content?: ContentField;
  readonly multipart?: Multipart;
}

export type CallResponse = Content | { readonly multipart: Multipart };

export interface DescriptorMetadata {
  readonly descriptor_id: string;
  readonly attributes: Struct;
}

export interface InferenceApi {
  readonly name: string;
  readonly input: DescriptorMetadata;
  readonly output: DescriptorMetadata;
  readonly docs?: string;
}

export interface ServiceMetadataResponse {
  readonly name: string;
  readonly apis: readonly InferenceApi[];
  readonly docs: string;
}
