import type { Dtype } from '../tensor/index.js';
import { readFields, type Extent, type Field, type FieldReader } from './onnx-field-reader.js';

// What an ONNX file says about its inputs and outputs. Field numbers are those of onnx.proto.
// N1 An input that has an initializer is a weight with a name, not an input.
// N2 A size that is unknown to onnxruntime is unknown here: no value, a negative one, an empty name.

export interface OnnxSignature {
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  /** Files beside the model that hold weights, as the model names them: relative to its folder. */
  readonly weightFiles: readonly string[];
}

export interface OnnxPort {
  readonly name: string;
  readonly dtype: Dtype;
  /** A size; its name where it may be any; null where it may be any and has no name. */
  readonly shape: readonly (number | string | null)[];
}

/** A model with more is none that could be called. */
const MAX_PORTS = 4096;
const MAX_RANK = 64;

/** TensorProto.DataType → dtype, for those that onnxruntime-node can take and give (it has no bfloat16). */
const DTYPE_OF: ReadonlyMap<number, Dtype> = new Map([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [4, 'uint16'],
  [5, 'int16'],
  [6, 'int32'],
  [7, 'int64'],
  [8, 'string'],
  [9, 'bool'],
  [10, 'float16'],
  [11, 'float64'],
  [12, 'uint32'],
  [13, 'uint64'],
]);

const OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [0, 'elements of no type'],
  [14, 'complex64'],
  [15, 'complex128'],
  [16, 'bfloat16'],
  [17, 'float8e4m3fn'],
  [18, 'float8e4m3fnuz'],
  [19, 'float8e5m2'],
  [20, 'float8e5m2fnuz'],
  [21, 'uint4'],
  [22, 'int4'],
  [23, 'float4e2m1'],
]);

/** Fields of TypeProto. */
const TENSOR = 1;
const OTHER_KINDS: ReadonlyMap<number, string> = new Map([
  [4, 'a sequence'],
  [5, 'a map'],
  [7, 'an opaque value'],
  [8, 'a sparse tensor'],
  [9, 'an optional value'],
]);

/** What was found so far; protobuf lets a message come in several parts. */
interface Graph {
  readonly inputs: RawPort[];
  readonly outputs: RawPort[];
  readonly initializers: Set<string>;
  readonly weightFiles: Set<string>;
  isThere: boolean;
}

interface RawPort {
  name: string;
  /** Field of TypeProto; undefined: the file gives no type. */
  kind: number | undefined;
  elements: number;
  shape: (number | string | null)[] | undefined;
}

/**
 * Reads names, types and shapes from the head of the file, not its weights.
 * @throws {JubakoError} SERVICE_INVALID - the file cannot be read, is no ONNX file, or has an input or output that cannot
 * be served; names it.
 */
export function readOnnxSignature(file: string): OnnxSignature {
  return readFields(file, (reader, whole) => {
    const graph: Graph = {
      inputs: [],
      outputs: [],
      initializers: new Set(),
      weightFiles: new Set(),
      isThere: false,
    };
    for (const field of reader.fields(whole))
      if (field.number === 7) readGraph(reader, contentOf(reader, field), graph);
    if (!graph.isThere) throw reader.refused('it has no graph: it is no ONNX file');
    const inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name)); // N1
    return {
      inputs: toPorts(reader, inputs, 'input'),
      outputs: toPorts(reader, graph.outputs, 'output'),
      weightFiles: [...graph.weightFiles],
    };
  });
}

function readGraph(reader: FieldReader, extent: Extent, graph: Graph): void {
  graph.isThere = true;
  for (const field of reader.fields(extent)) {
    switch (field.number) {
      case 5:
        readInitializer(reader, contentOf(reader, field), graph);
        break;
      case 11:
        addPort(reader, field, graph.inputs);
        break;
      case 12:
        addPort(reader, field, graph.outputs);
        break;
      case 15: // sparse_initializer, whose `values` carry the name
        for (const part of reader.fields(contentOf(reader, field)))
          if (part.number === 1) readInitializer(reader, contentOf(reader, part), graph);
        break;
      default: // nodes and documentation
    }
  }
}

