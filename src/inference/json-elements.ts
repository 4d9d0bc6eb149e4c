import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../tensor/float16.js';
import {
  DTYPES,
  Tensor,
  allocateData,
  elementCount,
  indexOfNonFinite,
  type Dtype,
  type NumericDtype,
} from '../tensor/index.js';
import { preview } from '../descriptor/preview.js';
import { quoteLongIntegers } from './exact-integers.js';
import type { Elements } from './infer-request.js';
import type { Port } from './ports.js';
import { unreadable } from './raw-elements.js';

// Elements as JSON: one flat list, or lists in lists as the shape says.
// J1 INT64 and UINT64 are exact both ways. `JSON.parse` rounds beyond 2^53, so a request with such a number is parsed once
//    more, with those numbers as texts; others don't pay for that.
// J2 FP16 and BF16 are numbers here, rounded to the nearest; the protocol has no JSON form of its own for them.
// J3 JSON has no NaN and no infinities: they are written as null, and null is not read.

/** A JSON text that has been parsed, and may have to be once more. */
export class JsonText {
  readonly #bytes: Buffer;
  #exact: unknown;

  /** @param bytes - of a text that is valid. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Its value with long integers as texts (J1). */
  get exact(): unknown {
    this.#exact ??= JSON.parse(quoteLongIntegers(this.#bytes.toString('utf8'))) as unknown;
    return this.#exact;
  }
}

export class JsonElements implements Elements {
  readonly #data: unknown;
  readonly #exactData: () => unknown;

  /** @param exactData - the same, from `JsonText.exact`. */
  constructor(data: unknown, exactData: () => unknown) {
    this.#data = data;
    this.#exactData = exactData;
  }

