import { JubakoError } from '../errors.js';
import type { TensorSpec } from '../descriptor/descriptor.js';
import {
  DTYPES,
  Tensor,
  allocateData,
  elementCount,
  formatShape,
  tensorFromBytes,
  type Dtype,
  type DtypeData,
  type NumericDtype,
} from '../tensor/index.js';
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../tensor/float16.js';
import type { NdArray, NdArrayValues, ValuesField } from './bento-messages.js';
import { wellFormed } from './bento-value.js';
import type { Int64 } from './protos.js';
import { fromInt64s, toInt64s } from './tensor-contents.js';

// Between the NDArray of BentoML's API and tensors.
// N1 NDArray knows 8 of our 14 dtypes. Integers are taken from any list of integers if they fit exactly, floats from any
//    list of numbers, rounded to the nearest, and bools from 0 and 1 too: all as from JSON.
// N2 What has no dtype of its own is written in the smallest that holds all its values: uint8 and uint16 as UINT32, int8
//    and int16 as INT32, float16 and bfloat16 as FLOAT.
// N3 Whatever a client sends becomes a tensor or an INVALID_INPUT that names the field, what it gave and what was wanted.
//    Whether shape and values suit the API is left to the descriptor, which checks every input.

interface DtypeForm {
  readonly proto: string;
  readonly field: ValuesField;
  /** Name of the same dtype in NumPy. */
  readonly numpy: string;
}

const FLOAT: DtypeForm = { proto: 'DTYPE_FLOAT', field: 'float_values', numpy: 'float32' };
const INT32: DtypeForm = { proto: 'DTYPE_INT32', field: 'int32_values', numpy: 'int32' };
const UINT32: DtypeForm = { proto: 'DTYPE_UINT32', field: 'uint32_values', numpy: 'uint32' };

/** How each dtype is written (N2). */
export const DTYPE_FORMS: Readonly<Record<Dtype, DtypeForm>> = {
  bool: { proto: 'DTYPE_BOOL', field: 'bool_values', numpy: 'bool' },
  uint8: UINT32,
  uint16: UINT32,
  uint32: UINT32,
  uint64: { proto: 'DTYPE_UINT64', field: 'uint64_values', numpy: 'uint64' },
  int8: INT32,
  int16: INT32,
  int32: INT32,
  int64: { proto: 'DTYPE_INT64', field: 'int64_values', numpy: 'int64' },
  float16: FLOAT,
  bfloat16: FLOAT,
  float32: FLOAT,
  float64: { proto: 'DTYPE_DOUBLE', field: 'double_values', numpy: 'float64' },
  string: { proto: 'DTYPE_STRING', field: 'string_values', numpy: 'str' },
};

const FIELD_OF_PROTO: ReadonlyMap<string | number, ValuesField> = new Map(
  Object.values(DTYPE_FORMS).map((form) => [form.proto, form.field]),
);

const INTEGER_FIELDS: readonly ValuesField[] = ['int32_values', 'int64_values', 'uint32_values', 'uint64_values'];
const BOOL_FIELDS: readonly ValuesField[] = ['bool_values', ...INTEGER_FIELDS];
const TEXT_FIELDS: readonly ValuesField[] = ['string_values'];
const NUMBER_FIELDS: readonly ValuesField[] = ['float_values', 'double_values', ...INTEGER_FIELDS];

/** Longer shapes are not looked at: no tensor has one, and an error would have to repeat it. */
const MAX_RANK = 32;

const NO_VALUES: readonly never[] = [];

/**
 * @param what - how the array is called in errors: `ndarray`.
 * @throws {JubakoError} INVALID_INPUT (N3)
 */
export function readNdArray(what: string, spec: TensorSpec, given: NdArray): Tensor {
  const { dtype } = spec;
  const field = valuesFieldOf(what, given) ?? DTYPE_FORMS[dtype].field;
  const fields = fieldsOf(dtype);
  if (!fields.includes(field))
    throw refused(what, `its elements are in ${field}; wanted ${fields.join(' or ')} for ${dtype}`);
  const values = given[field] ?? NO_VALUES;
  if (values.length === 0 && given.shape === undefined)
    throw refused(what, `it has neither shape nor values; wanted ${formatSpec(spec)}`);
  const shape = given.shape ?? inferShape(what, spec, values.length);
  checkShape(what, shape, field, values.length);
  if (dtype === 'string') return new Tensor(dtype, shape, values as readonly string[]);
  return new Tensor(dtype, shape, toData(what, dtype, field, values as readonly (number | Int64)[]));
}

