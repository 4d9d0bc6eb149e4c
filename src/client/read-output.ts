import type { DescriptorSpec } from '../descriptor/descriptor.js';
import { tableFromJson } from '../descriptor/table-json.js';
import type { NumericDtype } from '../tensor/dtype.js';
import { parseDtype, tensorFromBytes } from '../tensor/tensor.js';
import { utf8 } from '../tensor/utf8.js';
import { decodeValue } from '../tensor/value-decoder.js';
import { VALUE_TYPE } from '../tensor/value-stream.js';
import type { CallLimits } from './call-limits.js';
import { unreadable } from './client-error.js';
import { readBytes } from './http-exchange.js';
import { BYTES_TYPE, DTYPE_HEADER, JSON_TYPE, SHAPE_HEADER } from './wire-names.js';

// The answer of an API → the value that its handler gave.

/** The form that an answer is asked for in. */
export function acceptOf(spec: DescriptorSpec): string {
  switch (spec.kind) {
    case 'json':
    case 'table':
      return JSON_TYPE;
    case 'tensor':
      return spec.dtype === 'string' ? VALUE_TYPE : BYTES_TYPE;
    case 'text':
    case 'bytes':
      return spec.mediaType;
    case 'tensors':
    case 'file':
    case 'image':
    case 'multipart':
    default: // a kind of a later version
      return VALUE_TYPE;
  }
}

/** @throws {ClientError} INTERNAL - the answer isn't in the form that was asked for. */
export async function readOutput(spec: DescriptorSpec, response: Response, limits: CallLimits): Promise<unknown> {
  const bytes = await readBytes(response, limits);
  const wanted = acceptOf(spec);
  const given = mediaTypeOf(response);
  if (given !== wanted) throw unreadable(response, `it is "${given}", wanted "${wanted}"`);
  try {
    return read(spec, bytes, response.headers);
  } catch (thrown) {
    throw unreadable(response, (thrown as Error).message, thrown);
  }
}

function read(spec: DescriptorSpec, bytes: Uint8Array, headers: Headers): unknown {
  switch (spec.kind) {
    case 'json':
      return JSON.parse(textOf(bytes));
    case 'table':
      return fromValue(spec, JSON.parse(textOf(bytes)));
    case 'tensor':
      return spec.dtype === 'string' ? decodeValue(bytes) : readTensor(bytes, headers);
    case 'text':
      return textOf(bytes);
    case 'bytes':
      return bytes;
    case 'tensors':
    case 'file':
    case 'image':
    case 'multipart':
    default:
      return fromValue(spec, decodeValue(bytes));
  }
}

/** What travels as JSON, alone or inside a value, and is more than that. */
function fromValue(spec: DescriptorSpec, value: unknown): unknown {
  if (spec.kind === 'table') return tableFromJson({ types: spec.columns, maxRows: null }, value);
  if (spec.kind !== 'multipart') return value;
  const parts = Object.entries(value as Readonly<Record<string, unknown>>);
  return Object.fromEntries(
    parts.map(([name, part]) => {
      const field = spec.fields[name];
      return [name, field === undefined ? part : fromValue(field, part)];
    }),
  );
}

function readTensor(bytes: Uint8Array, headers: Headers): unknown {
  const dtype = parseDtype(headers.get(DTYPE_HEADER) ?? '', `header ${DTYPE_HEADER}`);
  const shape = headers.get(SHAPE_HEADER) ?? '';
  return tensorFromBytes(dtype as NumericDtype, shape === '' ? [] : shape.split(',').map(Number), bytes);
}

function textOf(bytes: Uint8Array): string {
  return utf8.read(bytes, 0, bytes.byteLength);
}

/** Lower case, without parameters. */
function mediaTypeOf(response: Response): string {
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  return type.trim().toLowerCase();
}
