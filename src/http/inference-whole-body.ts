import { JubakoError } from '../errors.js';
import type { Elements, InferInput } from '../inference/infer-request.js';
import type { Model } from '../inference/models.js';
import type { Port } from '../inference/ports.js';
import { RawElements, toTexts } from '../inference/raw-elements.js';
import { DTYPES, Tensor, elementCount, formatShape, type Dtype } from '../tensor/index.js';
import type { Body } from './request-body.js';

// Requests without any JSON (`Inference-Header-Content-Length: 0`): the body is the one input of the model.
// https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md#raw-binary-request

/** @throws {JubakoError} INVALID_INPUT - the model has several inputs, or the body leaves its shape open. */
export function wholeBodyInput({ name, inputs }: Model, body: Body): InferInput {
  const [port] = inputs.list;
  if (port === undefined || inputs.list.length > 1) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot take the body as the one input of the model "${name}": it has ${inputs.list.length}: ${inputs.names}`,
    );
  }
  const isText = port.dtype === 'string';
  return {
    name: port.name,
    datatype: port.datatype,
    shape: isText ? port.shape.map(() => 1) : shapeOf(port, port.dtype, body.byteLength),
    parameters: undefined,
    elements: isText ? new OneElement(body.bytes()) : new RawElements(body.chunks),
  };
}

/** A first axis of any size is 1, unless it is the only one that the length of the body can tell. */
function shapeOf({ name, shape }: Port, dtype: Dtype, bodyBytes: number): readonly number[] {
  const isOpen = (size: number): boolean => size === -1;
  const pattern = shape.filter(isOpen).length > 1 && shape[0] === -1 ? shape.with(0, 1) : shape;
  const at = pattern.findIndex(isOpen);
  if (at === -1) return pattern;
  const size = bodyBytes / (elementCount(pattern.with(at, 1).map((one) => Math.max(one, 1))) * DTYPES[dtype].bytes);
  if (pattern.filter(isOpen).length === 1 && Number.isInteger(size)) return pattern.with(at, size);
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot read the body as the input "${name}": ${bodyBytes} bytes do not tell its shape, which is ${formatShape(shape)}`,
  );
}

/** A BYTES tensor whose only element is the body, without a length before it. */
class OneElement implements Elements {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  readTensor({ name }: Port, shape: readonly number[]): Tensor {
    return new Tensor('string', shape, toTexts(name, [this.#bytes]));
  }

  readBytes(): readonly Buffer[] {
    return [this.#bytes];
  }
}
