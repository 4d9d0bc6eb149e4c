import { encodeBase64 } from '../descriptor/base64.js';
import type { ColumnType, Descriptor, DescriptorSpec, FileSpec, TensorSpec } from '../descriptor/descriptor.js';
import { fitsMediaType } from '../descriptor/media-type.js';
import { elementCount } from '../tensor/index.js';
import type { Content } from './openapi-content.js';
import { JSON_TYPE } from './openapi-content.js';
import { sampleOf, type Resolve } from './json-sample.js';
import { isJsonFirst } from './content-form.js';
import { FORM_TYPE } from './multipart-reader.js';
import { placeIn } from './openapi-json-schema.js';

// Requests that run: the example of the service, or one made up, as small as its descriptor allows.
// X1 What is made up has been read by the descriptor. That a handler likes it too, nobody can know.

/** Longer ones would be most of the document. */
const MAX_ELEMENTS = 1000;
const TEXT = 'Hello';
/** One grey pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==';

/**
 * The JSON of an input; undefined: none is known to be valid.
 * @param given - the example of the API.
 */
export async function exampleOf(input: Descriptor, given: unknown, place: string, resolve: Resolve): Promise<unknown> {
  if (given !== undefined) return given;
  const json = madeUp(input.spec, place, resolve);
  if (json === undefined) return undefined;
  try {
    await input.fromJson(json); // X1
    return json;
  } catch {
    return undefined; // it is only an example that is lost
  }
}

/** Puts the example into each content that can be written down: JSON, texts, and forms of those. */
export function withExamples(content: Content, input: Descriptor, example: unknown): Content {
  if (example === undefined) return content;
  const entries = Object.entries(content).map(([type, media]) => {
    if (type === JSON_TYPE) return [type, { ...media, example }] as const;
    const isText = input.spec.kind === 'text' && input.media?.accepts[0] === type;
    if (isText) return [type, { ...media, example }] as const;
    const isForm = type === FORM_TYPE && input.parts !== undefined && canBeWritten(input.parts, example);
    return [type, isForm ? { ...media, example } : media] as const;
  });
  return Object.fromEntries(entries);
}

function canBeWritten(parts: Readonly<Record<string, Descriptor>>, example: unknown): boolean {
  return Object.keys(example as object).every((name) => {
    const part = parts[name];
    return part !== undefined && (isJsonFirst(part) || part.spec.kind === 'text');
  });
}

function madeUp(spec: DescriptorSpec, place: string, resolve: Resolve): unknown {
  switch (spec.kind) {
    case 'json':
      return Object.keys(spec.schema).length === 0 ? undefined : sampleOf({ $ref: place }, resolve);
    case 'tensor':
      return tensorOfZeros(spec);
    case 'tensors':
      return eachOf(spec.fields, tensorOfZeros);
    case 'text':
      return TEXT.slice(0, spec.maxLength ?? undefined);
    case 'bytes':
      return encodeBase64(Buffer.from(TEXT.slice(0, spec.maxBytes ?? undefined)));
    case 'file':
      return textFile(spec);
    case 'image':
      return spec.mediaTypes.includes('image/png') ? PNG : undefined;
    case 'table':
      return spec.columns === null ? undefined : [eachOf(spec.columns, (type) => CELLS[type])];
    case 'multipart': {
      const required = Object.entries(spec.fields).filter(([name]) => !spec.optional.includes(name));
      return eachOf(Object.fromEntries(required), (field, name) =>
        madeUp(field, placeIn(place, 'properties', name), resolve),
      );
    }
    default:
      return spec satisfies never;
  }
}

/** Undefined where one of them is. */
function eachOf<T>(fields: Readonly<Record<string, T>>, make: (field: T, name: string) => unknown): unknown {
  const entries = Object.entries(fields).map(([name, field]) => [name, make(field, name)] as const);
  return entries.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(entries);
}

function tensorOfZeros({ dtype, shape }: TensorSpec): unknown {
  const sizes = shape.map((size) => (size === -1 ? 1 : size));
  if (elementCount(sizes) > MAX_ELEMENTS) return undefined;
  const element = dtype === 'string' ? TEXT : dtype === 'bool' ? false : 0;
  return sizes.reduceRight<unknown>((inner, size) => new Array<unknown>(size).fill(inner), element);
}

function textFile({ mediaTypes, maxBytes }: FileSpec): unknown {
  const isText = mediaTypes.length === 0 || mediaTypes.some((pattern) => fitsMediaType('text/plain', pattern));
  if (!isText) return undefined; // a text that is called a PDF would help nobody
  const data = encodeBase64(Buffer.from(TEXT.slice(0, maxBytes ?? undefined)));
  return { name: 'hello.txt', mediaType: 'text/plain', data };
}

const CELLS: Readonly<Record<ColumnType, unknown>> = {
  string: TEXT,
  bool: false,
  int32: 0,
  int64: 0,
  float32: 0,
  float64: 0,
};
