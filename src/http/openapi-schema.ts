import type {
  ColumnType,
  DescriptorSpec,
  FileSpec,
  ItemSpec,
  MultipartSpec,
  TableSpec,
  TensorSpec,
} from '../descriptor/descriptor.js';
import { DTYPES } from '../tensor/index.js';
import { embedJsonSchema, placeIn, type OpenApiSchema } from './openapi-json-schema.js';

// Descriptors as schemas of the JSON in which their values come and go.
// O1 The schema may promise less than is checked, never more.

/** Of the value as an API takes it, or as it gives it: inputs have more forms. */
export type Side = 'input' | 'output';

/** @param place - where the schema will stand, for references inside it. */
export function schemaOf(side: Side, spec: DescriptorSpec | ItemSpec, place: string): OpenApiSchema {
  switch (spec.kind) {
    case 'json':
      return embedJsonSchema(spec.schema, place);
    case 'tensor':
      return tensorSchema(side, spec);
    case 'tensors':
      return objectSchema(
        Object.entries(spec.fields).map(([name, field]) => [name, tensorSchema(side, field)]),
        Object.keys(spec.fields),
      );
    case 'text':
      return { type: 'string', ...(spec.maxLength !== null && { maxLength: spec.maxLength }) };
    case 'bytes':
      return BASE64;
    case 'file':
      return fileSchema(side, spec);
    case 'image':
      return side === 'input'
        ? { anyOf: [BASE64, imageSchema(spec.mediaTypes)] }
        : imageSchema([...new Set([spec.mediaType, 'image/png'])]);
    case 'table':
      return tableSchema(side, spec);
    case 'multipart':
      return multipartSchema(side, spec, place);
    default:
      return spec satisfies never;
  }
}

const BASE64: OpenApiSchema = { type: 'string', contentEncoding: 'base64' };

function objectSchema(properties: readonly (readonly [string, unknown])[], required: readonly string[]): OpenApiSchema {
  return {
    type: 'object',
    ...(required.length > 0 && { required }),
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  };
}

function tensorSchema(side: Side, spec: TensorSpec): OpenApiSchema {
  const { dtype, shape } = spec;
  const element = elementSchema(side, spec);
  const nested = shape.reduceRight<OpenApiSchema>(
    (items, size) => ({ type: 'array', items, ...(size >= 0 && { minItems: size, maxItems: size }) }),
    element,
  );
  const what = `${dtype} tensor of shape [${shape.join(', ')}] (-1 is any size)`;
  if (side === 'output') return { ...nested, description: `${what}, as nested lists; axis 0 is the batch axis.` };
  const flat = { type: 'array', items: element };
  const flatObject = objectSchema(
    [
      [
        'shape',
        { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: shape.length, maxItems: shape.length },
      ],
      ['data', dtype === 'string' ? flat : { anyOf: [flat, BASE64] }],
    ],
    ['shape', 'data'],
  );
  return {
    description: `${what}: nested lists, or its shape beside a flat list or base64 of little-endian elements. Axis 0 is the batch axis.`,
    anyOf: [nested, flatObject],
  };
}

function elementSchema(side: Side, { dtype, allowNonFinite }: TensorSpec): OpenApiSchema {
  if (dtype === 'bool') return { type: 'boolean' };
  if (dtype === 'string') return { type: 'string' };
  const { isFloat, range, bytes } = DTYPES[dtype];
  if (isFloat || range === undefined) {
    const format = dtype === 'float32' ? 'float' : dtype === 'float64' ? 'double' : undefined;
    const hasNull = side === 'output' && allowNonFinite; // what JSON has no word for
    return { type: hasNull ? ['number', 'null'] : 'number', ...(format !== undefined && { format }) };
  }
  if (bytes === 8) return integer64(side, dtype === 'uint64');
  const [low, high] = range;
  return { type: 'integer', minimum: Number(low), maximum: Number(high) };
}

