import { JubakoError } from '../errors.js';
import type { Descriptor, DescriptorSpec, TensorSpec, TensorsSpec } from '../descriptor/descriptor.js';
import { parseJson } from '../descriptor/json-value.js';
import type { Tensor } from '../tensor/index.js';
import type { CallRequest, CallResponse, Multipart, Part } from './bento-messages.js';
import { readNdArray, readRawTensor, toNdArray } from './bento-ndarray.js';
import { fromValue, toValue } from './bento-value.js';

// Between the content of Request and Response and the values of an API's descriptors. Pure.

/** What the invoker is given. */
export interface ContentInput {
  readonly input: unknown;
  readonly isJson: boolean;
}

const ACCEPTED: Readonly<Partial<Record<DescriptorSpec['kind'], string>>> = {
  json: 'json, text or serialized_bytes (UTF-8 JSON)',
  tensor: 'ndarray, serialized_bytes (raw little-endian elements) or json',
  tensors: 'multipart or json',
};

/**
 * The content of a request as its API takes it.
 * @throws {JubakoError} INVALID_INPUT - names the field, what it gave and what is accepted.
 */
export function readContent(api: string, spec: DescriptorSpec, request: CallRequest): ContentInput {
  if (request.content === 'json') return { input: fromValue(request.json ?? {}), isJson: true };
  switch (spec.kind) {
    case 'json':
      if (request.content === 'text') return { input: request.text?.value ?? '', isJson: true };
      if (request.content === 'serialized_bytes')
        return { input: parseJson(request.serialized_bytes ?? NO_BYTES, 'serialized_bytes'), isJson: true };
      break;
    case 'tensor': {
      const input = readTensor(request.content ?? 'content', spec, request.content, request);
      if (input !== undefined) return { input, isJson: false };
      break;
    }
    case 'tensors':
      if (request.content === 'multipart')
        return { input: readMultipart(spec, request.multipart ?? {}), isJson: false };
      break;
    default:
      break;
  }
  const given = request.content === undefined ? 'it is empty' : `it is ${request.content}`;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot read the content for the API "${api}": ${given}; wanted ${ACCEPTED[spec.kind] ?? 'json'}`,
  );
}

/**
 * The output of an API as its answer; the invoker has checked it.
 * @throws {JubakoError} USER_CODE - the output can't be written.
 */
export function writeContent(api: string, output: Descriptor, value: unknown): CallResponse {
  const { spec } = output;
  switch (spec.kind) {
    case 'json':
      return { json: writeJson(api, output, value) };
    case 'tensor':
      return { ndarray: toNdArray(value as Tensor) };
    case 'tensors': {
      const fields: Record<string, Part> = {};
      for (const name of Object.keys(spec.fields))
        fields[name] = { ndarray: toNdArray((value as Readonly<Record<string, Tensor>>)[name] as Tensor) };
      return { multipart: { fields } };
    }
    default:
      return { json: writeJson(api, output, value) };
  }
}

const NO_BYTES = Buffer.alloc(0);

/** Undefined where the field is none that holds a tensor. */
function readTensor(
  what: string,
  spec: TensorSpec,
  field: CallRequest['content'],
  given: CallRequest | Part,
): Tensor | undefined {
  switch (field) {
    case 'ndarray':
      return readNdArray(what, spec, given.ndarray ?? {});
    case 'serialized_bytes':
      return readRawTensor(what, spec, given.serialized_bytes ?? NO_BYTES);
    default:
      return undefined;
  }
}

/** A tensor per part; that none is missing is checked by the descriptor. */
function readMultipart(spec: TensorsSpec, { fields = {} }: Multipart): Readonly<Record<string, Tensor>> {
  const values: Record<string, Tensor> = {};
  for (const name of Object.keys(fields)) {
    const field = Object.hasOwn(spec.fields, name) ? spec.fields[name] : undefined;
    if (field === undefined) {
      const known = Object.keys(spec.fields).join(', ');
      throw new JubakoError('INVALID_INPUT', `Cannot read multipart: it has the part "${name}"; wanted ${known}`);
    }
    const part = fields[name] as Part;
    const tensor = readTensor(`the part "${name}"`, field, part.representation, part);
    if (tensor === undefined) {
      const given = part.representation === undefined ? 'it is empty' : `it is ${part.representation}`;
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot read the part "${name}": ${given}; wanted ndarray or serialized_bytes`,
      );
    }
    values[name] = tensor;
  }
  return values;
}

function writeJson(api: string, output: Descriptor, value: unknown): ReturnType<typeof toValue> {
  try {
    return toValue(output.toJson(value));
  } catch (thrown) {
    const { message } = JubakoError.from(thrown);
    throw new JubakoError('USER_CODE', `Cannot write the output of the API "${api}" as JSON: ${message}`, {
      cause: thrown,
    });
  }
}
