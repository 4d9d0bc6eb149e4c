import { JubakoError } from '../errors.js';
import {
  DTYPES,
  Tensor,
  allocateData,
  elementCount,
  formatShape,
  isNumericTensor,
  tensorFromBytes,
  type Dtype,
  type NumericDtype,
} from '../tensor/index.js';
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../tensor/float16.js';
import { decodeBase64 } from './base64.js';
import { preview } from './preview.js';

// Tensors as JSON: nested lists, or `{ "shape": [1, 64], "data": [flat list] | "base64 of little-endian bytes" }`.
// Lists are the slowest part of a JSON API (limits.md: 142 µs for 784 numbers); binary bodies cost nothing.

/** @throws {JubakoError} INVALID_INPUT - names the path of the first value that does not fit. */
export function tensorFromJson(dtype: Dtype, rank: number, json: unknown): Tensor {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return fromObject(dtype, json);
  const shape = shapeOfLists(json, rank);
  const sink = createSink(dtype, elementCount(shape));
  fill(sink, json, shape, 0, '');
  return new Tensor(dtype, shape, sink.data as never);
}

interface TensorObject {
  readonly shape?: unknown;
  readonly data?: unknown;
}

function fromObject(dtype: Dtype, { shape, data }: TensorObject): Tensor {
  if (!Array.isArray(shape) || !shape.every((size): size is number => typeof size === 'number')) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read a tensor: /shape must be a list of numbers, got ${preview(shape)}`,
    );
  }
  const count = elementCount(shape);
  if (typeof data === 'string' && dtype !== 'string') return tensorFromBytes(dtype, shape, decodeBase64(data, '/data'));
  if (!Array.isArray(data)) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read a tensor: /data must be a flat list or base64 text, got ${preview(data)}`,
    );
  }
  if (data.length !== count) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read a tensor of shape ${formatShape(shape)}: /data must have ${count} elements, got ${data.length}`,
    );
  }
  const sink = createSink(dtype, count);
  fill(sink, data, [count], 0, '/data');
  return new Tensor(dtype, shape, sink.data as never);
}

/** JSON Pointer of the root is '' ; people read '/' better. */
function rooted(path: string): string {
  return path === '' ? '/' : path;
}

/** The shape that the first element of each level gives; `fill` checks the others against it. */
function shapeOfLists(json: unknown, rank: number): number[] {
  const shape: number[] = [];
  let level = json;
  for (let axis = 0; axis < rank; axis += 1) {
    if (!Array.isArray(level)) {
      const path = rooted('/0'.repeat(axis));
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot read a tensor of ${rank} dimensions: ${path} must be a list, got ${preview(level)}`,
      );
    }
    shape.push(level.length);
    if (level.length === 0 && axis < rank - 1) {
      while (shape.length < rank) shape.push(0);
      return shape;
    }
    level = level[0];
  }
  return shape;
}

interface Sink {
  readonly data: unknown;
  put(index: number, value: unknown): boolean;
  readonly wanted: string;
  next: number;
}

function fill(sink: Sink, json: unknown, shape: readonly number[], axis: number, path: string): void {
  if (axis === shape.length) {
    if (!sink.put(sink.next, json)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot read a tensor: ${rooted(path)} must be ${sink.wanted}, got ${preview(json)}`,
        {
          details: [{ path: rooted(path), message: `must be ${sink.wanted}` }],
        },
      );
    }
    sink.next += 1;
    return;
  }
  const size = shape[axis] ?? 0;
  if (!Array.isArray(json) || json.length !== size) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read a tensor: ${rooted(path)} must be a list of ${size}, got ${preview(json)}`,
      {
        details: [{ path: rooted(path), message: `must be a list of ${size}` }],
      },
    );
  }
  if (axis === shape.length - 1) {
    // The innermost lists carry nearly all elements: no call and no path per element.
    for (let i = 0; i < size; i += 1) {
      if (!sink.put(sink.next + i, json[i])) fill({ ...sink, next: sink.next + i }, json[i], [], 0, `${path}/${i}`);
    }
    sink.next += size;
    return;
  }
  for (let i = 0; i < size; i += 1) fill(sink, json[i], shape, axis + 1, `${path}/${i}`);
}

