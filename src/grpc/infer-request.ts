import { JubakoError } from '../errors.js';
import type { InferInput, InferRequest, Parameters, ParameterValue } from '../inference/infer-request.js';
import { RawElements } from '../inference/raw-elements.js';
import type { InferInputTensor, InferParameter, ModelInferRequest, ParameterMap } from './infer-messages.js';
import type { Int64 } from './protos.js';
import { TypedElements } from './tensor-contents.js';

// The messages of requests → what the room `inference` works on.

const NO_INPUTS: readonly InferInputTensor[] = [];
const NO_RAW: readonly Buffer[] = [];
const NO_SHAPE: readonly Int64[] = [];

/** @throws {JubakoError} INVALID_INPUT - raw contents for some inputs only, or beside typed ones. */
export function toInferRequest(message: ModelInferRequest): InferRequest {
  const { inputs = NO_INPUTS, raw_input_contents: raw = NO_RAW } = message;
  if (raw.length > 0) checkRaw(inputs, raw.length);
  return {
    modelName: message.model_name ?? '',
    modelVersion: message.model_version ?? '',
    id: message.id ?? '',
    parameters: toParameters(message.parameters),
    inputs: inputs.map((input, i) => toInput(input, raw[i])),
    outputs: message.outputs?.map(({ name = '', parameters }) => ({ name, parameters: toParameters(parameters) })),
  };
}

function toInput(input: InferInputTensor, raw: Buffer | undefined): InferInput {
  const { name = '', datatype = '', shape = NO_SHAPE, parameters, contents } = input;
  return {
    name,
    datatype,
    shape: shape.map(toNumber),
    parameters: toParameters(parameters),
    elements: raw === undefined ? new TypedElements(contents) : new RawElements([raw]),
  };
}

function checkRaw(inputs: readonly InferInputTensor[], count: number): void {
  if (count !== inputs.length) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read raw_input_contents: it has ${count} entries; wanted ${inputs.length}, one for each input`,
    );
  }
  const typed = inputs.find(({ contents }) => contents !== undefined);
  if (typed === undefined) return;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot read the input "${typed.name ?? ''}": it has typed contents beside raw_input_contents; wanted one of them`,
  );
}

export function toParameters(map: ParameterMap | undefined): Parameters | undefined {
  if (map === undefined) return undefined;
  const parameters: Record<string, ParameterValue> = {};
  for (const [name, parameter] of Object.entries(map)) {
    const value = toValue(parameter);
    if (value !== undefined) parameters[name] = value;
  }
  return parameters;
}

function toValue(parameter: InferParameter): ParameterValue | undefined {
  const whole = parameter.int64_param ?? parameter.uint64_param;
  if (whole !== undefined) return toExact(whole);
  const { bool_param: flag, string_param: text, double_param: number, bytes_param: bytes } = parameter;
  return flag ?? text ?? number ?? (bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1'));
}

function toExact(value: Int64): number | bigint {
  const number = toNumber(value);
  if (Number.isSafeInteger(number)) return number;
  const high = BigInt(value.unsigned ? value.high >>> 0 : value.high);
  return (high << 32n) + BigInt(value.low >>> 0);
}

function toNumber({ low, high, unsigned }: Int64): number {
  return (unsigned ? high >>> 0 : high) * 2 ** 32 + (low >>> 0);
}
