import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import {
  chunksOf,
  DTYPES,
  encodeValue,
  indexOfNonFinite,
  isDtype,
  isTensor,
  Tensor,
  tensorFromBytes,
  tensorFromChunks,
  tensorOf,
  type NumericDtype,
} from '#dist/tensor/index.js';

const NUMERIC = Object.keys(DTYPES).filter((name): name is NumericDtype => isDtype(name) && name !== 'string');
const FLOATS = NUMERIC.filter((dtype) => DTYPES[dtype].isFloat);

/** `bytes` in chunks that end at `cuts`, each in memory of its own at an odd address. */
function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  let start = 0;
  return ends.map((end) => {
    const chunk = new Uint8Array(end - start + 1).subarray(1);
    chunk.set(bytes.subarray(start, end));
    start = end;
    return chunk;
  });
}

function encoded(value: unknown): Buffer {
  const { head, parts } = encodeValue(value);
  return Buffer.concat([head, ...parts]);
}

function threeFloats(): Tensor<'float32'> {
  const bytes = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  return tensorFromChunks('float32', [1, 3], cut(bytes, [3, 7]));
}

const cutsArbitrary = fc.array(fc.nat(), { maxLength: 6 });

void test('a tensor in chunks is the tensor of the joined bytes, wherever they are cut', () => {
  fc.assert(
    fc.property(fc.constantFrom(...NUMERIC), fc.uint8Array({ maxLength: 200 }), cutsArbitrary, (dtype, raw, cuts) => {
      const bytes = raw.subarray(0, raw.length - (raw.length % DTYPES[dtype].bytes));
      const shape = [bytes.length / DTYPES[dtype].bytes];
      const whole = tensorFromBytes(dtype, shape, bytes.slice());
      const chunked = tensorFromChunks(dtype, shape, cut(bytes, cuts));
      assert.ok(isTensor(chunked));
      assert.equal(chunked.rows, whole.rows);
      assert.deepEqual(encoded(chunked), encoded(whole));
      assert.deepEqual(encoded({ a: chunked, b: 1 }), encoded({ a: whole, b: 1 }));
      assert.deepEqual(chunked.data, whole.data);
      assert.deepEqual(encoded(chunked), encoded(whole)); // read or not
      assert.deepEqual(chunked, whole);
    }),
  );
});

void test('bytes that do not fit the shape are refused as for one piece', () => {
  assert.throws(
    () => tensorFromChunks('float32', [2], [new Uint8Array(4), new Uint8Array(3)]),
    (thrown) => thrown instanceof JubakoError && /\[2\]: it needs 8 bytes, got 7/.test(thrown.message),
  );
});

void test('a tensor in chunks shows, copies and serializes like any other', () => {
  const plain = tensorOf('float32', [1, 3], [1, 2, 3]);
  assert.deepEqual(Object.keys(threeFloats()), Object.keys(plain));
  assert.equal(JSON.stringify(threeFloats()), JSON.stringify(plain));
  assert.deepEqual(structuredClone(threeFloats()), structuredClone(plain));
  assert.deepEqual({ ...threeFloats() }, { ...plain });
});

void test('encoding a tensor in chunks passes its chunks on', () => {
  const chunks = [new Uint8Array(5), new Uint8Array(7)];
  assert.deepEqual(encodeValue(tensorFromChunks('float32', [3], chunks)).parts, chunks);
});

void test('what is written into the data of a tensor in chunks is what is sent', () => {
  const tensor = threeFloats();
  tensor.data[1] = 9;
  assert.equal(tensor.data[1], 9);
  assert.deepEqual(encoded(tensor), encoded(tensorOf('float32', [1, 3], [1, 9, 3])));
  const replaced = threeFloats();
  Object.assign(replaced, { data: Float32Array.of(4, 5, 6) });
  assert.deepEqual(encoded(replaced), encoded(tensorOf('float32', [1, 3], [4, 5, 6])));
});

void test('a frozen tensor in chunks keeps its data', () => {
  const tensor = Object.freeze(threeFloats());
  assert.throws(() => Object.assign(tensor, { data: Float32Array.of(4, 5, 6) }), TypeError);
  assert.deepEqual(tensor.data, Float32Array.of(1, 2, 3));
  assert.equal(tensor.data, tensor.data);
  assert.deepEqual(chunksOf(tensor), [new Uint8Array(tensor.data.buffer)]);
});

void test('indexOfNonFinite names the first NaN or infinity, wherever the bytes are cut', () => {
  const bad: Readonly<Record<string, readonly (number | bigint)[]>> = {
    float16: [0x7c00, 0xfc00, 0x7e01],
    bfloat16: [0x7f80, 0xff80, 0x7fc1],
    float32: [NaN, Infinity, -Infinity],
    float64: [NaN, Infinity, -Infinity],
  };
  const count = 20_000; // more bytes than the scratch has
  fc.assert(
    fc.property(
      fc.constantFrom(...FLOATS),
      fc.array(fc.nat({ max: count - 1 }), { maxLength: 2 }),
      fc.nat({ max: 2 }),
      cutsArbitrary,
      (dtype, places, which, cuts) => {
        const whole = tensorOf(dtype, [count], new Float32Array(count).fill(3));
        for (const at of places) whole.data[at] = bad[dtype]?.[which] as never;
        const wanted = places.length === 0 ? -1 : Math.min(...places);
        assert.equal(indexOfNonFinite(whole), wanted);
        const bytes = new Uint8Array(whole.data.buffer);
        assert.equal(indexOfNonFinite(tensorFromChunks(dtype, [count], cut(bytes, cuts))), wanted);
      },
    ),
    { numRuns: 60 },
  );
});

void test('indexOfNonFinite finds the largest finite numbers finite, and nothing in whole numbers', () => {
  const largest = tensorOf('float64', [8], new Float64Array(8).fill(Number.MAX_VALUE));
  assert.equal(indexOfNonFinite(largest), -1);
  assert.equal(indexOfNonFinite(tensorOf('uint16', [1], [0x7c00])), -1);
  assert.equal(indexOfNonFinite(new Tensor('string', [1], ['NaN'])), -1);
});