/**
 * Raw little-endian elements of the declared dtype, in the declared shape.
 * @throws {JubakoError} INVALID_INPUT (N3)
 */
export function readRawTensor(what: string, spec: TensorSpec, bytes: Buffer): Tensor {
  const { dtype } = spec;
  if (dtype === 'string') throw refused(what, 'texts have no raw form; wanted ndarray');
  const size = DTYPES[dtype].bytes;
  if (bytes.length % size !== 0)
    throw refused(what, `it has ${bytes.length} bytes; wanted a multiple of ${size} for ${dtype}`);
  const count = bytes.length / size;
  const shape = inferShape(what, spec, count);
  checkShape(what, shape, what, count);
  const tensor = tensorFromBytes(dtype, shape, bytes);
  if (dtype === 'bool') refuseBadBools(what, tensor.data as Uint8Array);
  return tensor;
}

/** N2 */
export function toNdArray(tensor: Tensor): NdArray {
  const { proto, field } = DTYPE_FORMS[tensor.dtype];
  return { dtype: proto, shape: tensor.shape, [field]: toList(tensor) };
}

function toList(tensor: Tensor): NdArrayValues[ValuesField] {
  const { data } = tensor;
  switch (tensor.dtype) {
    case 'bool':
      return Array.from(data as Uint8Array, (value) => value !== 0);
    case 'float16':
      return Array.from(data as Uint16Array, fromFloat16);
    case 'bfloat16':
      return Array.from(data as Uint16Array, fromBfloat16);
    case 'int64':
    case 'uint64':
      return toInt64s(data as BigInt64Array, tensor.dtype === 'uint64');
    case 'string':
      return (data as readonly string[]).map(wellFormed);
    default:
      return Array.from(data as Float32Array);
  }
}

/** The list that holds the elements, by the dtype that is given, else by what is filled; undefined: no list is. */
function valuesFieldOf(what: string, given: NdArray): ValuesField | undefined {
  const { dtype = 'DTYPE_UNSPECIFIED' } = given;
  const wanted = FIELD_OF_PROTO.get(dtype);
  if (wanted === undefined && dtype !== 'DTYPE_UNSPECIFIED')
    throw refused(what, `its dtype is ${dtype}; wanted ${[...FIELD_OF_PROTO.keys()].join(', ')}`);
  let filled: ValuesField | undefined;
  for (const key in given) {
    if (key === 'dtype' || key === 'shape') continue;
    const field = key as ValuesField;
    if (wanted !== undefined && field !== wanted)
      throw refused(what, `its elements are in ${field}; wanted ${wanted} for ${dtype}`);
    if (filled !== undefined) throw refused(what, `its elements are in ${filled} and in ${field}; wanted one list`);
    filled = field;
  }
  return filled ?? wanted;
}

/** N1 */
function fieldsOf(dtype: Dtype): readonly ValuesField[] {
  if (dtype === 'string') return TEXT_FIELDS;
  if (dtype === 'bool') return BOOL_FIELDS;
  return DTYPES[dtype].isFloat ? NUMBER_FIELDS : INTEGER_FIELDS;
}

function toData(
  what: string,
  dtype: NumericDtype,
  field: ValuesField,
  values: readonly (number | Int64)[],
): DtypeData[NumericDtype] {
  const isLong = field === 'int64_values' || field === 'uint64_values';
  if (dtype === 'int64' || dtype === 'uint64') {
    return isLong
      ? fromLongs(what, dtype, field === 'uint64_values', values as readonly Int64[])
      : fromIntegers(what, dtype, values as readonly number[]);
  }
  // A long that a double can't hold is far outside every narrower integer, and stays so when it is rounded.
  const numbers = isLong
    ? (values as readonly Int64[]).map(field === 'uint64_values' ? unsignedNumber : signedNumber)
    : (values as readonly number[]);
  const data = allocateData(dtype, numbers.length);
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const toBits = dtype === 'float16' ? toFloat16 : toBfloat16;
    for (let i = 0; i < numbers.length; i += 1) data[i] = toBits(numbers[i] as number);
    return data;
  }
  if (!DTYPES[dtype].isFloat && field !== 'bool_values') refuseOutOfRange(what, dtype, numbers);
  data.set(numbers); // true and false become 1 and 0
  return data;
}

