import type { Descriptor, DescriptorSpec, Media, TensorSpec } from '../descriptor/descriptor.js';
import type { ApiInput } from '../descriptor/api-input.js';
import { parseJson } from '../descriptor/json-value.js';
import { fitsMediaType } from '../descriptor/media-type.js';
import { JubakoError } from '../errors.js';
import { VALUE_TYPE } from '../tensor/value-stream.js';
import { hasOtherCharset, isJsonType, type MediaType } from './media-type.js';
import { readRawTensor, type TensorLabels } from './raw-tensor.js';
import type { Body } from './request-body.js';
import { BINARY_TYPE, isBinaryTensor } from './tensor-headers.js';
import { readValue } from './value-body.js';

// How the bytes of one value are read: of a whole body, or of a part of a form. The content type decides, and where it says
// nothing the descriptor does.

/** `unsaid`: media whose type nobody said. */
export type ContentForm = 'json' | 'value' | 'tensor' | 'media' | 'unsaid';

/** What clients send whose users did not say a type: curl for `--data`, others for any bytes. */
const UNSAID_TYPES = new Set([BINARY_TYPE, 'application/x-www-form-urlencoded']);

/** True where JSON is the usual form, although there may be others. */
export function isJsonFirst({ media, spec }: Descriptor): boolean {
  return media === undefined || spec.kind === 'table';
}

/**
 * @param type - undefined: none was sent.
 * @param isFile - it came with the name of a file, so `application/json` may be a file of JSON.
 * @returns undefined: none fits.
 */
export function contentFormOf(
  descriptor: Descriptor,
  type: MediaType | undefined,
  isFile: boolean,
): ContentForm | undefined {
  const { media, spec } = descriptor;
  if (type === undefined) return isJsonFirst(descriptor) ? 'json' : 'unsaid';
  const name = type.type;
  if (name === VALUE_TYPE) return 'value';
  if (name === BINARY_TYPE && isBinaryTensor(spec)) return 'tensor';
  if (media !== undefined) {
    if (media.accepts.includes(name)) return 'media';
    const fits = media.accepts.some((pattern) => fitsMediaType(name, pattern));
    if (fits && (isFile || name !== 'application/json')) return 'media';
    if (UNSAID_TYPES.has(name)) return 'unsaid';
  }
  if (spec.kind === 'json') return name.startsWith('multipart/') ? undefined : 'json';
  return isJsonType(name) || (name === 'text/plain' && isJsonFirst(descriptor)) ? 'json' : undefined;
}

/** For messages: the types that an input may have, the usual one first. */
export function acceptedTypes(descriptor: Descriptor): string {
  const { media, parts, spec } = descriptor;
  const types = [...(media?.accepts ?? []), ...(isBinaryTensor(spec) ? [BINARY_TYPE] : [])];
  if (isJsonFirst(descriptor)) types.unshift('application/json');
  else types.push('application/json');
  if (parts !== undefined) types.push('multipart/form-data');
  return [...new Set([...types, VALUE_TYPE])].join(' or ');
}

/** @throws {JubakoError} UNSUPPORTED_MEDIA */
export function refuseOtherCharset(type: MediaType | undefined, given: string | undefined): void {
  if (type === undefined || !hasOtherCharset(type)) return;
  throw new JubakoError('UNSUPPORTED_MEDIA', `Cannot read a body of content type "${given ?? ''}": JSON must be UTF-8`);
}

/** What is known of the bytes beside them. */
export interface ContentHead {
  readonly type: MediaType | undefined;
  readonly fileName: string | undefined;
  /** Of a raw tensor. */
  readonly labels: TensorLabels;
}

/** @throws {JubakoError} INVALID_INPUT - it is not in this form. */
export function readContent(form: ContentForm, spec: DescriptorSpec, body: Body, head: ContentHead): ApiInput {
  switch (form) {
    case 'json':
      return { form: 'json', json: parseJson(body.bytes()) };
    case 'value':
      return { form: 'value', value: readValue(body.bytes()) };
    case 'tensor':
      return { form: 'value', value: readRawTensor(body.chunks, head.labels, spec as TensorSpec) };
    case 'media':
      return { form: 'media', media: toMedia(body.bytes(), head.type, head.fileName) };
    case 'unsaid':
      return { form: 'media', media: toMedia(body.bytes(), undefined, head.fileName) };
    default:
      return form satisfies never;
  }
}

function toMedia(bytes: Uint8Array, type: MediaType | undefined, fileName: string | undefined): Media {
  const mediaType = type?.type ?? '';
  return {
    mediaType,
    bytes,
    ...(type !== undefined && { parameters: type.parameters }),
    ...(fileName !== undefined && { fileName }),
  };
}
