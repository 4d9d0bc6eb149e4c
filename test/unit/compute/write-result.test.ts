import assert from 'node:assert/strict';
import { test } from 'node:test';
import { json, tensor, tensors, type Tensor } from '#dist/index.js';
import { writeResult, writeValue } from '#dist/compute/write-result.js';
import { buffersOf } from '#dist/compute/thread-messages.js';
import type { MethodDefinition } from '#dist/service/define.js';
import { tensorOf } from '#dist/tensor/index.js';

const FLOATS = tensor('float32', [-1, 2]);

function method(output: MethodDefinition['output'], batch?: object): MethodDefinition {
  return { input: FLOATS, output, run: () => undefined, ...(batch !== undefined && { batch }) };
}

test('writeResult copies what the model may go on using', () => {
  const output = tensorOf('float32', [1, 2], [1, 2]);
  const result = writeResult(method(FLOATS, {}), output, 1, 'r.run', [new ArrayBuffer(8)]);
  assert.deepEqual(result, {
    kind: 'tensors',
    tensors: [{ name: '', dtype: 'float32', shape: [1, 2], data: output.data }],
  });
  assert.notEqual(buffersOf(result)[0], output.data.buffer);
});

test('writeResult moves the input on where it is the output, once', () => {
  const input = tensorOf('float32', [1, 2], [1, 2]);
  const { buffer } = input.data as Float32Array<ArrayBuffer>;
  const both = method(tensors({ a: FLOATS, b: FLOATS }), {});
  const result = writeResult(both, { a: input, b: input }, 1, 'r.run', [buffer]);
  const [a, b] = buffersOf(result);
  assert.equal(a, buffer);
  assert.notEqual(b, buffer);
  assert.equal(new Set(buffersOf(result)).size, 2);
});

test('writeResult copies an output that is a part of the input', () => {
  const input = tensorOf('float32', [2, 2], [1, 2, 3, 4]);
  const { buffer } = input.data as Float32Array<ArrayBuffer>;
  const part = tensorOf('float32', [1, 2], [0, 0]);
  const half = { ...part, data: input.data.subarray(2) };
  const output = Object.setPrototypeOf(half, Object.getPrototypeOf(part) as object) as Tensor;
  const result = writeResult(method(FLOATS), output, 1, 'r.run', [buffer]);
  assert.deepEqual(result.kind === 'tensors' && result.tensors[0]?.data, Float32Array.of(3, 4));
  assert.notEqual(buffersOf(result)[0], buffer);
});

test('writeResult refuses a tensor whose buffer has moved away', () => {
  const output = tensorOf('float32', [1, 2], [1, 2]);
  structuredClone(output.data, { transfer: [output.data.buffer as ArrayBuffer] });
  assert.throws(() => writeResult(method(FLOATS), output, 1, 'r.run', []), {
    code: 'USER_CODE',
    message: /r\.run gave a tensor whose data is gone/,
  });
});

test('writeResult refuses another number of rows than came in', () => {
  const rows = (count: number): Tensor => tensorOf('float32', [count, 2], new Array<number>(count * 2).fill(0));
  assert.throws(() => writeResult(method(FLOATS, {}), rows(2), 3, 'r.run', []), /r\.run gave 2 rows for a batch of 3/);
  const both = method(tensors({ a: FLOATS, b: FLOATS }), {});
  assert.throws(() => writeResult(both, { a: rows(1), b: rows(2) }, 1, 'r.run', []), /USER_CODE|rows/);
  assert.throws(() => writeResult(method(json(), {}), [1], 2, 'r.run', []), /a list of 1 for a batch of 2/);
  assert.throws(() => writeResult(method(json(), {}), 'text', 2, 'r.run', []), /a string for a batch of 2/);
});

test('writeResult writes JSON values one after another, with the end of each', () => {
  const result = writeResult(method(json(), {}), ['ß', undefined, [1, 2]], 3, 'r.run', []);
  assert.ok(result.kind === 'json');
  assert.equal(Buffer.from(result.text).toString(), '"ß"null[1,2]');
  assert.deepEqual(result.ends, [4, 8, 13]);
});

test('writeResult refuses what does not fit, and what has no JSON', () => {
  const wrong = tensorOf('float32', [1, 3], [1, 2, 3]);
  assert.throws(() => writeResult(method(FLOATS), wrong, 1, 'r.run', []), {
    code: 'USER_CODE',
    message: /r\.run gave an output that does not fit/,
  });
  assert.throws(() => writeValue(json(), () => 1, 'r.run'), /r\.run gave a function, which has no JSON/);
  assert.throws(() => writeValue(json(), 1n, 'r.run'), /BigInt/);
});