/** 64-bit integers of either sign; the one bit that they disagree about must be 0. */
function fromLongs(
  what: string,
  dtype: 'int64' | 'uint64',
  isUnsigned: boolean,
  longs: readonly Int64[],
): BigInt64Array | BigUint64Array {
  if (isUnsigned !== (dtype === 'uint64')) {
    const bad = longs.findIndex((long) => long.high < 0);
    if (bad !== -1) throw outOfRange(what, dtype, bad, toBigInt(longs[bad] as Int64, isUnsigned));
  }
  return fromInt64s(dtype, longs);
}

function fromIntegers(
  what: string,
  dtype: 'int64' | 'uint64',
  numbers: readonly number[],
): BigInt64Array | BigUint64Array {
  const data = allocateData(dtype, numbers.length);
  for (let i = 0; i < numbers.length; i += 1) {
    const number = numbers[i] as number;
    if (number < 0 && dtype === 'uint64') throw outOfRange(what, dtype, i, number);
    data[i] = BigInt(number);
  }
  return data;
}

function toBigInt({ low, high }: Int64, isUnsigned: boolean): bigint {
  return (BigInt(isUnsigned ? high >>> 0 : high) << 32n) | BigInt(low >>> 0);
}

function signedNumber({ low, high }: Int64): number {
  return high * 2 ** 32 + (low >>> 0);
}

function unsignedNumber({ low, high }: Int64): number {
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}

function refuseOutOfRange(what: string, dtype: NumericDtype, numbers: readonly number[]): void {
  const [min, max] = (DTYPES[dtype].range ?? [0n, 0n]).map(Number) as [number, number];
  for (let i = 0; i < numbers.length; i += 1) {
    const number = numbers[i] as number;
    if (number < min || number > max) throw outOfRange(what, dtype, i, number);
  }
}

function outOfRange(what: string, dtype: NumericDtype, i: number, number: number | bigint): JubakoError {
  const [min, max] = DTYPES[dtype].range ?? [0n, 0n];
  return refused(what, `element ${i} is ${number}; wanted ${min} to ${max} for ${dtype}`);
}

function refuseBadBools(what: string, data: Uint8Array): void {
  const bad = data.findIndex((byte) => byte > 1);
  if (bad !== -1) throw refused(what, `byte ${bad} is ${String(data[bad])}; wanted 0 or 1 for bool`);
}

/** Sizes that are none, and a product other than the number of elements, however large. */
function checkShape(what: string, shape: readonly number[], list: string, count: number): void {
  if (shape.length > MAX_RANK)
    throw refused(what, `its shape has ${shape.length} dimensions; wanted at most ${MAX_RANK}`);
  let product = 1;
  for (const size of shape) {
    if (size < 0) throw refused(what, `its shape is ${formatShape(shape)}; wanted sizes from 0 up`);
    product *= size; // at most 2^992: a double has room for it
  }
  if (product !== count)
    throw refused(what, `${list} has ${count} elements; its shape ${formatShape(shape)} wants ${product}`);
}

/** The declared shape with its one open size filled in. */
function inferShape(what: string, spec: TensorSpec, count: number): readonly number[] {
  const pattern = spec.shape;
  const open = pattern.indexOf(-1);
  if (open === -1) return pattern;
  const others = elementCount(pattern.with(open, 1).map((size) => (size === -1 ? 0 : size)));
  if (others === 0)
    throw refused(what, `its shape cannot be told from ${formatShape(pattern)}; wanted ndarray with a shape`);
  if (count % others !== 0)
    throw refused(what, `it has ${count} elements; wanted a multiple of ${others} for ${formatSpec(spec)}`);
  return pattern.with(open, count / others);
}

function formatSpec({ dtype, shape }: TensorSpec): string {
  return `${dtype} of shape ${formatShape(shape)}`;
}

function refused(what: string, why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read ${what}: ${why}`);
}
