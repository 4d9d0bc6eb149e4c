import { JubakoError } from '../errors.js';
import type { ApiInput } from '../descriptor/api-input.js';
import type { Descriptor, DescriptorSpec } from '../descriptor/descriptor.js';
import { parseJson } from '../descriptor/json-value.js';
import type { Tensor } from '../tensor/index.js';
import { readFile, toFile, type FileKinds } from './bento-file.js';
import type { CallRequest, CallResponse, Content, ContentField, Part } from './bento-messages.js';
import { readNdArray, readRawTensor, toNdArray } from './bento-ndarray.js';
import { readDataFrame, readSeries, toDataFrame } from './bento-table.js';
import { fromValue, toValue, wellFormed } from './bento-value.js';

// Between the content of Request and Response, of parts too, and the values of an API's descriptors. Pure.

type Kind = DescriptorSpec['kind'];

const ACCEPTED: Readonly<Record<Kind, string>> = {
  json: 'json, text or serialized_bytes (UTF-8 JSON)',
  tensor: 'ndarray, serialized_bytes (raw little-endian elements) or json',
  tensors: 'multipart or json',
  text: 'text, serialized_bytes (UTF-8) or json',
  bytes: 'serialized_bytes, file or json (base64)',
  file: 'file, serialized_bytes or json',
  image: 'file, serialized_bytes or json',
  table: 'dataframe, series, file (CSV, Arrow) or json',
  multipart: 'multipart or json',
};

const NO_BYTES = Buffer.alloc(0);

/**
 * The content of a request as its API takes it.
 * @throws {JubakoError} INVALID_INPUT - names the field, what it gave and what is accepted.
 */
export function readContent(api: string, input: Descriptor, request: CallRequest, kinds: FileKinds): ApiInput {
  const { content: field } = request;
  if (field === 'multipart' && input.parts !== undefined)
    return { form: 'parts', parts: readParts(input.parts, request.multipart?.fields, kinds) };
  return (
    readField(field ?? 'content', input.spec, field, request, kinds) ??
    refuse(`the content for the API "${api}"`, input.spec, field)
  );
}

function readParts(
  descriptors: Readonly<Record<string, Descriptor>>,
  fields: Readonly<Record<string, Part>> = {},
  kinds: FileKinds,
): Readonly<Record<string, ApiInput>> {
  const parts: Record<string, ApiInput> = {};
  for (const name of Object.keys(fields)) {
    const descriptor = Object.hasOwn(descriptors, name) ? descriptors[name] : undefined;
    if (descriptor === undefined) {
      const known = Object.keys(descriptors).join(', ');
      throw new JubakoError('INVALID_INPUT', `Cannot read multipart: it has the part "${name}"; wanted ${known}`);
    }
    const what = `the part "${name}"`;
    const part = fields[name] as Part;
    const field = part.representation;
    parts[name] = readField(what, descriptor.spec, field, part, kinds) ?? refuse(what, descriptor.spec, field);
  }
  return parts;
}

function refuse(what: string, { kind }: DescriptorSpec, field: ContentField | undefined): never {
  const given = field === undefined ? 'it is empty' : `it is ${field}`;
  throw new JubakoError('INVALID_INPUT', `Cannot read ${what}: ${given}; wanted ${ACCEPTED[kind]}`);
}

/** Undefined where values of this kind aren't read from this field. */
function readField(
  what: string,
  spec: DescriptorSpec,
  field: ContentField | undefined,
  given: Content,
  kinds: FileKinds,
): ApiInput | undefined {
  switch (field) {
    case 'json':
      return { form: 'json', json: fromValue(given.json ?? {}) };
    case 'serialized_bytes':
      return readBytes(what, spec, given.serialized_bytes ?? NO_BYTES);
    case 'text':
      if (spec.kind === 'json') return { form: 'json', json: given.text?.value ?? '' };
      return spec.kind === 'text' ? { form: 'value', value: given.text?.value ?? '' } : undefined;
    case 'ndarray':
      return spec.kind === 'tensor'
        ? { form: 'value', value: readNdArray(what, spec, given.ndarray ?? {}) }
        : undefined;
    case 'file':
      return TAKES_FILES.has(spec.kind) ? { form: 'media', media: readFile(what, given.file ?? {}, kinds) } : undefined;
    case 'dataframe':
      return spec.kind === 'table' ? readDataFrame(what, spec, given.dataframe ?? {}) : undefined;
    case 'series':
      return spec.kind === 'table' ? readSeries(what, spec, given.series ?? {}) : undefined;
    case 'multipart':
    case undefined:
      return undefined;
    default:
      return field satisfies never;
  }
}

