import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NdArray } from '#dist/grpc/bento-messages.js';
import { readNdArray, readRawTensor, toNdArray } from '#dist/grpc/bento-ndarray.js';
import type { TensorSpec } from '#dist/descriptor/descriptor.js';
import { Tensor, tensorOf, type Dtype } from '#dist/tensor/index.js';

function spec(dtype: Dtype, shape: readonly number[] = [-1]): TensorSpec {
  return { kind: 'tensor', dtype, shape, allowNonFinite: false };
}

const read = (dtype: Dtype, given: NdArray, shape?: readonly number[]): Tensor =>
  readNdArray('ndarray', spec(dtype, shape), given);

function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, { code: 'INVALID_INPUT', message });
}

const long = (low: number, high: number, unsigned = false): { low: number; high: number; unsigned: boolean } => ({
  low,
  high,
  unsigned,
});

describe('readNdArray', () => {
  test('takes integers from every list of integers, if they fit exactly', () => {
    for (const dtype of ['uint8', 'uint16', 'uint32', 'int8', 'int16', 'int32'] as const) {
      for (const field of ['int32_values', 'uint32_values'] as const)
        assert.deepEqual([...(read(dtype, { [field]: [0, 127] }).data as Int8Array)], [0, 127]);
      for (const field of ['int64_values', 'uint64_values'] as const)
        assert.deepEqual([...(read(dtype, { [field]: [long(127, 0)] }).data as Int8Array)], [127]);
    }
    for (const dtype of ['int64', 'uint64'] as const) {
      assert.deepEqual([...(read(dtype, { int32_values: [7] }).data as BigInt64Array)], [7n]);
      assert.deepEqual([...(read(dtype, { uint32_values: [4_294_967_295] }).data as BigInt64Array)], [4_294_967_295n]);
      const longs = [long(-1, 0x7fff_ffff)];
      for (const field of ['int64_values', 'uint64_values'] as const)
        assert.deepEqual([...(read(dtype, { [field]: longs }).data as BigInt64Array)], [2n ** 63n - 1n]);
    }
  });

  test('refuses integers outside the range of the dtype', () => {
    refuses(() => read('uint8', { int32_values: [0, 256] }), /ndarray: element 1 is 256; wanted 0 to 255 for uint8/);
    refuses(() => read('uint8', { int32_values: [-1] }), /element 0 is -1; wanted 0 to 255 for uint8/);
    refuses(() => read('int8', { int32_values: [-129] }), /-129; wanted -128 to 127 for int8/);
    refuses(() => read('int16', { uint32_values: [40_000] }), /40000; wanted -32768 to 32767 for int16/);
    refuses(() => read('uint32', { int64_values: [long(0, 1)] }), /4294967296; wanted 0 to 4294967295 for uint32/);
    refuses(() => read('int32', { int64_values: [long(-1, -2)] }), /-4294967297; wanted -2147483648 to/);
    refuses(() => read('int32', { uint64_values: [long(-1, -1)] }), /element 0 is 1844674407370955\d+; wanted/);
    refuses(() => read('uint64', { int32_values: [-1] }), /element 0 is -1; wanted 0 to 18446744073709551615/);
    refuses(() => read('uint64', { int64_values: [long(-2, -1)] }), /element 0 is -2; wanted 0 to/);
    refuses(
      () => read('int64', { uint64_values: [long(1, -0x8000_0000)] }),
      /element 0 is 9223372036854775809; wanted/,
    );
  });

  test('takes floats from every list of numbers, rounded to the nearest', () => {
    assert.deepEqual(read('float32', { double_values: [0.1] }).data, Float32Array.of(0.1));
    assert.deepEqual(read('float64', { float_values: [0.5] }).data, Float64Array.of(0.5));
    assert.deepEqual(read('float16', { float_values: [1, -2] }).data, Uint16Array.of(0x3c00, 0xc000));
    assert.deepEqual(read('bfloat16', { double_values: [1] }).data, Uint16Array.of(0x3f80));
    assert.deepEqual(read('float32', { int32_values: [-3] }).data, Float32Array.of(-3));
    assert.deepEqual(read('float64', { int64_values: [long(-1, -1)] }).data, Float64Array.of(-1));
    assert.deepEqual(read('float64', { uint64_values: [long(-1, -1)] }).data, Float64Array.of(2 ** 64));
  });

  test('takes bools from integers that are 0 or 1', () => {
    assert.deepEqual(read('bool', { bool_values: [true, false] }).data, Uint8Array.of(1, 0));
    assert.deepEqual(read('bool', { int32_values: [1, 0] }).data, Uint8Array.of(1, 0));
    assert.deepEqual(read('bool', { uint64_values: [long(1, 0, true)] }).data, Uint8Array.of(1));
    refuses(() => read('bool', { int64_values: [long(2, 0)] }), /element 0 is 2; wanted 0 to 1 for bool/);
  });

  test('refuses lists of another kind', () => {
    refuses(() => read('int8', { float_values: [1] }), /in float_values; wanted int32_values or .* for int8/);
    refuses(() => read('float32', { bool_values: [true] }), /in bool_values; wanted float_values or/);
    refuses(() => read('bool', { float_values: [1] }), /in float_values; wanted bool_values or .* for bool/);
    refuses(() => read('string', { double_values: [1] }), /in double_values; wanted string_values for string/);
    refuses(() => read('float64', { string_values: ['1'] }), /in string_values; wanted float_values or/);
    refuses(() => read('int8', { dtype: 'DTYPE_DOUBLE', shape: [0] }), /in double_values; wanted int32_values or/);
  });

  test('refuses values that the given dtype does not have, and two lists', () => {
    const two = { float_values: [1], double_values: [1] };
    refuses(() => read('float32', two), /in float_values and in double_values; wanted one list/);
    refuses(
      () => read('float32', { dtype: 'DTYPE_FLOAT', ...two }),
      /in double_values; wanted float_values for DTYPE_FLOAT/,
    );
    refuses(
      () => read('float32', { dtype: 99, float_values: [1] }),
      /its dtype is 99; wanted DTYPE_BOOL, .*DTYPE_FLOAT/,
    );
  });

  test('takes the shape from the descriptor where none is given', () => {
    assert.deepEqual(read('float32', { float_values: [1, 2, 3, 4] }, [-1, 2]).shape, [2, 2]);
    assert.deepEqual(read('float32', { float_values: [1, 2] }, [1, 2]).shape, [1, 2]);
    assert.deepEqual(read('float32', { float_values: [1] }, []).shape, []);
    refuses(() => read('float32', { float_values: [1, 2, 3] }, [-1, 2]), /has 3 elements; wanted a multiple of 2/);
    refuses(() => read('float32', { float_values: [1] }, [1, 2]), /has 1 elements; its shape \[1, 2\] wants 2/);
    refuses(() => read('float32', { float_values: [1] }, [-1, -1]), /cannot be told from \[-1, -1\]; wanted ndarray/);
    refuses(() => read('float32', { float_values: [1] }, [-1, 0]), /cannot be told from \[-1, 0\]/);
    refuses(() => read('float32', {}, [-1, 2]), /neither shape nor values; wanted float32 of shape \[-1, 2\]/);
    refuses(() => read('float32', { dtype: 'DTYPE_FLOAT' }), /neither shape nor values/);
  });

  test('reads an array of no elements from its shape alone', () => {
    assert.deepEqual(read('float32', { shape: [0, 2] }), tensorOf('float32', [0, 2], []));
    assert.deepEqual(read('string', { dtype: 'DTYPE_STRING', shape: [0] }).data, []);
  });

  test('refuses shapes that are negative, overflow or do not fit the number of elements', () => {
    const values = { float_values: [1, 2] };
    const max = 2 ** 31 - 1;
    refuses(() => read('float32', { ...values, shape: [-1, 2] }), /its shape is \[-1, 2\]; wanted sizes from 0 up/);
    refuses(() => read('float32', { ...values, shape: [-1, -2] }), /its shape is \[-1, -2\]; wanted sizes/);
    refuses(() => read('float32', { ...values, shape: [3] }), /float_values has 2 elements; its shape \[3\] wants 3/);
    refuses(() => read('float32', { ...values, shape: [max, max, max] }), /wants 9\.9\d+e\+27/);
    refuses(() => read('float32', { ...values, shape: new Array<number>(32).fill(max) }), /wants \d\.\d+e\+298/);
    refuses(
      () => read('float32', { ...values, shape: new Array<number>(33).fill(1) }),
      /33 dimensions; wanted at most/,
    );
    refuses(() => read('float32', { shape: [1] }), /float_values has 0 elements; its shape \[1\] wants 1/);
  });
});

