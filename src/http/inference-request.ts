import type { IncomingHttpHeaders } from 'node:http';
import { JubakoError } from '../errors.js';
import { parseJson } from '../descriptor/json-value.js';
import { preview } from '../descriptor/preview.js';
import type {
  InferInput,
  InferRequest,
  Parameters,
  ParameterValue,
  RequestedOutput,
} from '../inference/infer-request.js';
import { JsonElements, JsonText } from '../inference/json-elements.js';
import type { Model } from '../inference/models.js';
import { flagOf, refuseTensorParameters } from '../inference/parameters.js';
import { RawElements, unreadable } from '../inference/raw-elements.js';
import { wholeBodyInput } from './inference-whole-body.js';
import type { Body } from './request-body.js';

// A body of the Open Inference Protocol over HTTP: JSON, and behind it the raw elements of the inputs that say so by
// `binary_data_size`, in their order (the binary tensor data extension).
// B1 Raw elements are not copied: a tensor holds the pieces of the body that are its own.

/** In lower case; how many bytes of the body are JSON. */
const JSON_LENGTH_HEADER = 'inference-header-content-length';

/** What the client asked for: a request, and which outputs shall come as raw elements. */
export interface HttpInferRequest {
  readonly request: InferRequest;
  isBinary(output: string): boolean;
}

/**
 * @param name - of the model, as the client calls it. @param version - empty: none was named.
 * @throws {JubakoError} INVALID_INPUT - names what does not fit.
 */
export function readInferRequest(
  model: Model,
  { name, version }: { readonly name: string; readonly version: string },
  headers: IncomingHttpHeaders,
  body: Body,
): HttpInferRequest {
  const jsonBytes = jsonLengthOf(headers, body.byteLength);
  const chunks = new ChunkCursor(body.chunks);
  const head = { modelName: name, modelVersion: version };
  if (jsonBytes === 0 && headers[JSON_LENGTH_HEADER] !== undefined) {
    const inputs = [wholeBodyInput(model, body)];
    return { request: { ...head, id: '', parameters: undefined, inputs, outputs: undefined }, isBinary: () => true };
  }
  const text = jsonBytes === body.byteLength ? body.bytes() : joined(chunks.take(jsonBytes));
  const json = objectOf(parseJson(text), 'the body');
  if (jsonBytes === body.byteLength) chunks.take(jsonBytes);
  const parameters = toParameters(json['parameters'], 'request');
  const inputs = readInputs(json['inputs'], chunks, new JsonText(text));
  const outputs = readOutputs(json['outputs']);
  return {
    request: { ...head, id: idOf(json['id']), parameters, inputs, outputs },
    isBinary: binaryOutputs(parameters, outputs),
  };
}

function jsonLengthOf(headers: IncomingHttpHeaders, bodyBytes: number): number {
  const given = headers[JSON_LENGTH_HEADER];
  if (given === undefined) return bodyBytes;
  const length = /^\d{1,15}$/.test(String(given)) ? Number(given) : NaN;
  if (length <= bodyBytes) return length;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot use the header Inference-Header-Content-Length "${String(given)}": wanted a number of bytes up to ${bodyBytes}, the length of the body`,
  );
}

function readInputs(json: unknown, chunks: ChunkCursor, text: JsonText): readonly InferInput[] {
  const list = listOf(json, 'inputs');
  const inputs = list.map((item, i): InferInput => {
    const input = objectOf(item, `input ${i}`);
    const name = textOf(input['name'], `the name of input ${i}`);
    const parameters = toParameters(input['parameters'], `input "${name}"`);
    return {
      name,
      datatype: textOf(input['datatype'], `the datatype of the input "${name}"`),
      shape: shapeOf(name, input['shape']),
      parameters,
      elements: elementsOf(name, input['data'], parameters, chunks, () => exactData(text, i)),
    };
  });
  if (chunks.left > 0) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read the body: it has ${chunks.left} bytes more than its inputs say by binary_data_size`,
    );
  }
  return inputs;
}

