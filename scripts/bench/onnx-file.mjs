// Writes the network of the mlp cases as an ONNX file: made anew at each run, since 25 MB of random numbers need no place in
// the repository. The format is protobuf, of which this needs three kinds of field.
// @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for the numbers of the fields
import { writeFileSync } from 'node:fs';
import { seededRandom } from '../seeded-random.mjs';

/** What the weights are drawn from, so that every run measures the same network. */
const SEED = 20_241;
const IR_VERSION = 8;
const OPSET = 17;
const FLOAT = 1;
const VARINT = 0;
const BYTES = 2;

/**
 * A multilayer perceptron: `input` [rows, sizes[0]] → matrix, bias, ReLU for each size but the last → `logits`.
 * @param {string} file
 * @param {readonly number[]} sizes - of the layers, the input's among them.
 */
export function writeMlp(file, sizes) {
  const random = seededRandom(SEED);
  const nodes = [];
  const weights = [];
  let from = 'input';
  for (let i = 1; i < sizes.length; i += 1) {
    const isLast = i === sizes.length - 1;
    const sum = isLast ? 'logits' : `sum${i}`;
    const spread = Math.sqrt(6 / sizes[i - 1]); // keeps the size of the values from layer to layer
    weights.push(tensor(`weight${i}`, [sizes[i - 1], sizes[i]], () => (2 * random() - 1) * spread));
    weights.push(tensor(`bias${i}`, [sizes[i]], () => 0.1 * random()));
    nodes.push(node('Gemm', [from, `weight${i}`, `bias${i}`], sum));
    if (!isLast) nodes.push(node('Relu', [sum], `layer${i}`));
    from = `layer${i}`;
  }
  const graph = [
    ...nodes.map((bytes) => lengthPrefixed(1, bytes)),
    text(2, 'mlp'),
    ...weights.map((bytes) => lengthPrefixed(5, bytes)),
    lengthPrefixed(11, matrixOfRows('input', sizes[0])),
    lengthPrefixed(12, matrixOfRows('logits', sizes.at(-1))),
  ];
  const opset = number(2, OPSET);
  writeFileSync(file, Buffer.concat([number(1, IR_VERSION), lengthPrefixed(7, ...graph), lengthPrefixed(8, opset)]));
}

/** TensorProto */
function tensor(name, shape, next) {
  const values = Float32Array.from({ length: shape.reduce((product, size) => product * size) }, next);
  return Buffer.concat([
    ...shape.map((size) => number(1, size)),
    number(2, FLOAT),
    text(8, name),
    lengthPrefixed(9, Buffer.from(values.buffer)),
  ]);
}

/** NodeProto */
function node(operator, inputs, output) {
  return Buffer.concat([...inputs.map((name) => text(1, name)), text(2, output), text(4, operator)]);
}

/** ValueInfoProto of a float matrix with any number of rows. */
function matrixOfRows(name, columns) {
  const shape = [text(2, 'rows'), number(1, columns)].map((dimension) => lengthPrefixed(1, dimension));
  const type = lengthPrefixed(1, number(1, FLOAT), lengthPrefixed(2, ...shape));
  return Buffer.concat([text(1, name), lengthPrefixed(2, type)]);
}

function text(field, value) {
  return lengthPrefixed(field, Buffer.from(value));
}

function number(field, value) {
  return Buffer.concat([varint((field << 3) | VARINT), varint(value)]);
}

function lengthPrefixed(field, ...parts) {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([varint((field << 3) | BYTES), varint(bytes.length), bytes]);
}

function varint(value) {
  const bytes = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
