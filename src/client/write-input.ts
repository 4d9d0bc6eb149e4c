import type { BlobLike, DescriptorSpec, MultipartSpec } from '../descriptor/descriptor.js';
import { JubakoError } from '../errors.js';
import type { NumericDtype } from '../tensor/dtype.js';
import { bytesOf, isNumericTensor, isTensor, type Tensor } from '../tensor/tensor.js';
import { encodeValue } from '../tensor/value-encoder.js';
import { FORM_JSON } from '../tensor/value-layout.js';
import { VALUE_TYPE } from '../tensor/value-stream.js';
import type { RemoteApi } from './api-document.js';
import { ClientError } from './client-error.js';
import type { RequestBody } from './http-exchange.js';
import { attachment, BYTES_TYPE, DTYPE_HEADER, JSON_TYPE, SHAPE_HEADER } from './wire-names.js';

// The input of an API → the body that says it best: tensors, files, images and bytes as they are, JSON, tables and texts as
// such, forms as forms, all else as `application/vnd.jubako.value`, which every API reads.
// W1 Whether the value fits the descriptor is for the server to say; here it is only found out how it travels.

export interface WrittenInput {
  /** Without a content type where `fetch` makes one, as it does for forms. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: RequestBody;
}

/** @throws {ClientError} INVALID_INPUT - the value can't be sent. */
export async function writeInput({ name, input }: RemoteApi, value: unknown): Promise<WrittenInput> {
  try {
    return await write(input, value);
  } catch (thrown) {
    const { code, message } = JubakoError.from(thrown, 'INVALID_INPUT');
    throw new ClientError(code, `API "${name}": ${message}`, { cause: thrown });
  }
}

async function write(spec: DescriptorSpec, value: unknown): Promise<WrittenInput> {
  switch (spec.kind) {
    case 'json':
      return jsonBody(value);
    case 'table':
      return mediaBody(JSON_TYPE, JSON.stringify(value, withoutBigints));
    case 'tensor':
      return isTensor(value) && isNumericTensor(value) ? tensorBody(value) : valueBody(value);
    case 'text':
      return typeof value === 'string' ? textBody(value) : valueBody(value);
    case 'bytes': // under the type that the API names: under another one, such as that of a Blob, they may mean something else
      return isMedia(value) ? mediaBody(spec.mediaType, await bodyOf(value)) : valueBody(value);
    case 'image':
      return isMedia(value) ? mediaBody(imageTypeOf(value), await bodyOf(value)) : valueBody(value);
    case 'file':
      return fileBody(value);
    case 'multipart':
      return isRecord(value) ? formBody(spec, value) : jsonBody(value);
    case 'tensors':
    default: // a kind of a later version
      return valueBody(value);
  }
}

function jsonBody(value: unknown): WrittenInput {
  const { head } = encodeValue(value);
  if (head[0] !== FORM_JSON)
    throw new JubakoError('INVALID_INPUT', 'Cannot send tensors or bytes: its input is JSON, which has none');
  return mediaBody(JSON_TYPE, toOwn(head.subarray(1)));
}

/** As JSON where nothing in it needs more: lists of lists of numbers are tensors too. */
function valueBody(value: unknown): WrittenInput {
  const { head, parts, byteLength } = encodeValue(value);
  if (head[0] === FORM_JSON) return mediaBody(JSON_TYPE, toOwn(head.subarray(1)));
  const body = new Uint8Array(byteLength);
  let at = 0;
  for (const piece of [head, ...parts]) {
    body.set(piece, at);
    at += piece.byteLength;
  }
  return mediaBody(VALUE_TYPE, body);
}

function tensorBody(tensor: Tensor<NumericDtype>): WrittenInput {
  const headers = { [DTYPE_HEADER]: tensor.dtype, [SHAPE_HEADER]: tensor.shape.join(',') };
  return mediaBody(BYTES_TYPE, toOwn(bytesOf(tensor)), headers);
}

/** What a text body can't carry unchanged goes as JSON: a byte order mark would be taken away, half of a pair is no UTF-8. */
function textBody(text: string): WrittenInput {
  if (/^\uFEFF|\p{Surrogate}/u.test(text)) return jsonBody(text);
  return mediaBody('text/plain; charset=utf-8', text);
}

/** Always with a name: without one, a file of JSON would be taken for the JSON of a file. */
async function fileBody(value: unknown): Promise<WrittenInput> {
  const file = fileOf(value);
  if (file === undefined) return valueBody(value);
  return mediaBody(file.mediaType, await bodyOf(file.content), { 'content-disposition': attachment(file.name) });
}

async function formBody(spec: MultipartSpec, values: Readonly<Record<string, unknown>>): Promise<WrittenInput> {
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue; // optional
    form.append(name, ...(await partOf(spec.fields[name] ?? { kind: 'json', schema: {} }, value)));
  }
  return { headers: {}, body: form };
}

/** The headers of a part are its content type and no others. */
async function partOf(spec: DescriptorSpec, value: unknown): Promise<[Blob, string?]> {
  const file = spec.kind === 'file' ? fileOf(value) : undefined;
  if (file !== undefined) return [blobOf(file.mediaType, await bodyOf(file.content)), file.name];
  const { headers, body } = await (isTensor(value) ? valueBody(value) : write(spec, value));
  return [blobOf(headers['content-type'] ?? '', body)];
}

function blobOf(type: string, body: RequestBody): Blob {
  return new Blob([body as Exclude<RequestBody, FormData>], { type });
}

interface FileToSend {
  readonly name: string;
  readonly mediaType: string;
  readonly content: Uint8Array | BlobLike;
}

/** A Blob, a File, or `{ bytes, name?, mediaType? }`; undefined: none of these. */
function fileOf(value: unknown): FileToSend | undefined {
  if (isBlob(value)) return { name: value.name ?? 'file', mediaType: typeOr(BYTES_TYPE, value.type), content: value };
  if (!isRecord(value) || !(value['bytes'] instanceof Uint8Array)) return undefined;
  const { name = 'file', mediaType, bytes } = value as { bytes: Uint8Array; name?: string; mediaType?: string };
  return { name, mediaType: typeOr(BYTES_TYPE, mediaType), content: bytes };
}

/** What an image is, its bytes say. */
function imageTypeOf(value: Uint8Array | BlobLike): string {
  return value instanceof Uint8Array ? BYTES_TYPE : typeOr(BYTES_TYPE, value.type);
}

function typeOr(otherwise: string, type = ''): string {
  return type === '' ? otherwise : type;
}

function mediaBody(mediaType: string, body: RequestBody, headers: Readonly<Record<string, string>> = {}): WrittenInput {
  return { headers: { ...headers, 'content-type': mediaType }, body };
}

/** Blobs stay where they are, on a disk perhaps, until `fetch` sends them. */
async function bodyOf(content: Uint8Array | BlobLike): Promise<RequestBody> {
  if (content instanceof Uint8Array) return toOwn(content);
  return content instanceof Blob ? content : new Uint8Array(await content.arrayBuffer());
}

/** `fetch` takes no memory that threads share. */
function toOwn(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

function withoutBigints(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}

function isMedia(value: unknown): value is Uint8Array | BlobLike {
  return value instanceof Uint8Array || isBlob(value);
}

function isBlob(value: unknown): value is BlobLike {
  return isRecord(value) && typeof value['arrayBuffer'] === 'function';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
