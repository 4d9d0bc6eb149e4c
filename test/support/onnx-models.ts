// Writes small ONNX files for the tests: just enough protobuf for graphs of a few nodes.

/** Numbers of TensorProto.DataType. */
export const ONNX_TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  bfloat16: 16,
  float8: 17,
  uint4: 21,
} as const;

/** A size, a name for a size, or null for a size without a name. */
export type OnnxDimension = number | string | null;

export interface OnnxValue {
  readonly name: string;
  readonly type?: keyof typeof ONNX_TYPE | number;
  /** Undefined: the file does not even say how many dimensions there are. */
  readonly shape: readonly OnnxDimension[] | undefined;
  /** Instead of a tensor. */
  readonly kind?: 'sequence' | 'map' | 'optional' | 'sparse';
}

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, number>>;
}

export interface OnnxInitializer {
  readonly name: string;
  readonly type: keyof typeof ONNX_TYPE;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

export interface OnnxGraph {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers?: readonly OnnxInitializer[];
}

/** A whole file. */
export function onnxFile({ inputs, outputs, nodes, initializers = [] }: OnnxGraph): Buffer {
  const graph = [
    ...nodes.map((node) => message(1, ...nodeFields(node))),
    text(2, 'graph'),
    ...initializers.map((tensor) => message(5, ...initializerFields(tensor))),
    ...inputs.map((value) => message(11, ...valueFields(value))),
    ...outputs.map((value) => message(12, ...valueFields(value))),
  ];
  return Buffer.concat([
    number(1, 8), // ir_version
    text(2, 'jubako tests'),
    message(7, ...graph),
    message(8, text(1, ''), number(2, 17)), // opset_import
  ]);
}

/** `output = input`, for values of any type. */
export function identityModel(
  type: keyof typeof ONNX_TYPE,
  shape: readonly OnnxDimension[],
  names: { readonly input?: string; readonly output?: string } = {},
): Buffer {
  const { input = 'x', output = 'y' } = names;
  return onnxFile({
    inputs: [{ name: input, type, shape }],
    outputs: [{ name: output, type, shape }],
    nodes: [{ op: 'Identity', inputs: [input], outputs: [output] }],
  });
}

/** `sum = a + b` of float32, with the shapes as given. */
export function addModel(
  a: readonly OnnxDimension[],
  b: readonly OnnxDimension[],
  sum: readonly OnnxDimension[],
): Buffer {
  return onnxFile({
    inputs: [
      { name: 'a', shape: a },
      { name: 'b', shape: b },
    ],
    outputs: [{ name: 'sum', shape: sum }],
    nodes: [{ op: 'Add', inputs: ['a', 'b'], outputs: ['sum'] }],
  });
}

/** `y = x · W` of float32, rows of any number; `weights` row by row. */
export function matMulModel(rows: number, columns: number, weights: readonly number[]): Buffer {
  return onnxFile({
    inputs: [{ name: 'x', shape: ['batch', rows] }],
    outputs: [{ name: 'y', shape: ['batch', columns] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'W'], outputs: ['y'] }],
    initializers: [
      {
        name: 'W',
        type: 'float32',
        dims: [rows, columns],
        data: new Uint8Array(Float32Array.from(weights).buffer),
      },
    ],
  });
}

/** `y = x * factor` of float32, shape [batch, 2]: tells versions apart. */
export function scaleModel(factor: number): Buffer {
  return matMulModel(2, 2, [factor, 0, 0, factor]);
}

export function message(field: number, ...fields: readonly Uint8Array[]): Buffer {
  return bytes(field, Buffer.concat(fields));
}

export function bytes(field: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
}

export function text(field: number, content: string): Buffer {
  return bytes(field, Buffer.from(content));
}

export function number(field: number, value: number | bigint): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

/** Negative numbers take ten bytes, as in protobuf. */
export function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const list: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    list.push(rest === 0n ? low : low | 0x80);
  } while (rest > 0n);
  return Buffer.from(list);
}

function nodeFields({ op, inputs, outputs, domain, attributes = {} }: OnnxNode): Buffer[] {
  return [
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => message(5, text(1, name), number(3, value), number(20, 2))),
    ...(domain === undefined ? [] : [text(7, domain)]),
  ];
}

function initializerFields({ name, type, dims, data }: OnnxInitializer): Buffer[] {
  return [...dims.map((size) => number(1, size)), number(2, ONNX_TYPE[type]), text(8, name), bytes(9, data)];
}

function valueFields({ name, type = 'float32', shape, kind }: OnnxValue): Buffer[] {
  const elements = number(1, typeof type === 'number' ? type : ONNX_TYPE[type]);
  const tensorType = [elements, ...(shape === undefined ? [] : [message(2, ...shape.map(dimension))])];
  return [text(1, name), message(2, typeFields(kind, tensorType))];
}

function typeFields(kind: OnnxValue['kind'], tensorType: readonly Buffer[]): Buffer {
  switch (kind) {
    case undefined:
      return message(1, ...tensorType);
    case 'sequence':
      return message(4, message(1, message(1, ...tensorType)));
    case 'map':
      return message(5, number(1, ONNX_TYPE.int64), message(2, message(1, ...tensorType)));
    case 'optional':
      return message(9, message(1, message(1, ...tensorType)));
    case 'sparse':
      return message(8, ...tensorType);
    default:
      return kind satisfies never;
  }
}

function dimension(size: OnnxDimension): Buffer {
  if (size === null) return message(1);
  return message(1, typeof size === 'string' ? text(2, size) : number(1, size));
}
