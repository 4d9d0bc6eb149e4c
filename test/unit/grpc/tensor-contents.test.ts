import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JubakoError } from '#dist/errors.js';
import { isRawOnly, readBytesElements, readTensor, toContents, toRaw } from '#dist/grpc/tensor-contents.js';
import { Tensor, tensorOf } from '#dist/tensor/index.js';

const NONE = { raw: undefined, contents: undefined };

function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, (thrown) => {
    assert.ok(thrown instanceof JubakoError);
    assert.equal(thrown.code, 'INVALID_INPUT');
    assert.match(thrown.message, message);
    return true;
  });
}

describe('readTensor', () => {
  test('refuses integers outside the range of their dtype', () => {
    const read = (dtype: 'int8' | 'uint8' | 'int16' | 'uint16', contents: object): unknown =>
      readTensor('a', dtype, [1], { raw: undefined, contents });
    refuses(() => read('int8', { int_contents: [128] }), /"a": element 0 is 128; wanted -128 to 127 for INT8/);
    refuses(() => read('int16', { int_contents: [-32_769] }), /-32769; wanted -32768 to 32767 for INT16/);
    refuses(() => read('uint8', { uint_contents: [256] }), /256; wanted 0 to 255 for UINT8/);
    refuses(() => read('uint16', { uint_contents: [65_536] }), /65536; wanted 0 to 65535 for UINT16/);
  });

  test('refuses a raw BOOL byte that is neither 0 nor 1', () => {
    refuses(
      () => readTensor('a', 'bool', [2], { ...NONE, raw: Buffer.from([1, 2]) }),
      /"a": byte 1 .* is 2; wanted 0 or 1/,
    );
  });

  test('reads raw bytes at any offset, aligned or not', () => {
    const padded = Buffer.alloc(9);
    padded.writeFloatLE(1.5, 1);
    padded.writeFloatLE(-2, 5);
    const tensor = readTensor('a', 'float32', [2], { ...NONE, raw: padded.subarray(1) });
    assert.deepEqual(tensor.data, Float32Array.of(1.5, -2));
  });

  test('reads an empty tensor from no contents at all', () => {
    assert.equal(readTensor('a', 'float32', [0, 4], NONE).data.length, 0);
  });

  test('refuses elements in two fields', () => {
    const contents = { fp32_contents: [1], int_contents: [1] };
    refuses(
      () => readTensor('a', 'float32', [1], { raw: undefined, contents }),
      /in int_contents; wanted fp32_contents/,
    );
  });

  test('refuses BYTES elements that are not UTF-8', () => {
    const contents = { bytes_contents: [Buffer.from('a'), Buffer.from([0xff])] };
    refuses(() => readTensor('a', 'string', [2], { raw: undefined, contents }), /"a": element 1 is not UTF-8/);
  });
});

describe('readBytesElements', () => {
  const read = (count: number, ...bytes: number[]): unknown =>
    readBytesElements('a', [count], { ...NONE, raw: Buffer.from(bytes) });

  test('refuses raw contents that end within a length or an element', () => {
    refuses(() => read(1, 1, 0, 0), /element 0 of its raw contents ends after byte 3/);
    refuses(() => read(1, 2, 0, 0, 0, 65), /element 0 of its raw contents ends after byte 5/);
    refuses(() => read(2, 0, 0, 0, 0, 255, 255, 255, 255), /element 1 of its raw contents ends after byte 8/);
  });

  test('refuses another number of elements than the shape has', () => {
    refuses(() => read(2, 0, 0, 0, 0), /have 1 elements; wanted 2/);
  });
});

describe('toContents and toRaw', () => {
  test('write a tensor that is a view into a larger buffer', () => {
    const words = BigInt64Array.of(1n, -2n, 3n);
    const tensor = new Tensor('int64', [1], words.subarray(1, 2));
    assert.deepEqual(toContents(tensor), { int64_contents: [{ low: -2, high: -1, unsigned: false }] });
    assert.equal(Buffer.from(toRaw(tensor)).readBigInt64LE(), -2n);
  });

  test('write text as UTF-8, raw with its length in bytes', () => {
    const tensor = new Tensor('string', [2], ['ü', '']);
    assert.deepEqual(toContents(tensor), { bytes_contents: [Buffer.from('ü'), Buffer.alloc(0)] });
    assert.deepEqual(toRaw(tensor), Buffer.from([2, 0, 0, 0, 0xc3, 0xbc, 0, 0, 0, 0]));
  });

  test('have no typed form for FP16 and BF16', () => {
    assert.ok(isRawOnly('float16') && isRawOnly('bfloat16') && !isRawOnly('float32'));
    assert.throws(() => toContents(tensorOf('float16', [1], [1])), TypeError);
  });
});
