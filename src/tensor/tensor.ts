import { JubakoError } from '../errors.js';
import { DTYPES, isDtype, type Dtype, type DtypeData, type NumericDtype } from './dtype.js';

// T1 `data.length` equals the product of `shape`; every constructor checks it before anything is believed.
// T2 A tensor is a value: nothing here writes into `data` after construction; batches copy.

/** Sizes above this cannot be held in one typed array by V8 and are refused before any multiplication overflows. */
export const MAX_ELEMENTS = 2 ** 32;

const MAX_SHOWN_DIMENSIONS = 32;

/** Shared by every copy of this package, so that a tensor of the service's copy is a tensor here too. */
const BRAND = Symbol.for('jubako.tensor');

/** A dense row-major array: `shape` [d0, d1, …] with every d >= 0, `data` with d0 * d1 * … elements. */
export class Tensor<D extends Dtype = Dtype> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DtypeData[D];

  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  /** @throws {JubakoError} INVALID_INPUT - `data` does not hold as many elements as `shape` says. */
  constructor(dtype: D, shape: readonly number[], data: DtypeData[D]) {
    const wanted = elementCount(shape);
    if (data.length !== wanted) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot make a ${dtype} tensor of shape ${formatShape(shape)}: it needs ${wanted} elements, the data has ${data.length}`,
      );
    }
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  get [BRAND](): true {
    return true;
  }

  /** Rows along the batch axis (axis 0); a scalar is one row. */
  get rows(): number {
    return this.shape[0] ?? 1;
  }
}

/**
 * Number of elements of a shape.
 * @throws {JubakoError} INVALID_INPUT - a dimension is negative, not a whole number, or the product is too large.
 */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) {
    if (!Number.isInteger(size) || size < 0) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot use shape ${formatShape(shape)}: ${size} is not a whole number >= 0`,
      );
    }
    count *= size;
    if (count > MAX_ELEMENTS) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot use shape ${formatShape(shape)}: more than ${MAX_ELEMENTS} elements`,
      );
    }
  }
  return count;
}

/** `[1, 64]`; of a shape with absurdly many dimensions only the beginning. */
export function formatShape(shape: readonly number[]): string {
  if (shape.length <= MAX_SHOWN_DIMENSIONS) return `[${shape.join(', ')}]`;
  return `[${shape.slice(0, MAX_SHOWN_DIMENSIONS).join(', ')}, … ${shape.length} dimensions]`;
}

/**
 * True if `shape` fits `pattern`, where -1 in the pattern stands for any size.
 * `fitsShape([3, 64], [-1, 64])` is true.
 */
export function fitsShape(shape: readonly number[], pattern: readonly number[]): boolean {
  return shape.length === pattern.length && pattern.every((wanted, axis) => wanted === -1 || wanted === shape[axis]);
}

/** A tensor from plain numbers, for handlers and tests: `tensorOf('float32', [1, 3], [1, 2, 3])`. */
export function tensorOf<D extends NumericDtype>(
  dtype: D,
  shape: readonly number[],
  values: ArrayLike<number> | ArrayLike<bigint> | DtypeData[D],
): Tensor<D> {
  const data = allocateData(dtype, values.length);
  for (let i = 0; i < values.length; i += 1) data[i] = values[i] as never;
  return new Tensor(dtype, shape, data);
}

/** Zero-filled storage for `count` elements of a numeric dtype. */
export function allocateData<D extends NumericDtype>(dtype: D, count: number): DtypeData[D] {
  return viewData(dtype, new ArrayBuffer(count * DTYPES[dtype].bytes), 0, count);
}

/**
 * A view of raw little-endian bytes as elements; no copy.
 * `byteOffset` must be a multiple of the element size: use `copyAligned` first where it may not be.
 */
export function viewData<D extends NumericDtype>(
  dtype: D,
  buffer: ArrayBufferLike,
  byteOffset: number,
  count: number,
): DtypeData[D] {
  return new VIEWS[dtype](buffer as ArrayBuffer, byteOffset, count) as DtypeData[D];
}

const VIEWS: Readonly<Record<NumericDtype, new (buffer: ArrayBuffer, offset: number, count: number) => unknown>> = {
  bool: Uint8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** The bytes of a numeric tensor, without a copy. */
export function bytesOf(tensor: Tensor<NumericDtype>): Uint8Array {
  const { data } = tensor;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The elements of a numeric tensor in a buffer of their own. */
export function copyData<D extends NumericDtype>(tensor: Tensor<D>): DtypeData[D] {
  const bytes = new Uint8Array(tensor.data.byteLength);
  bytes.set(bytesOf(tensor));
  return viewData(tensor.dtype, bytes.buffer, 0, tensor.data.length);
}

/** `instanceof` alone would make the element type `any`. */
export function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor;
}

export function isNumericTensor(tensor: Tensor): tensor is Tensor<NumericDtype> {
  return tensor.dtype !== 'string';
}

/**
 * Raw little-endian bytes → tensor, as a view where the bytes are aligned, else over a copy.
 * @throws {JubakoError} INVALID_INPUT - the number of bytes does not fit dtype and shape.
 */
export function tensorFromBytes<D extends NumericDtype>(
  dtype: D,
  shape: readonly number[],
  bytes: Uint8Array,
): Tensor<D> {
  const count = checkByteLength(dtype, shape, bytes.byteLength);
  const aligned = bytes.byteOffset % DTYPES[dtype].bytes === 0 ? bytes : Uint8Array.prototype.slice.call(bytes);
  return new Tensor(dtype, shape, viewData(dtype, aligned.buffer, aligned.byteOffset, count));
}

/**
 * Number of elements of a tensor that is given as raw bytes.
 * @throws {JubakoError} INVALID_INPUT - the number of bytes does not fit dtype and shape.
 */
export function checkByteLength(dtype: NumericDtype, shape: readonly number[], byteLength: number): number {
  const count = elementCount(shape);
  const wanted = count * DTYPES[dtype].bytes;
  if (byteLength === wanted) return count;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot read a ${dtype} tensor of shape ${formatShape(shape)}: it needs ${wanted} bytes, got ${byteLength}`,
  );
}

/** `parseDtype('float32', 'header Tensor-Dtype')`; names the place in its error. */
export function parseDtype(value: string, where: string): Dtype {
  if (isDtype(value)) return value;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot use ${where} "${value}": the dtypes are ${Object.keys(DTYPES).join(', ')}`,
  );
}
