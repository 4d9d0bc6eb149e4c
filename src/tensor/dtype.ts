// The element types that Jubako knows, one row each. The wire code of a dtype never changes; new ones are appended.

/** Typed array that holds the elements of a dtype; `float16` and `bfloat16` are raw 16-bit patterns, `bool` is 0 or 1. */
export interface DtypeData {
  bool: Uint8Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  float32: Float32Array;
  float64: Float64Array;
  /** UTF-8 text; OIP calls it BYTES. */
  string: readonly string[];
}

export type Dtype = keyof DtypeData;
export type NumericDtype = Exclude<Dtype, 'string'>;

export interface DtypeRow {
  /** Code on the runner link. */
  readonly wire: number;
  /** Bytes of one element; 0 for `string`, whose elements vary. */
  readonly bytes: number;
  /** Name in the Open Inference Protocol. */
  readonly oip: string;
  readonly isFloat: boolean;
  /** Inclusive range of an integer dtype. */
  readonly range?: readonly [bigint, bigint];
}

export const DTYPES: Readonly<Record<Dtype, DtypeRow>> = {
  bool: { wire: 1, bytes: 1, oip: 'BOOL', isFloat: false, range: [0n, 1n] },
  uint8: { wire: 2, bytes: 1, oip: 'UINT8', isFloat: false, range: [0n, 255n] },
  uint16: { wire: 3, bytes: 2, oip: 'UINT16', isFloat: false, range: [0n, 65_535n] },
  uint32: { wire: 4, bytes: 4, oip: 'UINT32', isFloat: false, range: [0n, 4_294_967_295n] },
  uint64: { wire: 5, bytes: 8, oip: 'UINT64', isFloat: false, range: [0n, 2n ** 64n - 1n] },
  int8: { wire: 6, bytes: 1, oip: 'INT8', isFloat: false, range: [-128n, 127n] },
  int16: { wire: 7, bytes: 2, oip: 'INT16', isFloat: false, range: [-32_768n, 32_767n] },
  int32: { wire: 8, bytes: 4, oip: 'INT32', isFloat: false, range: [-(2n ** 31n), 2n ** 31n - 1n] },
  int64: { wire: 9, bytes: 8, oip: 'INT64', isFloat: false, range: [-(2n ** 63n), 2n ** 63n - 1n] },
  float16: { wire: 10, bytes: 2, oip: 'FP16', isFloat: true },
  bfloat16: { wire: 11, bytes: 2, oip: 'BF16', isFloat: true },
  float32: { wire: 12, bytes: 4, oip: 'FP32', isFloat: true },
  float64: { wire: 13, bytes: 8, oip: 'FP64', isFloat: true },
  string: { wire: 14, bytes: 0, oip: 'BYTES', isFloat: false },
};

const BY_WIRE = new Map<number, Dtype>();
for (const [name, row] of Object.entries(DTYPES)) {
  BY_WIRE.set(row.wire, name as Dtype);
}

export function isDtype(value: string): value is Dtype {
  return Object.hasOwn(DTYPES, value);
}

export function dtypeFromWire(code: number): Dtype | undefined {
  return BY_WIRE.get(code);
}
