import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { json, tensor, tensors } from '#dist/service/index.js';
import { DTYPES, Tensor, tensorOf, type Dtype } from '#dist/tensor/index.js';
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '#dist/tensor/float16.js';

const IMAGE = json({
  type: 'object',
  properties: { pixels: { type: 'array', items: { type: 'number', maximum: 16 }, minItems: 2 } },
  required: ['pixels'],
  additionalProperties: false,
});

for (const [what, value, message] of [
  ['a missing field', {}, /\/ must have required property 'pixels'/],
  ['a wrong element', { pixels: [1, 'x'] }, /\/pixels\/1 must be number, got "x"/],
  ['a number out of range', { pixels: [1, 99] }, /\/pixels\/1 must be <= 16, got 99/],
  ['a list too short', { pixels: [1] }, /\/pixels must NOT have fewer than 2 items/],
  ['a key too many', { pixels: [1, 2], more: 1 }, /must NOT have additional properties \("more"\)/],
  ['another type', [1], /\/ must be object, got a list of 1/],
  ['NaN', { pixels: [1, NaN] }, /\/pixels\/1 must be .*, got NaN/],
] as const) {
  test(`json() refuses ${what} with path, wish and value`, () => {
    assert.throws(() => IMAGE.fromJson(value), { code: 'INVALID_INPUT', message });
  });
}

test('json() without a schema takes anything, and writes undefined as null', () => {
  assert.equal(json().fromJson(5), 5);
  assert.equal(json().toJson(undefined), null);
});

test('json() refuses a schema that is none when it is prepared', () => {
  assert.throws(() => json({ type: 'nope' }).prepare?.(), { code: 'SERVICE_INVALID' });
});

for (const [what, dtype, shape, value, message] of [
  ['a flat list for a matrix', 'float32', [-1, 2], [1, 2], /\/0 must be a list, got 1/],
  ['rows of different length', 'float32', [-1, -1], [[1, 2], [3]], /\/1 must be a list of 2, got a list of 1/],
  ['a text', 'float32', [-1, 2], [[1, 'x']], /\/0\/1 must be a number, got "x"/],
  ['null', 'float32', [-1, 2], [[1, null]], /\/0\/1 must be a number, got null/],
  ['a fraction for an integer', 'int32', [-1], [1.5], /\/0 must be a whole number/],
  ['an integer out of range', 'uint8', [-1], [256], /from 0 to 255, got 256/],
  ['a wrong size', 'float32', [-1, 2], [[1, 2, 3]], /shape \[1, 3\]: wanted \[-1, 2\]/],
  ['an infinity', 'float32', [-1], [Infinity], /NaN or infinity/],
  ['a negative size', 'float32', [-1, 2], { shape: [-1, 2], data: [] }, /-1 is not a whole number/],
  ['sizes that overflow', 'float32', [-1, -1], { shape: [1e9, 1e9], data: [] }, /more than/],
  ['too little data', 'float32', [-1, 2], { shape: [2, 2], data: [1] }, /must have 4 elements, got 1/],
  ['base64 of the wrong length', 'float32', [-1, 2], { shape: [1, 2], data: 'AAAA' }, /needs 8 bytes, got 3/],
  ['an inexact 64-bit integer', 'int64', [-1], [2 ** 53], /as text beyond/],
  ['a scalar', 'float32', [-1], 5, /must be a list, got 5/],
] as const) {
  test(`tensor() refuses ${what}`, () => {
    assert.throws(() => tensor(dtype, shape).fromJson(value), { code: 'INVALID_INPUT', message });
  });
}

test('tensor() round trips every dtype through JSON', () => {
  const samples: Partial<Record<Dtype, unknown[]>> = {
    bool: [true, false],
    string: ['a', 'ü'],
    int64: ['-9223372036854775808', 5],
    uint64: ['18446744073709551615', 0],
  };
  for (const dtype of Object.keys(DTYPES) as Dtype[]) {
    const values = samples[dtype] ?? [1, 0];
    const described = tensor(dtype, [-1, 2]);
    assert.deepEqual(described.toJson(described.fromJson([values])), [values], dtype);
  }
});

test('tensor() takes shape and data, flat or as base64', () => {
  const described = tensor('float32', [-1, 2]);
  const bytes = Buffer.from(new Float32Array([1, 2, 3, 4]).buffer).toString('base64');
  for (const data of [[1, 2, 3, 4], bytes]) {
    assert.deepEqual(described.toJson(described.fromJson({ shape: [2, 2], data })), [
      [1, 2],
      [3, 4],
    ]);
  }
});

test('tensor() lets NaN through where it is allowed', () => {
  const value = tensorOf('float32', [1], [NaN]);
  assert.throws(() => tensor('float32', [-1]).check(value), { code: 'INVALID_INPUT' });
  assert.equal(tensor('float32', [-1], { allowNonFinite: true }).check(value), value);
});

test('tensors() wants every tensor, no other, and equal rows', () => {
  const pair = tensors({ a: tensor('float32', [-1, 1]), b: tensor('int32', [-1]) });
  assert.deepEqual(pair.toJson(pair.fromJson({ a: [[1], [2]], b: [3, 4] })), { a: [[1], [2]], b: [3, 4] });
  assert.throws(() => pair.fromJson({ a: [[1]] }), { message: /"b" is missing/ });
  assert.throws(() => pair.fromJson({ a: [[1]], b: [1], c: 1 }), { message: /"c": the tensors are a, b/ });
  assert.throws(() => pair.fromJson({ a: [[1]], b: [1, 2] }), { message: /"b" has 2 rows, "a" has 1/ });
  assert.throws(() => pair.fromJson({ a: [[1]], b: ['x'] }), { message: /Tensor "b": .*\/0 must be a whole number/ });
});

test('16-bit floats survive the way to numbers and back, bit by bit', () => {
  for (let bits = 0; bits < 65_536; bits += 1) {
    const half = fromFloat16(bits);
    if (Number.isNaN(half)) assert.ok(Number.isNaN(fromFloat16(toFloat16(half))));
    else assert.equal(toFloat16(half), bits === 0x8000 ? 0x8000 : bits);
    const brain = fromBfloat16(bits);
    if (!Number.isNaN(brain)) assert.equal(toBfloat16(brain), bits);
  }
});

test('toFloat16 rounds to the nearest half', () => {
  fc.assert(
    fc.property(fc.double({ min: -65_504, max: 65_504, noNaN: true }), (value) => {
      const single = Math.fround(value);
      const bits = toFloat16(value);
      const error = Math.abs(fromFloat16(bits) - single);
      for (const neighbour of [bits - 1, bits + 1]) {
        const other = fromFloat16(neighbour & 0xffff);
        if (Number.isFinite(other)) assert.ok(error <= Math.abs(other - single));
      }
    }),
  );
});

test('Tensor refuses data that does not fill its shape', () => {
  assert.throws(() => new Tensor('float32', [2, 2], new Float32Array(3)), {
    code: 'INVALID_INPUT',
    message: /needs 4 elements, the data has 3/,
  });
});