const TAKES_FILES: ReadonlySet<Kind> = new Set<Kind>(['bytes', 'file', 'image', 'table']);

function readBytes(what: string, spec: DescriptorSpec, bytes: Buffer): ApiInput | undefined {
  switch (spec.kind) {
    case 'json':
      return { form: 'json', json: parseJson(bytes, what) };
    case 'tensor':
      return { form: 'value', value: readRawTensor(what, spec, bytes) };
    case 'text':
    case 'bytes':
    case 'file':
    case 'image':
      return { form: 'media', media: { mediaType: '', bytes } };
    case 'table':
    case 'tensors':
    case 'multipart':
      return undefined;
    default:
      return spec satisfies never;
  }
}

/**
 * The output of an API as its answer; the invoker has checked it. A promise where it has to be encoded elsewhere.
 * @throws {JubakoError} USER_CODE - the output can't be written.
 */
export function writeContent(
  api: string,
  output: Descriptor,
  value: unknown,
  kinds: FileKinds,
): CallResponse | Promise<CallResponse> {
  const fail = (thrown: unknown): never => {
    const { message } = JubakoError.from(thrown);
    const form = output.spec.kind === 'json' ? 'JSON' : output.spec.kind;
    throw new JubakoError('USER_CODE', `Cannot write the output of the API "${api}" as ${form}: ${message}`, {
      cause: thrown,
    });
  };
  try {
    const content = output.parts === undefined ? toContent(output, value, kinds) : toMultipart(output, value, kinds);
    return content instanceof Promise ? content.catch(fail) : content;
  } catch (thrown) {
    return fail(thrown);
  }
}

async function toMultipart({ parts = {} }: Descriptor, value: unknown, kinds: FileKinds): Promise<CallResponse> {
  const values = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(parts).filter((name) => values[name] !== undefined); // the others are optional
  const contents = await Promise.all(
    names.map(async (name) => toContent(parts[name] as Descriptor, values[name], kinds)),
  );
  return { multipart: { fields: Object.fromEntries(names.map((name, i) => [name, contents[i] as Content])) } };
}

function toContent(output: Descriptor, value: unknown, kinds: FileKinds): Content | Promise<Content> {
  const { spec } = output;
  switch (spec.kind) {
    case 'tensor':
      return { ndarray: toNdArray(value as Tensor) };
    case 'text':
      return { text: { value: wellFormed(value as string) } };
    case 'bytes': {
      const { buffer, byteOffset, byteLength } = value as Uint8Array;
      return { serialized_bytes: Buffer.from(buffer, byteOffset, byteLength) };
    }
    case 'file':
    case 'image':
      return toFileContent(output, value, kinds);
    case 'table':
      return { dataframe: toDataFrame(spec, value) };
    case 'json':
    case 'tensors':
    case 'multipart':
      return { json: toValue(output.toJson(value)) };
    default:
      return spec satisfies never;
  }
}

/** In the usual form of the descriptor. */
function toFileContent({ media }: Descriptor, value: unknown, kinds: FileKinds): Content | Promise<Content> {
  const [usual] = media?.gives ?? [];
  if (media === undefined || usual === undefined)
    throw new TypeError('Cannot write a file: it has no form beside JSON');
  const written = media.write(value, usual);
  return written instanceof Promise
    ? written.then((later) => ({ file: toFile(later, kinds) }))
    : { file: toFile(written, kinds) };
}