/** Of a TensorProto: its name, and the file that its elements are in, if it is another one. */
function readInitializer(reader: FieldReader, extent: Extent, graph: Graph): void {
  for (const field of reader.fields(extent)) {
    if (field.number === 8) graph.initializers.add(reader.text(field));
    if (field.number !== 13) continue;
    let key = '';
    let value = '';
    for (const entry of reader.fields(contentOf(reader, field))) {
      if (entry.number === 1) key = reader.text(entry);
      if (entry.number === 2) value = reader.text(entry);
    }
    if (key === 'location') graph.weightFiles.add(value);
  }
}

function addPort(reader: FieldReader, field: Field, ports: RawPort[]): void {
  if (ports.length === MAX_PORTS) throw reader.refused(`it has more than ${MAX_PORTS} inputs or outputs`);
  const port: RawPort = { name: '', kind: undefined, elements: 0, shape: undefined };
  for (const part of reader.fields(contentOf(reader, field))) {
    if (part.number === 1) port.name = reader.text(part);
    if (part.number === 2) readType(reader, contentOf(reader, part), port);
  }
  ports.push(port);
}

function readType(reader: FieldReader, extent: Extent, port: RawPort): void {
  for (const field of reader.fields(extent)) {
    if (field.number === TENSOR || OTHER_KINDS.has(field.number)) port.kind = field.number;
    if (field.number !== TENSOR) continue;
    for (const part of reader.fields(contentOf(reader, field))) {
      if (part.number === 1) port.elements = part.value;
      if (part.number === 2) port.shape = readShape(reader, contentOf(reader, part));
    }
  }
}

function readShape(reader: FieldReader, extent: Extent): (number | string | null)[] {
  const shape: (number | string | null)[] = [];
  for (const field of reader.fields(extent)) {
    if (field.number !== 1) continue;
    if (shape.length === MAX_RANK) throw reader.refused(`it has a tensor of more than ${MAX_RANK} dimensions`);
    let size: number | string | null = null;
    for (const part of reader.fields(contentOf(reader, field))) {
      if (part.number === 1) size = part.value < 2 ** 53 ? part.value : null; // N2: negative numbers have the 64th bit
      if (part.number === 2) size = nameOf(reader.text(part));
    }
    shape.push(size);
  }
  return shape;
}

function nameOf(text: string): string | null {
  return text === '' ? null : text; // N2
}

function contentOf(reader: FieldReader, field: Field): Extent {
  if (!field.hasContent) throw reader.refused(`byte ${field.start} holds a number where a part of the model belongs`);
  return field;
}

function toPorts(reader: FieldReader, raw: readonly RawPort[], side: 'input' | 'output'): OnnxPort[] {
  if (raw.length === 0) throw reader.refused(`it has no ${side}s`);
  const names = new Set<string>();
  return raw.map(({ name, kind, elements, shape }) => {
    const label = `its ${side} "${name}"`;
    // Objects with these names for keys are how several tensors are given.
    if (name === '' || name === '__proto__') throw reader.refused(`${label} has a name that cannot be used`);
    if (names.has(name)) throw reader.refused(`two ${side}s are named "${name}"`);
    names.add(name);
    if (kind !== TENSOR) {
      const what = OTHER_KINDS.get(kind ?? -1) ?? 'of no type';
      throw reader.refused(`${label} is ${what}; wanted a tensor`);
    }
    const dtype = DTYPE_OF.get(elements);
    if (dtype === undefined) {
      const what = OTHER_TYPES.get(elements) ?? `elements of type ${elements}`;
      throw reader.refused(`${label} is a tensor of ${what}; wanted ${[...DTYPE_OF.values()].join(', ')}`);
    }
    if (shape === undefined) {
      throw reader.refused(
        `${label} has no shape in the file, not even a number of dimensions; write it with onnx.shape_inference`,
      );
    }
    return { name, dtype, shape };
  });
}