function createSink(dtype: Dtype, count: number): Sink {
  if (dtype === 'string') {
    const data = new Array<string>(count);
    return {
      data,
      next: 0,
      wanted: 'a text',
      put: (i, value) => typeof value === 'string' && ((data[i] = value), true),
    };
  }
  const data = allocateData<NumericDtype>(dtype, count) as Float64Array;
  return { data, next: 0, ...putterOf(dtype, data) };
}

type Putter = Pick<Sink, 'put' | 'wanted'>;

function putterOf(dtype: NumericDtype, data: Float64Array): Putter {
  switch (dtype) {
    case 'float32':
    case 'float64':
      return { wanted: 'a number', put: (i, value) => typeof value === 'number' && ((data[i] = value), true) };
    case 'float16':
      return {
        wanted: 'a number',
        put: (i, value) => typeof value === 'number' && ((data[i] = toFloat16(value)), true),
      };
    case 'bfloat16':
      return {
        wanted: 'a number',
        put: (i, value) => typeof value === 'number' && ((data[i] = toBfloat16(value)), true),
      };
    case 'bool':
      return {
        wanted: 'true or false',
        put: (i, value) =>
          (typeof value === 'boolean' || value === 0 || value === 1) && ((data[i] = Number(value)), true),
      };
    case 'int64':
    case 'uint64':
      return bigPutter(dtype, data as unknown as BigInt64Array);
    default:
      return integerPutter(dtype, data);
  }
}

function integerPutter(dtype: NumericDtype, data: Float64Array): Putter {
  const [low, high] = (DTYPES[dtype].range ?? [0n, 0n]).map(Number) as [number, number];
  return {
    wanted: `a whole number from ${low} to ${high}`,
    put: (i, value) =>
      typeof value === 'number' &&
      Number.isInteger(value) &&
      value >= low &&
      value <= high &&
      ((data[i] = value), true),
  };
}

/** 64-bit integers beyond 2^53 are not exact as JSON numbers for most writers, so decimal text is taken too. */
function bigPutter(dtype: NumericDtype, data: BigInt64Array): Putter {
  const [low, high] = DTYPES[dtype].range ?? [0n, 0n];
  return {
    wanted: `a whole number from ${low} to ${high} (as text beyond 2^53)`,
    put: (i, value) => {
      const exact =
        typeof value === 'number'
          ? Number.isSafeInteger(value)
          : typeof value === 'string' && /^-?\d{1,20}$/.test(value);
      if (!exact) return false;
      const big = BigInt(value as number | string);
      if (big < low || big > high) return false;
      data[i] = big;
      return true;
    },
  };
}

/** Nested lists; 64-bit integers beyond 2^53 become decimal text. */
export function tensorToJson(tensor: Tensor): unknown {
  const flat = toPlain(tensor);
  return nest(flat, tensor.shape, 0, { at: 0 });
}

function nest(flat: ArrayLike<unknown>, shape: readonly number[], axis: number, cursor: { at: number }): unknown {
  if (axis === shape.length) return flat[cursor.at++];
  const size = shape[axis] ?? 0;
  const list = new Array<unknown>(size);
  if (axis === shape.length - 1) for (let i = 0; i < size; i += 1) list[i] = flat[cursor.at++];
  else for (let i = 0; i < size; i += 1) list[i] = nest(flat, shape, axis + 1, cursor);
  return list;
}

function toPlain(tensor: Tensor): ArrayLike<unknown> {
  if (!isNumericTensor(tensor)) return tensor.data;
  const data = tensor.data;
  switch (tensor.dtype) {
    case 'bool':
      return Array.from(data as Uint8Array, (bit) => bit !== 0);
    case 'float16':
      return Array.from(data as Uint16Array, fromFloat16);
    case 'bfloat16':
      return Array.from(data as Uint16Array, fromBfloat16);
    case 'int64':
    case 'uint64':
      return Array.from(data as BigInt64Array, (big) =>
        Number.isSafeInteger(Number(big)) ? Number(big) : big.toString(),
      );
    default:
      return data;
  }
}
