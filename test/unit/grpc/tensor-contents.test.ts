import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JubakoError } from '#dist/errors.js';
import { TypedElements, isRawOnly, toContents, type TensorContents } from '#dist/grpc/tensor-contents.js';
import { toPorts, type Port } from '#dist/inference/ports.js';
import { Tensor, tensorOf, type Dtype } from '#dist/tensor/index.js';

function portOf(dtype: Dtype): Port {
  const [port] = toPorts({ kind: 'tensor', dtype, shape: [-1], allowNonFinite: false }, 'a').list;
  assert.ok(port !== undefined);
  return port;
}

function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, (thrown) => {
    assert.ok(thrown instanceof JubakoError);
    assert.equal(thrown.code, 'INVALID_INPUT');
    assert.match(thrown.message, message);
    return true;
  });
}

const read = (dtype: Dtype, shape: readonly number[], contents: TensorContents | undefined): Tensor =>
  new TypedElements(contents).readTensor(portOf(dtype), shape);

describe('TypedElements', () => {
  test('refuse integers outside the range of their dtype', () => {
    refuses(() => read('int8', [1], { int_contents: [128] }), /"a": element 0 is 128; wanted -128 to 127 for INT8/);
    refuses(() => read('int16', [1], { int_contents: [-32_769] }), /-32769; wanted -32768 to 32767 for INT16/);
    refuses(() => read('uint8', [1], { uint_contents: [256] }), /256; wanted 0 to 255 for UINT8/);
    refuses(() => read('uint16', [1], { uint_contents: [65_536] }), /65536; wanted 0 to 65535 for UINT16/);
  });

  test('give an empty tensor for no contents at all', () => {
    assert.equal(read('float32', [0, 4], undefined).data.length, 0);
  });

  test('refuse elements in two fields', () => {
    refuses(
      () => read('float32', [1], { fp32_contents: [1], int_contents: [1] }),
      /in int_contents; wanted fp32_contents/,
    );
  });

  test('refuse BYTES elements that are not UTF-8', () => {
    const contents = { bytes_contents: [Buffer.from('a'), Buffer.from([0xff])] };
    refuses(() => read('string', [2], contents), /"a": element 1 is not UTF-8/);
  });
});

describe('toContents', () => {
  test('writes a tensor that is a view into a larger buffer', () => {
    const words = BigInt64Array.of(1n, -2n, 3n);
    const tensor = new Tensor('int64', [1], words.subarray(1, 2));
    assert.deepEqual(toContents(tensor), { int64_contents: [{ low: -2, high: -1, unsigned: false }] });
  });

  test('writes text as UTF-8', () => {
    const tensor = new Tensor('string', [2], ['ü', '']);
    assert.deepEqual(toContents(tensor), { bytes_contents: [Buffer.from('ü'), Buffer.alloc(0)] });
  });

  test('has no typed form for FP16 and BF16', () => {
    assert.ok(isRawOnly('float16') && isRawOnly('bfloat16') && !isRawOnly('float32'));
    assert.throws(() => toContents(tensorOf('float16', [1], [1])), TypeError);
  });
});
