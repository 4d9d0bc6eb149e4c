import { JubakoError } from '../errors.js';
import { parseJson } from '../descriptor/json-value.js';
import { preview } from '../descriptor/preview.js';
import type { Parameters, ParameterValue, RequestedOutput } from '../inference/infer-request.js';
import { flagOf } from '../inference/parameters.js';
import { unreadable } from '../inference/raw-elements.js';

// The JSON of an inference request without what it says about elements that are in it.
// H1 A client whose elements are not in its JSON sends the same JSON again and again: what such a text says is read once and
//    kept, the last few of them. Nothing of a head is ever changed.

/** Longer texts, and more of them, are not what H1 is about. */
const MAX_KEPT_BYTES = 1024;
const MAX_KEPT = 64;

/** One input; its elements are in `data` or in the body behind the JSON. */
export interface InputHead {
  readonly name: string;
  readonly datatype: string;
  /** As it came: neither whole numbers nor a sane length is sure. */
  readonly shape: readonly number[];
  readonly parameters: Parameters | undefined;
  readonly data: unknown;
}

export interface InferHead {
  /** Empty: none. */
  readonly id: string;
  readonly parameters: Parameters | undefined;
  readonly inputs: readonly InputHead[];
  /** Undefined: all. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  /** Whether an output shall come as raw elements. */
  readonly isBinary: (output: string) => boolean;
}

const kept = new Map<string, InferHead>();

/** The same as `readHead`, of the JSON before raw elements (H1). */
export function readKeptHead(text: Buffer): InferHead {
  if (text.length > MAX_KEPT_BYTES) return readHead(text);
  const key = text.toString('latin1');
  const known = kept.get(key);
  if (known !== undefined) return known;
  const head = readHead(text);
  if (head.id === '' && head.inputs.every(({ data }) => data === undefined)) {
    if (kept.size === MAX_KEPT) kept.clear();
    kept.set(key, head);
  }
  return head;
}

/** @throws {JubakoError} INVALID_INPUT - names what does not fit. */
export function readHead(text: Buffer): InferHead {
  const json = objectOf(parseJson(text), 'the body');
  const parameters = toParameters(json['parameters'], 'request');
  const inputs = listOf(json['inputs'], 'inputs').map(toInput);
  const outputs = readOutputs(json['outputs']);
  return { id: idOf(json['id']), parameters, inputs, outputs, isBinary: binaryOutputs(parameters, outputs) };
}

function toInput(item: unknown, i: number): InputHead {
  const input = objectOf(item, `input ${i}`);
  const name = textOf(input['name'], `the name of input ${i}`);
  const parameters = toParameters(input['parameters'], `input "${name}"`);
  return {
    name,
    datatype: textOf(input['datatype'], `the datatype of the input "${name}"`),
    shape: shapeOf(name, input['shape']),
    parameters,
    data: input['data'],
  };
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
  const given = objectOf(json, `the parameters of the ${what}`);
  for (const name of Object.keys(given)) {
    const value = given[name];
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
