import { isUtf8 } from 'node:buffer';
import { JubakoError } from '../errors.js';
import {
  DTYPES,
  Tensor,
  allocateData,
  bytesOf,
  elementCount,
  formatShape,
  isNumericTensor,
  tensorFromBytes,
  type Dtype,
  type NumericDtype,
} from '../tensor/index.js';
import type { Int64 } from './protos.js';

// The two forms of elements in the Open Inference Protocol: typed contents (one field per family of dtypes) and raw bytes.
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

/** Where the elements of one input are: its entry of raw_input_contents, or its typed contents; absent where it has none. */
export interface Elements {
  readonly raw: Buffer | undefined;
  readonly contents: TensorContents | undefined;
}

/** @throws {JubakoError} INVALID_INPUT (C1) */
export function readTensor(name: string, dtype: Dtype, shape: readonly number[], elements: Elements): Tensor {
  if (dtype === 'string') return new Tensor('string', shape, readStrings(name, shape, elements));
  if (elements.raw === undefined) return readTyped(name, dtype, shape, elements.contents);
  const { bytes } = DTYPES[dtype];
  const wanted = elementCount(shape) * bytes;
  if (elements.raw.length !== wanted) {
    throw refused(
      name,
      `its raw contents have ${elements.raw.length} bytes; wanted ${wanted} for ${DTYPES[dtype].oip} of shape ${formatShape(shape)}`,
    );
  }
  const tensor = tensorFromBytes(dtype, shape, elements.raw);
  if (dtype === 'bool') refuseBadBools(name, tensor.data as Uint8Array);
  return tensor;
}

/** The elements of a BYTES tensor. @throws {JubakoError} INVALID_INPUT (C1) */
export function readBytesElements(name: string, shape: readonly number[], elements: Elements): readonly Buffer[] {
  const count = elementCount(shape);
  if (elements.raw !== undefined) return splitRawBytes(name, count, elements.raw);
  const list = typedList(name, 'string', count, elements.contents) as readonly Buffer[];
  return list;
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

/** The raw form of any tensor; no copy where it is numeric. */
export function toRaw(tensor: Tensor): Uint8Array {
  return isNumericTensor(tensor) ? bytesOf(tensor) : joinRawBytes(tensor.data as readonly string[]);
}

function readTyped(
  name: string,
  dtype: NumericDtype,
  shape: readonly number[],
  contents: TensorContents | undefined,
): Tensor {
  const count = elementCount(shape);
  const list = typedList(name, dtype, count, contents);
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
function typedList(
  name: string,
  dtype: Dtype,
  count: number,
  contents: TensorContents = {},
): TensorContents[ContentsField] & object {
  const field = FIELD_OF[dtype];
  const { oip } = DTYPES[dtype];
  if (field === undefined) throw refused(name, `${oip} has no typed contents; wanted raw_input_contents`);
  for (const given in contents) {
    if (given !== field) throw refused(name, `its elements are in ${given}; wanted ${field} for ${oip}`);
  }
  const list = contents[field] ?? NO_ELEMENTS;
  if (list.length !== count) throw refused(name, `${field} has ${list.length} elements; wanted ${count}, by its shape`);
  return list;
}

function refuseOutOfRange(name: string, dtype: Dtype, list: readonly number[], min: number, max: number): void {
  for (let i = 0; i < list.length; i += 1) {
    const value = list[i] as number;
    if (value < min || value > max)
      throw refused(name, `element ${i} is ${value}; wanted ${min} to ${max} for ${DTYPES[dtype].oip}`);
  }
}

function refuseBadBools(name: string, data: Uint8Array): void {
  for (let i = 0; i < data.length; i += 1) {
    if ((data[i] as number) > 1)
      throw refused(name, `byte ${i} of its raw contents is ${String(data[i])}; wanted 0 or 1 for BOOL`);
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

function readStrings(name: string, shape: readonly number[], elements: Elements): readonly string[] {
  return readBytesElements(name, shape, elements).map((bytes, i) => {
    if (!isUtf8(bytes)) throw refused(name, `element ${i} is not UTF-8; wanted text`);
    return bytes.toString('utf8');
  });
}

/** Each element follows its length as uint32. */
const LENGTH_BYTES = 4;

function splitRawBytes(name: string, count: number, raw: Buffer): readonly Buffer[] {
  const list: Buffer[] = [];
  let at = 0;
  while (at < raw.length) {
    const start = at + LENGTH_BYTES;
    const end = start > raw.length ? Infinity : start + raw.readUInt32LE(at);
    if (end > raw.length)
      throw refused(name, `element ${list.length} of its raw contents ends after byte ${raw.length}, the last one`);
    list.push(raw.subarray(start, end));
    at = end;
  }
  if (list.length !== count)
    throw refused(name, `its raw contents have ${list.length} elements; wanted ${count}, by its shape`);
  return list;
}

function joinRawBytes(texts: readonly string[]): Buffer {
  let total = 0;
  for (const text of texts) total += LENGTH_BYTES + Buffer.byteLength(text, 'utf8');
  const raw = Buffer.allocUnsafe(total);
  let at = 0;
  for (const text of texts) {
    const length = raw.write(text, at + LENGTH_BYTES, 'utf8');
    at = raw.writeUInt32LE(length, at) + length;
  }
  return raw;
}

function refused(name: string, why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read the input "${name}": ${why}`);
}