  readTensor({ name, dtype }: Port, shape: readonly number[]): Tensor {
    if (dtype === 'string') return new Tensor('string', shape, this.#texts(name, shape));
    const data = allocateData(dtype, elementCount(shape));
    const fill = (from: unknown): Misfit | undefined => place(from, shape, FILLERS[dtype](data as never));
    let misfit = fill(this.#data);
    if (misfit !== undefined && is64Bit(dtype) && typeof misfit.value === 'number') misfit = fill(this.#exactData()); // J1
    if (misfit !== undefined) throw toError(name, misfit, wantedOf(dtype));
    return new Tensor(dtype, shape, data);
  }

  readBytes({ name }: Port, shape: readonly number[]): readonly Buffer[] {
    return this.#texts(name, shape).map((text) => Buffer.from(text, 'utf8'));
  }

  #texts(name: string, shape: readonly number[]): readonly string[] {
    const texts = new Array<string>(elementCount(shape));
    const misfit = place(this.#data, shape, (list, at) => {
      for (let i = 0; i < list.length; i += 1) {
        const value = list[i];
        if (typeof value !== 'string') return i;
        texts[at + i] = value;
      }
      return -1;
    });
    if (misfit !== undefined) throw toError(name, misfit, 'a text');
    return texts;
  }
}

/** The elements of a tensor as the text of a flat JSON list. */
export function toJsonList(tensor: Tensor): string {
  switch (tensor.dtype) {
    case 'string':
      return JSON.stringify(tensor.data);
    case 'bool':
      return `[${Array.from(tensor.data as Uint8Array, (bit) => (bit === 0 ? 'false' : 'true')).join(',')}]`;
    case 'float16':
      return JSON.stringify(Array.from(tensor.data as Uint16Array, fromFloat16));
    case 'bfloat16':
      return JSON.stringify(Array.from(tensor.data as Uint16Array, fromBfloat16));
    case 'float32':
    case 'float64':
      if (indexOfNonFinite(tensor) !== -1) return JSON.stringify(Array.from(tensor.data as Float64Array)); // J3
      return `[${(tensor.data as Float64Array).join(',')}]`;
    default:
      return `[${(tensor.data as BigInt64Array | Int32Array).join(',')}]`; // J1
  }
}

/** Puts the values of one innermost list at `at`; the position of the first that does not fit, or -1. */
type Fill = (list: readonly unknown[], at: number) => number;

type Misfit =
  | { readonly kind: 'element'; readonly index: number; readonly value: unknown }
  /** Not a list, or one of another length. */
  | { readonly kind: 'list'; readonly path: string; readonly wanted: number; readonly value: unknown };

function place(data: unknown, shape: readonly number[], fill: Fill): Misfit | undefined {
  const count = elementCount(shape);
  if (!Array.isArray(data)) return { kind: 'list', path: '', wanted: count, value: data };
  const list = data as readonly unknown[];
  if (!Array.isArray(list[0])) {
    return list.length === count ? placeList(list, 0, fill) : { kind: 'list', path: '', wanted: count, value: data };
  }
  return placeNested(list, shape, 0, { next: 0 }, '', fill);
}

function placeNested(
  data: unknown,
  shape: readonly number[],
  axis: number,
  cursor: { next: number },
  path: string,
  fill: Fill,
): Misfit | undefined {
  const size = shape[axis] ?? 0;
  if (!Array.isArray(data) || data.length !== size) return { kind: 'list', path, wanted: size, value: data };
  const list = data as readonly unknown[];
  if (axis === shape.length - 1) {
    const at = cursor.next;
    cursor.next += size;
    return placeList(list, at, fill);
  }
  for (let i = 0; i < size; i += 1) {
    const misfit = placeNested(list[i], shape, axis + 1, cursor, `${path}/${i}`, fill);
    if (misfit !== undefined) return misfit;
  }
  return undefined;
}

function placeList(list: readonly unknown[], at: number, fill: Fill): Misfit | undefined {
  const bad = fill(list, at);
  return bad === -1 ? undefined : { kind: 'element', index: at + bad, value: list[bad] };
}

function toError(name: string, misfit: Misfit, wanted: string): Error {
  const given = preview(misfit.value);
  if (misfit.kind === 'element')
    return unreadable(name, `element ${misfit.index} of its data is ${given}; wanted ${wanted}`);
  const where = misfit.path === '' ? 'its data' : `its data at ${misfit.path}`;
  return unreadable(name, `${where} is ${given}; wanted a list of ${misfit.wanted}, by its shape`);
}

function is64Bit(dtype: Dtype): boolean {
  return dtype === 'int64' || dtype === 'uint64';
}

function wantedOf(dtype: NumericDtype): string {
  if (dtype === 'bool') return 'true or false';
  const { range } = DTYPES[dtype];
  return range === undefined ? 'a number' : `a whole number from ${range[0]} to ${range[1]}`;
}

const FILLERS: { readonly [D in NumericDtype]: (data: never) => Fill } = {
  bool: fillBools,
  uint8: fillIntegers('uint8'),
  uint16: fillIntegers('uint16'),
  uint32: fillIntegers('uint32'),
  uint64: fillBigs('uint64'),
  int8: fillIntegers('int8'),
  int16: fillIntegers('int16'),
  int32: fillIntegers('int32'),
  int64: fillBigs('int64'),
  float16: fillBits(toFloat16),
  bfloat16: fillBits(toBfloat16),
  float32: fillFloats,
  float64: fillFloats,
};

function fillFloats(data: Float32Array | Float64Array): Fill {
  return (list, at) => {
    for (let i = 0; i < list.length; i += 1) {
      const value = list[i];
      if (typeof value !== 'number') return i;
      data[at + i] = value;
    }
    return -1;
  };
}

function fillBits(toBits: (value: number) => number): (data: Uint16Array) => Fill {
  return (data) => (list, at) => {
    for (let i = 0; i < list.length; i += 1) {
      const value = list[i];
      if (typeof value !== 'number') return i;
      data[at + i] = toBits(value);
    }
    return -1;
  };
}

function fillBools(data: Uint8Array): Fill {
  return (list, at) => {
    for (let i = 0; i < list.length; i += 1) {
      const value = list[i];
      if (typeof value !== 'boolean' && value !== 0 && value !== 1) return i;
      data[at + i] = Number(value);
    }
    return -1;
  };
}

function fillIntegers(dtype: NumericDtype): (data: Int32Array) => Fill {
  const [low, high] = (DTYPES[dtype].range ?? [0n, 0n]).map(Number) as [number, number];
  return (data) => (list, at) => {
    for (let i = 0; i < list.length; i += 1) {
      const value = list[i];
      if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) return i;
      data[at + i] = value;
    }
    return -1;
  };
}

const DECIMAL = /^-?\d{1,20}$/;

/** Written as two words where the number is exact as it is: no BigInt per element. */
function fillBigs(dtype: 'int64' | 'uint64'): (data: BigInt64Array) => Fill {
  const [low, high] = DTYPES[dtype].range ?? [0n, 0n];
  const least = Number(low);
  return (data) => {
    const words = new Uint32Array(data.buffer, data.byteOffset, data.length * 2);
    return (list, at) => {
      for (let i = 0; i < list.length; i += 1) {
        const value = list[i];
        if (typeof value === 'number') {
          if (!Number.isSafeInteger(value) || value < least) return i;
          words[2 * (at + i)] = value >>> 0;
          words[2 * (at + i) + 1] = Math.floor(value / 2 ** 32);
        } else {
          if (typeof value !== 'string' || !DECIMAL.test(value)) return i;
          const big = BigInt(value);
          if (big < low || big > high) return i;
          data[at + i] = big;
        }
      }
      return -1;
    };
  };
}
