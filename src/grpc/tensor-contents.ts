import type { Elements } from '../inference/infer-request.js';
import type { Port } from '../inference/ports.js';
import { toTexts, unreadable } from '../inference/raw-elements.js';
import { DTYPES, Tensor, allocateData, elementCount, type Dtype, type NumericDtype } from '../tensor/index.js';
import type { Int64 } from './protos.js';

// Elements as typed contents: one field for each family of dtypes.
// C1 Whatever a client sends becomes a tensor or an INVALID_INPUT that names the tensor, what it gave and what was wanted.

/** InferTensorContents; a field without elements is absent. */
export interface TensorContents {
  bool_contents?: readonly boolean[];
  int_contents?: readonly number[];
  int64_contents?: readonly Int64[];
  uint_contents?: readonly number[];
  uint64_contents?: readonly Int64[];
  fp32_contents?: readonly number[];
  fp64_contents?: readonly number[];
  bytes_contents?: readonly Uint8Array[];
}

type ContentsField = keyof TensorContents;

const FIELD_OF: Readonly<Record<Dtype, ContentsField | undefined>> = {
  bool: 'bool_contents',
  uint8: 'uint_contents',
  uint16: 'uint_contents',
  uint32: 'uint_contents',
  uint64: 'uint64_contents',
  int8: 'int_contents',
  int16: 'int_contents',
  int32: 'int_contents',
  int64: 'int64_contents',
  float16: undefined,
  bfloat16: undefined,
  float32: 'fp32_contents',
  float64: 'fp64_contents',
  string: 'bytes_contents',
};

/** True where typed contents have no field for the dtype (FP16, BF16). */
export function isRawOnly(dtype: Dtype): boolean {
  return FIELD_OF[dtype] === undefined;
}

/** The typed contents of one input. */
export class TypedElements implements Elements {
  readonly #contents: TensorContents | undefined;

  /** @param contents - undefined: it has none. */
  constructor(contents: TensorContents | undefined) {
    this.#contents = contents;
  }

  readTensor(port: Port, shape: readonly number[]): Tensor {
    const { name, dtype } = port;
    if (dtype !== 'string') return readNumbers(name, dtype, shape, this.#contents);
    return new Tensor('string', shape, toTexts(name, this.readBytes(port, shape)));
  }

  readBytes({ name }: Port, shape: readonly number[]): readonly Buffer[] {
    return listOf(name, 'string', elementCount(shape), this.#contents) as readonly Buffer[];
  }
}

/** The typed form of a tensor whose dtype is not `isRawOnly`. */
export function toContents(tensor: Tensor): TensorContents {
  const field = FIELD_OF[tensor.dtype];
  if (field === undefined)
    throw new TypeError(`Cannot write ${tensor.dtype} as typed contents: it has raw contents only`);
  switch (field) {
    case 'bool_contents':
      return { bool_contents: Array.from(tensor.data as Uint8Array, (value) => value !== 0) };
    case 'int64_contents':
    case 'uint64_contents':
      return { [field]: toInt64s(tensor.data as BigInt64Array | BigUint64Array, field === 'uint64_contents') };
    case 'bytes_contents':
      return { bytes_contents: (tensor.data as readonly string[]).map((text) => Buffer.from(text, 'utf8')) };
    default:
      return { [field]: Array.from(tensor.data as Float32Array) };
  }
}

function readNumbers(
  name: string,
  dtype: NumericDtype,
  shape: readonly number[],
  contents: TensorContents | undefined,
): Tensor {
  const count = elementCount(shape);
  const list = listOf(name, dtype, count, contents);
  if (dtype === 'int64' || dtype === 'uint64')
    return new Tensor(dtype, shape, fromInt64s(dtype, list as readonly Int64[]));
  const numbers = list as readonly number[];
  const { range } = DTYPES[dtype];
  if (range !== undefined && dtype !== 'bool')
    refuseOutOfRange(name, dtype, numbers, Number(range[0]), Number(range[1]));
  const data = allocateData(dtype, count);
  data.set(numbers); // true and false become 1 and 0
  return new Tensor(dtype, shape, data);
}

const NO_ELEMENTS: readonly never[] = [];

/** The one list that may hold the elements of a dtype, with as many as wanted. */
function listOf(
  name: string,
  dtype: Dtype,
  count: number,
  contents: TensorContents = {},
): TensorContents[ContentsField] & object {
  const field = FIELD_OF[dtype];
  const { oip } = DTYPES[dtype];
  if (field === undefined) throw unreadable(name, `${oip} has no typed contents; wanted raw_input_contents`);
  for (const given in contents) {
    if (given !== field) throw unreadable(name, `its elements are in ${given}; wanted ${field} for ${oip}`);
  }
  const list = contents[field] ?? NO_ELEMENTS;
  if (list.length !== count)
    throw unreadable(name, `${field} has ${list.length} elements; wanted ${count}, by its shape`);
  return list;
}

function refuseOutOfRange(name: string, dtype: Dtype, list: readonly number[], min: number, max: number): void {
  for (let i = 0; i < list.length; i += 1) {
    const value = list[i] as number;
    if (value < min || value > max)
      throw unreadable(name, `element ${i} is ${value}; wanted ${min} to ${max} for ${DTYPES[dtype].oip}`);
  }
}

/** Element for element, bit for bit. */
export function fromInt64s(dtype: 'int64' | 'uint64', list: readonly Int64[]): BigInt64Array | BigUint64Array {
  const data = allocateData(dtype, list.length);
  const words = new Int32Array(data.buffer);
  for (let i = 0; i < list.length; i += 1) {
    const { low, high } = list[i] as Int64;
    words[2 * i] = low;
    words[2 * i + 1] = high;
  }
  return data;
}

/** Element for element, bit for bit. */
export function toInt64s(data: BigInt64Array | BigUint64Array, unsigned: boolean): Int64[] {
  const words = new Int32Array(data.buffer, data.byteOffset, data.length * 2);
  const list = new Array<Int64>(data.length);
  for (let i = 0; i < list.length; i += 1)
    list[i] = { low: words[2 * i] as number, high: words[2 * i + 1] as number, unsigned };
  return list;
}