function elementsOf(
  name: string,
  data: unknown,
  parameters: Parameters | undefined,
  chunks: ChunkCursor,
  exact: () => unknown,
): InferInput['elements'] {
  const binaryBytes = parameters?.['binary_data_size'];
  if (binaryBytes === undefined) {
    if (data === undefined) {
      refuseTensorParameters(`input "${name}"`, parameters); // one of them says where the elements are
      throw unreadable(name, 'it has neither data nor the parameter binary_data_size');
    }
    return new JsonElements(data, exact);
  }
  if (data !== undefined)
    throw unreadable(name, 'it has data beside the parameter binary_data_size; wanted one of them');
  if (typeof binaryBytes !== 'number' || !Number.isSafeInteger(binaryBytes) || binaryBytes < 0)
    throw unreadable(name, `its binary_data_size is ${preview(binaryBytes)}; wanted a number of bytes`);
  if (binaryBytes > chunks.left)
    throw unreadable(name, `its binary_data_size is ${binaryBytes}, the body has ${chunks.left} bytes left`);
  return new RawElements(chunks.take(binaryBytes)); // B1
}

function exactData(text: JsonText, index: number): unknown {
  const { inputs } = text.exact as { readonly inputs: readonly { readonly data: unknown }[] };
  return inputs[index]?.data;
}

function readOutputs(json: unknown): readonly RequestedOutput[] | undefined {
  if (json === undefined || json === null) return undefined;
  const list = listOf(json, 'outputs').map((item, i): RequestedOutput => {
    const output = objectOf(item, `output ${i}`);
    const name = textOf(output['name'], `the name of output ${i}`);
    return { name, parameters: toParameters(output['parameters'], `output "${name}"`) };
  });
  return list.length === 0 ? undefined : list;
}

function binaryOutputs(
  parameters: Parameters | undefined,
  outputs: readonly RequestedOutput[] | undefined,
): (output: string) => boolean {
  const otherwise = flagOf(parameters, 'binary_data_output') ?? false;
  const byName = new Map<string, boolean>();
  for (const output of outputs ?? []) {
    const flag = flagOf(output.parameters, 'binary_data');
    if (flag !== undefined) byName.set(output.name, flag);
  }
  return byName.size === 0 ? () => otherwise : (name) => byName.get(name) ?? otherwise;
}

function idOf(json: unknown): string {
  return json === undefined || json === null ? '' : textOf(json, 'the id');
}

function shapeOf(name: string, json: unknown): readonly number[] {
  if (Array.isArray(json) && json.every((size) => typeof size === 'number')) return json;
  throw unreadable(name, `its shape is ${preview(json)}; wanted a list of whole numbers`);
}

/** @throws {JubakoError} INVALID_INPUT - a value is neither boolean, number nor text. */
export function toParameters(json: unknown, what: string): Parameters | undefined {
  if (json === undefined || json === null) return undefined;
  const parameters: Record<string, ParameterValue> = {};
  for (const [name, value] of Object.entries(objectOf(json, `the parameters of the ${what}`))) {
    if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') parameters[name] = value;
    else if (value !== null) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot use the parameter "${name}" of the ${what}, which is ${preview(value)}: wanted a boolean, a number or a text`,
      );
    }
  }
  return parameters;
}

/** @throws {JubakoError} INVALID_INPUT */
export function objectOf(json: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new JubakoError('INVALID_INPUT', `Cannot read ${what}: it is ${preview(json)}; wanted an object`);
}

function listOf(json: unknown, what: string): readonly unknown[] {
  if (Array.isArray(json)) return json;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot read the ${what}: they are ${preview(json)}; wanted a list of objects`,
  );
}

function textOf(json: unknown, what: string): string {
  if (typeof json === 'string') return json;
  throw new JubakoError('INVALID_INPUT', `Cannot read ${what}: it is ${preview(json)}; wanted a text`);
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks;
  return only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks);
}

/** Hands out a body piece by piece. */
class ChunkCursor {
  readonly #chunks: readonly Buffer[];
  #index = 0;
  #at = 0;
  left = 0;

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks;
    for (const { byteLength } of chunks) this.left += byteLength;
  }

  /** The next `length` bytes, of which there are as many. */
  take(length: number): Buffer[] {
    const taken: Buffer[] = [];
    let wanted = length;
    while (wanted > 0) {
      const chunk = this.#chunks[this.#index] as Buffer;
      const part = chunk.subarray(this.#at, this.#at + wanted);
      taken.push(part);
      wanted -= part.byteLength;
      this.#at += part.byteLength;
      if (this.#at === chunk.byteLength) {
        this.#index += 1;
        this.#at = 0;
      }
    }
    this.left -= length;
    return taken;
  }
}