/** Beyond 2^53 as text; as numbers, 64-bit bounds would be rounded and so be wrong. */
function integer64(side: Side, isUnsigned = false): OpenApiSchema {
  // Of as many digits as the largest has, not all are small enough.
  const digits = (isUnsigned ? 20 : 19) - (side === 'input' ? 1 : 0);
  const text = { type: 'string', pattern: `^${isUnsigned ? '' : '-?'}\\d{1,${digits}}$` };
  const minimum = isUnsigned ? 0 : Number.MIN_SAFE_INTEGER;
  return { anyOf: [{ type: 'integer', format: 'int64', minimum, maximum: Number.MAX_SAFE_INTEGER }, text] };
}

const FILE_NAME: OpenApiSchema = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  // Neither folders nor control characters, neither "." nor "..".
  pattern: '^(?!\\.\\.?$)[^/\\\\\\u0000-\\u001f\\u007f]+$',
};

function fileSchema(side: Side, { mediaTypes }: FileSpec): OpenApiSchema {
  const isAny = mediaTypes.length === 0 || mediaTypes.includes('*/*');
  const required = side === 'output' ? ['name', 'mediaType', 'data'] : isAny ? ['data'] : ['mediaType', 'data'];
  return objectSchema(
    [
      ['name', FILE_NAME],
      ['mediaType', mediaTypeSchema(isAny ? ['*/*'] : mediaTypes)],
      ['data', BASE64],
    ],
    required,
  );
}

const TOKEN = '[a-z0-9!#$&^_.+-]+';

function mediaTypeSchema(patterns: readonly string[]): OpenApiSchema {
  if (!patterns.some((pattern) => pattern.endsWith('/*'))) return { type: 'string', enum: patterns };
  const alternatives = patterns.map((pattern) => {
    if (pattern === '*/*') return `${TOKEN}/${TOKEN}`;
    const escaped = pattern.replace(/[\^$.*+?()[\]{}|]/g, '\\$&');
    return pattern.endsWith('/*') ? `${escaped.slice(0, -2)}${TOKEN}` : escaped;
  });
  return { type: 'string', pattern: `^(?:${alternatives.join('|')})$` };
}

function imageSchema(mediaTypes: readonly string[]): OpenApiSchema {
  return objectSchema(
    [
      ['mediaType', { type: 'string', enum: mediaTypes }],
      ['data', BASE64],
    ],
    ['data'],
  );
}

function cellSchema(side: Side, type: ColumnType): OpenApiSchema {
  switch (type) {
    case 'string':
      return { type: 'string' };
    case 'bool':
      return { type: 'boolean' };
    case 'int32':
      return { type: 'integer', format: 'int32', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
    case 'int64':
      return integer64(side);
    case 'float32':
    case 'float64':
      return { type: ['number', 'null'], format: type === 'float32' ? 'float' : 'double' };
    default:
      return type satisfies never;
  }
}

const ANY_CELL: OpenApiSchema = { type: ['string', 'boolean', 'number', 'null'] };

function tableSchema(side: Side, { columns, maxRows }: TableSpec): OpenApiSchema {
  const limit = maxRows === null ? {} : { maxItems: maxRows };
  const names = Object.keys(columns ?? {});
  const cells = Object.entries(columns ?? {}).map(([name, type]) => [name, cellSchema(side, type)] as const);
  const row = columns === null ? { type: 'object', additionalProperties: ANY_CELL } : objectSchema(cells, names);
  const rows = { type: 'array', items: row, ...limit };
  if (side === 'output') return { ...rows, description: 'A table as a list of rows.' };
  const list = (items: OpenApiSchema): OpenApiSchema => ({ type: 'array', items, ...limit });
  const lists =
    columns === null
      ? { type: 'object', additionalProperties: list(ANY_CELL) }
      : objectSchema(
          cells.map(([name, cell]) => [name, list(cell)]),
          names,
        );
  return {
    description: 'A table as a list of rows, or as an object with a list per column, all of one length.',
    anyOf: [rows, lists],
  };
}

function multipartSchema(side: Side, { fields, optional }: MultipartSpec, place: string): OpenApiSchema {
  return objectSchema(
    Object.entries(fields).map(([name, field]) => [name, schemaOf(side, field, placeIn(place, 'properties', name))]),
    Object.keys(fields).filter((name) => !optional.includes(name)),
  );
}
