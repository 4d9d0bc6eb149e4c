import { JubakoError } from '../errors.js';
import { parseJson } from '../descriptor/json-value.js';
import { MAX_ELEMENTS, fitsShape, formatShape, type Tensor } from '../tensor/index.js';
import type { InferInput } from './infer-request.js';
import type { Model } from './models.js';
import { refuseTensorParameters } from './parameters.js';
import type { Port, Ports } from './ports.js';
import { unreadable } from './raw-elements.js';

// From the inputs of a request to what the runner's descriptor wants.

/** Longer shapes are not looked at: no model has one, and an error would have to repeat it. */
const MAX_RANK = 32;

/**
 * What the calls of a request get: one value, or for a `json` model one per document.
 * @throws {JubakoError} INVALID_INPUT - names the tensor, what was given and what was wanted.
 */
export function readInputs(model: Model, given: readonly InferInput[]): readonly unknown[] {
  const { inputs } = model;
  checkNumber(inputs, given);
  if (inputs.kind === 'json') return readDocuments(inputs, given);
  const values: Record<string, Tensor> = {};
  for (const input of given) {
    const port = portOf(inputs, input);
    if (Object.hasOwn(values, port.name)) throw unreadable(port.name, 'it is given twice');
    const tensor = input.elements.readTensor(port, shapeOf(port, input));
    if (inputs.kind === 'tensor') return [tensor]; // checkNumber: there is one
    values[port.name] = tensor;
  }
  return [values];
}

/** Rows of a value that `readInputs` gave. */
export function rowsOf(model: Model, value: unknown): number {
  switch (model.inputs.kind) {
    case 'json':
      return 1;
    case 'tensor':
      return (value as Tensor).rows;
    case 'tensors': {
      const [first] = model.inputs.list;
      return first === undefined ? 1 : ((value as Readonly<Record<string, Tensor>>)[first.name]?.rows ?? 1);
    }
    default:
      return model.inputs.kind satisfies never;
  }
}

function readDocuments(inputs: Ports, [input]: readonly InferInput[]): readonly unknown[] {
  if (input === undefined) throw new TypeError('Cannot read the documents of a request without inputs');
  const port = portOf(inputs, input);
  const documents = input.elements.readBytes(port, shapeOf(port, input));
  return documents.map((bytes, i) => parseJson(bytes, `element ${i} of the input`));
}

function checkNumber(ports: Ports, given: readonly InferInput[]): void {
  if (given.length === ports.list.length) return;
  for (const input of given) portOf(ports, input); // an unknown name explains a wrong number better than the number
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot read the inputs: ${given.length} are given; wanted ${ports.list.length}: ${ports.names}`,
  );
}

/** The declared input that a given one is for; its datatype must be the declared one. */
function portOf(ports: Ports, { name, datatype, parameters }: InferInput): Port {
  const port = ports.byName.get(name);
  if (port === undefined)
    throw new JubakoError('INVALID_INPUT', `Cannot use the input "${name}": wanted ${ports.names}`);
  if (datatype !== port.datatype) throw unreadable(name, `its datatype is "${datatype}"; wanted ${port.datatype}`);
  refuseTensorParameters(`input "${name}"`, parameters);
  return port;
}

function shapeOf(port: Port, { shape }: InferInput): readonly number[] {
  if (shape.length > MAX_RANK)
    throw unreadable(port.name, `its shape has ${shape.length} dimensions; wanted ${port.shape.length}`);
  if (!fitsShape(shape, port.shape) || !isCountable(shape)) {
    throw unreadable(
      port.name,
      `its shape is ${formatShape(shape)}; wanted ${formatShape(port.shape)}, where -1 is any size from 0 up`,
    );
  }
  return shape;
}

/** More elements than one typed array can hold are refused here, where the name of the tensor is known. */
function isCountable(shape: readonly number[]): boolean {
  let count = 1;
  for (const size of shape) count *= Number.isInteger(size) && size >= 0 ? size : Infinity;
  return count <= MAX_ELEMENTS; // false for NaN, which 0 times Infinity is
}
