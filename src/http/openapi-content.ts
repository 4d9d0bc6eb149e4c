import type { Descriptor, DescriptorSpec } from '../descriptor/descriptor.js';
import { VALUE_TYPE } from '../tensor/value-stream.js';
import { isJsonFirst } from './content-form.js';
import { FORM_TYPE } from './multipart-reader.js';
import { placeIn, type OpenApiSchema } from './openapi-json-schema.js';
import { BINARY_TYPE, isBinaryTensor } from './tensor-headers.js';

// The media types of a request or an answer, each with its schema; the usual one first, as it is tried and answered.

export type Content = Readonly<Record<string, MediaTypeObject>>;

export interface MediaTypeObject {
  readonly schema: OpenApiSchema;
  readonly encoding?: Readonly<Record<string, { readonly contentType: string }>>;
  readonly example?: unknown;
  /** The schema of each value where the body is many. */
  readonly 'x-item-schema'?: OpenApiSchema;
}

export const JSON_TYPE = 'application/json';
/** Bytes as they are. 3.1 could leave the schema out; with it, tools offer a file to choose. */
export const BINARY: OpenApiSchema = { type: 'string', format: 'binary' };

/** @param place - of the schema of the JSON form. */
export function contentOf(side: 'input' | 'output', descriptor: Descriptor, place: string): Content {
  const { media, parts, spec } = descriptor;
  const json = [JSON_TYPE, { schema: { $ref: place } }] as const;
  const types = (side === 'input' ? media?.accepts : media?.gives) ?? [];
  const others: [string, MediaTypeObject][] = types.map((type) => [type, { schema: mediaSchema(spec) }]);
  if (isBinaryTensor(spec)) others.push([BINARY_TYPE, { schema: BINARY }]);
  if (parts !== undefined) others.push([FORM_TYPE, formContent(parts, spec, place)]);
  const value = [VALUE_TYPE, { schema: BINARY }] as const;
  const isFirst = isJsonFirst(descriptor) && spec.kind !== 'multipart';
  return Object.fromEntries(isFirst ? [json, ...others, value] : [...others, json, value]);
}

function mediaSchema(spec: DescriptorSpec): OpenApiSchema {
  if (spec.kind === 'table') return { type: 'string' };
  if (spec.kind !== 'text') return BINARY;
  return { type: 'string', ...(spec.maxLength !== null && { maxLength: spec.maxLength }) };
}

/** Each part in its usual form. */
function formContent(
  parts: Readonly<Record<string, Descriptor>>,
  spec: DescriptorSpec,
  place: string,
): MediaTypeObject {
  const properties: Record<string, OpenApiSchema> = {};
  const encoding: Record<string, { readonly contentType: string }> = {};
  for (const [name, part] of Object.entries(parts)) {
    const isJson = isJsonFirst(part);
    properties[name] = isJson ? { $ref: placeIn(place, 'properties', name) } : mediaSchema(part.spec);
    encoding[name] = { contentType: isJson ? JSON_TYPE : (part.media?.accepts ?? []).join(', ') };
  }
  const optional: readonly string[] = spec.kind === 'multipart' ? spec.optional : [];
  const required = Object.keys(parts).filter((name) => !optional.includes(name));
  return {
    schema: {
      type: 'object',
      ...(required.length > 0 && { required }),
      additionalProperties: false,
      properties,
    },
    encoding,
  };
}