describe('readRawTensor', () => {
  test('reads elements at any offset and infers the shape', () => {
    const padded = Buffer.alloc(9);
    padded.writeFloatLE(1.5, 1);
    padded.writeFloatLE(-2, 5);
    const tensor = readRawTensor('serialized_bytes', spec('float32', [-1, 2]), padded.subarray(1));
    assert.deepEqual(tensor, tensorOf('float32', [1, 2], [1.5, -2]));
  });

  test('refuses bytes that are no elements of the declared tensor', () => {
    const raw = (dtype: Dtype, shape: readonly number[], bytes: Buffer): unknown =>
      readRawTensor('serialized_bytes', spec(dtype, shape), bytes);
    refuses(() => raw('float32', [-1], Buffer.alloc(5)), /serialized_bytes: it has 5 bytes; wanted a multiple of 4/);
    refuses(() => raw('float32', [-1, 2], Buffer.alloc(4)), /has 1 elements; wanted a multiple of 2/);
    refuses(() => raw('float32', [3], Buffer.alloc(4)), /serialized_bytes has 1 elements; its shape \[3\] wants 3/);
    refuses(() => raw('float32', [-1, -1], Buffer.alloc(4)), /cannot be told from/);
    refuses(() => raw('bool', [-1], Buffer.from([1, 2])), /byte 1 is 2; wanted 0 or 1 for bool/);
    refuses(() => raw('string', [-1], Buffer.from('a')), /texts have no raw form/);
  });
});

describe('toNdArray', () => {
  test('writes a dtype that NDArray lacks as the smallest that holds its values', () => {
    assert.deepEqual(toNdArray(tensorOf('uint8', [1], [255])), {
      dtype: 'DTYPE_UINT32',
      shape: [1],
      uint32_values: [255],
    });
    assert.deepEqual(toNdArray(tensorOf('int8', [1], [-1])).int32_values, [-1]);
    assert.deepEqual(toNdArray(tensorOf('float16', [1], [0x3c00])).float_values, [1]);
    assert.deepEqual(toNdArray(tensorOf('bfloat16', [1], [0x3f80])).float_values, [1]);
  });

  test('repairs half a surrogate pair, which has no UTF-8', () => {
    assert.deepEqual(toNdArray(new Tensor('string', [1], ['\ud800'])).string_values, ['\ufffd']);
  });
});
