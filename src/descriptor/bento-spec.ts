import type { Dtype } from '../tensor/index.js';
import type {
  ColumnType,
  DescriptorSpec,
  FileSpec,
  ImageSpec,
  OutputSpec,
  TableSpec,
  TensorSpec,
} from './descriptor.js';

// Descriptors as those of BentoML: their id and the arguments that BentoML's clients make them with again.
// B1 What stands here is what a client needs to write what is taken and to read what is given, not all that is checked.

export interface BentoSpec {
  readonly id: string;
  readonly args: BentoArgs;
}

type BentoArgs = Readonly<Record<string, unknown>>;

/** Where the two protocols of BentoML's clients differ. */
export interface BentoForm {
  /** Several named tensors: over HTTP they come and go as one JSON object, over gRPC as parts. */
  readonly tensors: 'json' | 'multipart';
  /** Streams: over HTTP the client gets the whole as one text, over gRPC value by value, by another call. */
  readonly streams: 'text' | 'values';
  /** BentoML reads and writes tables over gRPC by columns only. */
  readonly orient: 'records' | 'columns';
  /** The NumPy dtype that a client makes its arrays of. */
  numpyDtype(dtype: Dtype): string;
}

export type Side = 'input' | 'output';

export function bentoSpec(side: Side, spec: OutputSpec, form: BentoForm): BentoSpec {
  switch (spec.kind) {
    case 'json':
      return JSON_SPEC;
    case 'tensor':
      return arraySpec(spec, form);
    case 'tensors':
      return form.tensors === 'json' ? JSON_SPEC : partsSpec(side, spec.fields, form);
    case 'text':
      return TEXT_SPEC;
    case 'bytes':
      return fileSpec(null);
    case 'file':
      return fileSpec(fileType(side, spec));
    case 'image':
      return imageSpec(side, spec);
    case 'table':
      return tableSpec(spec, form);
    case 'multipart':
      return partsSpec(side, spec.fields, form);
    case 'stream':
      return form.streams === 'text' ? TEXT_SPEC : bentoSpec(side, spec.of, form);
    default:
      return spec satisfies never;
  }
}

const JSON_SPEC: BentoSpec = {
  id: 'bentoml.io.JSON',
  args: { has_pydantic_model: false, has_json_encoder: false },
};
const TEXT_SPEC: BentoSpec = { id: 'bentoml.io.Text', args: {} };

function partsSpec(side: Side, fields: Readonly<Record<string, DescriptorSpec>>, form: BentoForm): BentoSpec {
  const inParts: BentoForm = { ...form, tensors: 'json' }; // there are no parts in parts
  const args = Object.entries(fields).map(([name, field]) => [name, bentoSpec(side, field, inParts)] as const);
  return { id: 'bentoml.io.Multipart', args: Object.fromEntries(args) };
}

function arraySpec({ dtype, shape }: TensorSpec, form: BentoForm): BentoSpec {
  return {
    id: 'bentoml.io.NumpyNdarray',
    args: {
      dtype: form.numpyDtype(dtype),
      shape,
      // Clients would refuse int64 for a uint32, although every value may fit; here each value is looked at.
      enforce_dtype: false,
      enforce_shape: true,
    },
  };
}

/** @param mediaType - the one that clients send, and the only one that they take; null: any. */
function fileSpec(mediaType: string | null): BentoSpec {
  return { id: 'bentoml.io.File', args: { kind: 'binaryio', mime_type: mediaType } };
}

/** Clients have to send a type where not every one is taken; what they take must be what is given. */
function fileType(side: Side, { mediaTypes }: FileSpec): string | null {
  const concrete = mediaTypes.filter((type) => !type.endsWith('*'));
  const isCertain = side === 'input' || (concrete.length === 1 && mediaTypes.length === 1);
  return isCertain ? (concrete[0] ?? null) : null;
}

/** What every version of the client's image library reads; it refuses a descriptor that names others. */
const PILLOW_TYPES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/tiff', 'image/bmp']);
const PILLOW_MODES = { 1: 'L', 3: 'RGB', 4: 'RGBA' } as const;
/** The best first: what clients send loses nothing, and an alpha channel least of all. */
const SENT_TYPES = ['image/png', 'image/webp', 'image/jpeg'];

function imageSpec(side: Side, { channels, mediaTypes, mediaType }: ImageSpec): BentoSpec {
  const known = (side === 'input' ? mediaTypes : [mediaType]).filter((type) => PILLOW_TYPES.has(type));
  const written = side === 'input' ? (SENT_TYPES.find((type) => known.includes(type)) ?? known[0]) : known[0];
  if (written === undefined) return fileSpec(side === 'input' ? (mediaTypes[0] ?? null) : null);
  return {
    id: 'bentoml.io.Image',
    args: { pilmode: PILLOW_MODES[channels], mime_type: written, allowed_mime_types: known },
  };
}

const COLUMN_DTYPES: Readonly<Record<ColumnType, string>> = {
  string: 'object',
  bool: 'bool',
  int32: 'int32',
  int64: 'int64',
  float32: 'float32',
  float64: 'float64',
};

function tableSpec({ columns }: TableSpec, { orient }: BentoForm): BentoSpec {
  const names = columns === null ? null : Object.keys(columns);
  const dtypes = Object.entries(columns ?? {}).map(([name, type]) => [name, COLUMN_DTYPES[type]] as const);
  return {
    id: 'bentoml.io.PandasDataFrame',
    args: {
      orient,
      columns: names,
      dtype: names === null ? null : Object.fromEntries(dtypes),
      shape: null,
      enforce_dtype: names !== null, // else a client would make numbers of texts that look like some
      enforce_shape: false,
      default_format: 'json',
    },
  };
}
