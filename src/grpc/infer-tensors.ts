import { JubakoError } from '../errors.js';
import { fitsShape, formatShape, type Tensor } from '../tensor/index.js';
import type { InferInputTensor, InferOutputTensor, ModelInferRequest, ModelInferResponse } from './infer-messages.js';
import type { Model, Port, Ports } from '../inference/models.js';
import type { Int64 } from './protos.js';
import { isRawOnly, readBytesElements, readTensor, toContents, toRaw, type Elements } from './tensor-contents.js';

// Between the messages of ModelInfer and the values of a model's descriptors. Pure.

const NO_INPUTS: readonly InferInputTensor[] = [];
const NO_RAW: readonly Buffer[] = [];

/** Longer shapes are not looked at: no model has one, and an error would have to repeat it. */
const MAX_RANK = 32;

/** Parameters of Triton's extensions, which would change where the elements are or what they mean. */
const UNSERVED_PARAMETERS = ['shared_memory_region', 'classification'];

/**
 * The value of a model's input descriptor: a Tensor, or a record of Tensors. Not for `json` models.
 * @throws {JubakoError} INVALID_INPUT - names the tensor, what was given and what was wanted.
 */
export function readInput(model: Model, request: ModelInferRequest): unknown {
  const { inputs } = model;
  const given = checkInputs(inputs, request);
  const raw = request.raw_input_contents ?? NO_RAW;
  const values: Record<string, Tensor> = {};
  for (let i = 0; i < given.length; i += 1) {
    const input = given[i] as InferInputTensor;
    const port = portOf(inputs, input);
    if (Object.hasOwn(values, port.name))
      throw new JubakoError('INVALID_INPUT', `Cannot read the input "${port.name}": it is given twice`);
    const tensor = readTensor(port.name, port.dtype, shapeOf(port, input), elementsOf(port, input, raw[i]));
    if (inputs.kind === 'tensor') return tensor; // checkInputs: there is one
    values[port.name] = tensor;
  }
  return values;
}

/** The documents of a `json` model's input, one per element. @throws {JubakoError} INVALID_INPUT */
export function readDocuments(model: Model, request: ModelInferRequest): readonly Buffer[] {
  const [input = {}] = checkInputs(model.inputs, request);
  const port = portOf(model.inputs, input);
  return readBytesElements(port.name, shapeOf(port, input), elementsOf(port, input, request.raw_input_contents?.[0]));
}

/**
 * The outputs that the request asks for, in its order; all where it names none.
 * @throws {JubakoError} INVALID_INPUT - the model has no such output.
 */
export function requestedOutputs(model: Model, request: ModelInferRequest): readonly Port[] {
  const { outputs } = model;
  if (request.outputs === undefined) return outputs.list;
  return request.outputs.map((requested) => {
    const name = requested.name ?? '';
    const port = outputs.byName.get(name);
    if (port === undefined)
      throw new JubakoError('INVALID_INPUT', `Cannot give the output "${name}": the outputs are ${outputs.names}`);
    refuseParameters(`output "${name}"`, requested);
    return port;
  });
}

/** The answer: raw where the request was raw, or where an output has no typed form; never mixed. */
export function writeOutputs(
  request: ModelInferRequest,
  version: string,
  ports: readonly Port[],
  tensors: readonly Tensor[],
): ModelInferResponse {
  const isRaw = request.raw_input_contents !== undefined || ports.some((port) => isRawOnly(port.dtype));
  const head = { model_name: request.model_name ?? '', model_version: version, id: request.id ?? '' };
  const outputs: InferOutputTensor[] = ports.map((port, i) => {
    const tensor = tensors[i] as Tensor;
    const { name, datatype } = port;
    const { shape } = tensor;
    return isRaw ? { name, datatype, shape } : { name, datatype, shape, contents: toContents(tensor) };
  });
  return isRaw ? { ...head, outputs, raw_output_contents: tensors.map(toRaw) } : { ...head, outputs };
}

/** As many inputs as the model has, and raw contents for all of them or for none. */
function checkInputs(ports: Ports, request: ModelInferRequest): readonly InferInputTensor[] {
  const { inputs = NO_INPUTS, raw_input_contents: raw = NO_RAW } = request;
  if (raw.length > 0) {
    if (raw.length !== inputs.length) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot read raw_input_contents: it has ${raw.length} entries; wanted ${inputs.length}, one for each input`,
      );
    }
    const typed = inputs.find((input) => input.contents !== undefined);
    if (typed !== undefined) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot read the input "${typed.name ?? ''}": it has typed contents beside raw_input_contents; wanted one of them`,
      );
    }
  }
  if (inputs.length !== ports.list.length) {
    for (const input of inputs) portOf(ports, input); // an unknown name explains a wrong number better than the number
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read the inputs: ${inputs.length} are given; wanted ${ports.list.length}: ${ports.names}`,
    );
  }
  return inputs;
}

/** The declared input that a given one is for; its datatype must be the declared one. */
function portOf(ports: Ports, input: InferInputTensor): Port {
  const { name = '', datatype = '' } = input;
  const port = ports.byName.get(name);
  if (port === undefined)
    throw new JubakoError('INVALID_INPUT', `Cannot use the input "${name}": wanted ${ports.names}`);
  if (datatype !== port.datatype) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read the input "${name}": its datatype is "${datatype}"; wanted ${port.datatype}`,
    );
  }
  return port;
}

function elementsOf(port: Port, input: InferInputTensor, raw: Buffer | undefined): Elements {
  refuseParameters(`input "${port.name}"`, input);
  return { raw, contents: input.contents };
}

function refuseParameters(what: string, tensor: { readonly parameters?: Readonly<Record<string, unknown>> }): void {
  if (tensor.parameters === undefined) return;
  for (const name of UNSERVED_PARAMETERS) {
    if (Object.hasOwn(tensor.parameters, name)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot use the parameter "${name}" of the ${what}: this server has no such extension`,
      );
    }
  }
}

const NO_SHAPE: readonly Int64[] = [];

function shapeOf(port: Port, input: InferInputTensor): readonly number[] {
  const { shape: given = NO_SHAPE } = input;
  if (given.length > MAX_RANK) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read the input "${port.name}": its shape has ${given.length} dimensions; wanted ${port.shape.length}`,
    );
  }
  const shape = given.map(toSize);
  if (!fitsShape(shape, port.shape) || !isCountable(shape)) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read the input "${port.name}": its shape is ${formatShape(shape)}; wanted ${formatShape(port.shape)}, where -1 is any size from 0 up`,
    );
  }
  return shape;
}

function toSize(size: Int64): number {
  return size.high * 2 ** 32 + (size.low >>> 0);
}

/** More elements than one typed array can hold are refused here, where the name of the tensor is known. */
const MAX_ELEMENTS = 2 ** 32;

function isCountable(shape: readonly number[]): boolean {
  let count = 1;
  for (const size of shape) count *= size >= 0 ? size : Infinity;
  return count <= MAX_ELEMENTS; // false for NaN, which 0 times Infinity is
}
