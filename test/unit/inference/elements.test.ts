import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import { TypedElements, isRawOnly, toContents } from '#dist/grpc/tensor-contents.js';
import { JsonElements, JsonText, toJsonList } from '#dist/inference/json-elements.js';
import { quoteLongIntegers } from '#dist/inference/exact-integers.js';
import type { Elements } from '#dist/inference/infer-request.js';
import { toPorts, type Port } from '#dist/inference/ports.js';
import { RawElements, toRaw } from '#dist/inference/raw-elements.js';
import { fromBfloat16, fromFloat16 } from '#dist/tensor/float16.js';
import { DTYPES, Tensor, allocateData, type Dtype, type NumericDtype } from '#dist/tensor/index.js';

// Every dtype in every form that carries elements: raw bytes, typed contents, JSON.

const ALL_DTYPES = Object.keys(DTYPES) as Dtype[];

function portOf(dtype: Dtype): Port {
  const [port] = toPorts({ kind: 'tensor', dtype, shape: [-1, -1], allowNonFinite: true }, 'a').list;
  assert.ok(port !== undefined);
  return port;
}

/** Any bits; as a number that JSON has where `isFinite`. */
function elementOf(dtype: NumericDtype, isFinite: boolean): fc.Arbitrary<number | bigint> {
  switch (dtype) {
    case 'bool':
      return fc.constantFrom(0, 1);
    case 'int64':
      return fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
    case 'uint64':
      return fc.bigInt(0n, 2n ** 64n - 1n);
    case 'float16':
      return fc.nat(0xffff).filter((bits) => !isFinite || Number.isFinite(fromFloat16(bits)));
    case 'bfloat16':
      return fc.nat(0xffff).filter((bits) => !isFinite || Number.isFinite(fromBfloat16(bits)));
    case 'float32':
      return fc.float({ noNaN: true, noDefaultInfinity: isFinite });
    case 'float64':
      return fc.double({ noNaN: true, noDefaultInfinity: isFinite });
    default: {
      const [low, high] = DTYPES[dtype].range ?? [0n, 0n];
      return fc.integer({ min: Number(low), max: Number(high) });
    }
  }
}

function tensorOf(dtype: Dtype, isFinite: boolean): fc.Arbitrary<Tensor> {
  return fc.tuple(fc.nat(4), fc.nat(4)).chain(([rows, columns]): fc.Arbitrary<Tensor> => {
    const count = { minLength: rows * columns, maxLength: rows * columns };
    if (dtype === 'string') {
      const text = fc.string({ unit: 'grapheme' });
      return fc.array(text, count).map((list) => new Tensor('string', [rows, columns], list));
    }
    return fc.array(elementOf(dtype, isFinite), count).map((list) => {
      const data = allocateData(dtype, list.length);
      data.set(list as never);
      return new Tensor(dtype, [rows, columns], data);
    });
  });
}

/** Bit for bit, but for the sign of zero where `-0` is 0 in the form. */
function assertSame(read: Tensor, wanted: Tensor, hasNegativeZero = true): void {
  assert.equal(read.dtype, wanted.dtype);
  assert.deepEqual(read.shape, wanted.shape);
  const [a, b] = [[...(read.data as Iterable<unknown>)], [...(wanted.data as Iterable<unknown>)]];
  if (hasNegativeZero) assert.deepEqual(a, b);
  else a.forEach((value, i) => assert.ok(value === b[i] || isZeroBits(read.dtype, value, b[i])));
}

function isZeroBits(dtype: Dtype, a: unknown, b: unknown): boolean {
  return (dtype === 'float16' || dtype === 'bfloat16') && a === 0 && b === 0x8000;
}

function jsonElements(text: string): Elements {
  const json = new JsonText(Buffer.from(text));
  return new JsonElements(JSON.parse(text), () => json.exact);
}

/** A flat list of numbers as one of lists. */
function nested(list: string, [rows = 0, columns = 0]: readonly number[]): string {
  const items = JSON.parse(quoteLongIntegers(list)) as unknown[];
  const texts = items.map(String);
  const lines = Array.from({ length: rows }, (_, i) => `[${texts.slice(i * columns, (i + 1) * columns).join(',')}]`);
  return `[${lines.join(',')}]`;
}

for (const dtype of ALL_DTYPES) {
  describe(`elements of ${dtype}`, () => {
    const port = portOf(dtype);

    test('come back from raw bytes, cut anywhere and at any offset', () => {
      fc.assert(
        fc.property(
          tensorOf(dtype, false),
          fc.nat(7),
          fc.array(fc.nat(100), { maxLength: 3 }),
          (tensor, offset, cuts) => {
            const raw = toRaw(tensor);
            const padded = Buffer.alloc(raw.byteLength + offset);
            padded.set(raw, offset);
            const bytes = padded.subarray(offset);
            const ends = [...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length];
            const chunks = ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
            assertSame(new RawElements(chunks).readTensor(port, tensor.shape), tensor);
          },
        ),
      );
    });

    if (!isRawOnly(dtype)) {
      test('come back from typed contents', () => {
        fc.assert(
          fc.property(tensorOf(dtype, false), (tensor) => {
            const contents = toContents(tensor) as Readonly<Record<string, readonly unknown[]>>;
            const sent = Object.fromEntries(Object.entries(contents).filter(([, list]) => list.length > 0));
            assertSame(new TypedElements(sent).readTensor(port, tensor.shape), tensor);
          }),
        );
      });
    }

    test('come back from a flat JSON list, and from nested ones', () => {
      fc.assert(
        fc.property(tensorOf(dtype, true), (tensor) => {
          const text = toJsonList(tensor);
          assertSame(jsonElements(text).readTensor(port, tensor.shape), tensor, false);
          if (dtype === 'string') return;
          assertSame(jsonElements(nested(text, tensor.shape)).readTensor(port, tensor.shape), tensor, false);
        }),
      );
    });
  });
}

function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, (thrown) => {
    assert.ok(thrown instanceof JubakoError);
    assert.equal(thrown.code, 'INVALID_INPUT');
    assert.match(thrown.message, message);
    return true;
  });
}

describe('JSON elements', () => {
  const read = (dtype: Dtype, text: string, shape: readonly number[]): Tensor =>
    jsonElements(text).readTensor(portOf(dtype), shape);

  test('keep every digit of 64-bit integers, as numbers and as texts', () => {
    const text = '[9223372036854775807, -9223372036854775808, "9007199254740993", 1]';
    assert.deepEqual(
      [...(read('int64', text, [4]).data as BigInt64Array)],
      [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 1n],
    );
    assert.deepEqual([...(read('uint64', '[18446744073709551615]', [1]).data as BigUint64Array)], [2n ** 64n - 1n]);
    assert.equal(toJsonList(read('int64', text, [4])), '[9223372036854775807,-9223372036854775808,9007199254740993,1]');
  });

  test('refuse what does not fit, naming element and wanted', () => {
    refuses(() => read('float32', '[1, "2"]', [2]), /"a": element 1 of its data is "2"; wanted a number$/);
    refuses(() => read('float32', '[1, null]', [2]), /element 1 of its data is null; wanted a number/);
    refuses(() => read('float32', '[1, 2]', [3]), /"a": its data is a list of 2; wanted a list of 3, by its shape/);
    refuses(() => read('float32', '7', [1]), /its data is 7; wanted a list of 1/);
    refuses(() => read('float32', '[[1, 2], [3]]', [2, 2]), /its data at \/1 is a list of 1; wanted a list of 2/);
    refuses(() => read('float32', '[[1, 2], 3]', [2, 2]), /its data at \/1 is 3; wanted a list of 2/);
    refuses(() => read('float32', '[[[1]]]', [1, 1]), /element 0 of its data is a list of 1; wanted a number/);
    refuses(() => read('int8', '[128]', [1]), /element 0 of its data is 128; wanted a whole number from -128 to 127/);
    refuses(() => read('int32', '[1.5]', [1]), /is 1.5; wanted a whole number/);
    refuses(() => read('uint64', '[-1]', [1]), /is -1; wanted a whole number from 0 to 18446744073709551615/);
    refuses(() => read('int64', '[9223372036854775808]', [1]), /is "9223372036854775808"; wanted a whole number/);
    refuses(() => read('int64', '[1e30]', [1]), /is 1e\+30; wanted a whole number/);
    refuses(() => read('bool', '[2]', [1]), /is 2; wanted true or false/);
    refuses(() => read('string', '[1]', [1]), /is 1; wanted a text/);
  });

  test('write NaN and infinities as null', () => {
    const tensor = new Tensor('float32', [4], Float32Array.of(1, NaN, Infinity, -Infinity));
    assert.equal(toJsonList(tensor), '[1,null,null,null]');
  });

  test('round numbers for FP16 and BF16 to the nearest', () => {
    assert.deepEqual([...(read('float16', '[1.0004, 65504]', [2]).data as Uint16Array)], [0x3c00, 0x7bff]);
    assert.deepEqual([...(read('bfloat16', '[1.001]', [1]).data as Uint16Array)], [0x3f80]);
  });
});

describe('raw elements', () => {
  const bytes = (count: number, ...raw: number[]): unknown =>
    new RawElements([Buffer.from(raw)]).readBytes(portOf('string'), [count]);

  test('refuse a number of bytes that is not that of the shape', () => {
    const read = (): unknown => new RawElements([Buffer.alloc(7)]).readTensor(portOf('float32'), [1, 2]);
    refuses(read, /"a": its raw contents have 7 bytes; wanted 8 for FP32 of shape \[1, 2\]/);
  });

  test('refuse a BOOL byte that is neither 0 nor 1', () => {
    const read = (): unknown => new RawElements([Buffer.from([1, 2])]).readTensor(portOf('bool'), [2]);
    refuses(read, /"a": byte 1 .* is 2; wanted 0 or 1/);
  });

  test('refuse BYTES that end within a length or an element, or are too few or many', () => {
    refuses(() => bytes(1, 1, 0, 0), /element 0 of its raw contents ends after byte 3/);
    refuses(() => bytes(1, 2, 0, 0, 0, 65), /element 0 of its raw contents ends after byte 5/);
    refuses(() => bytes(2, 0, 0, 0, 0, 255, 255, 255, 255), /element 1 of its raw contents ends after byte 8/);
    refuses(() => bytes(2, 0, 0, 0, 0), /have 1 elements; wanted 2/);
    refuses(() => bytes(0, 0, 0, 0, 0), /have 1 elements; wanted 0/);
  });

  test('refuse texts that are not UTF-8', () => {
    const raw = Buffer.from([1, 0, 0, 0, 0xff]);
    refuses(() => new RawElements([raw]).readTensor(portOf('string'), [1]), /"a": element 0 is not UTF-8/);
  });

  test('are not copied where they are aligned, or large', () => {
    const aligned = Buffer.from(new ArrayBuffer(8));
    assert.equal(
      (new RawElements([aligned]).readTensor(portOf('float32'), [2]).data as Float32Array).buffer,
      aligned.buffer,
    );
    const large = Buffer.from(new ArrayBuffer(80_001)).subarray(1);
    const tensor = new RawElements([large]).readTensor(portOf('float32'), [20_000]);
    large.writeFloatLE(5, 4);
    assert.equal((tensor.data as Float32Array)[1], 5); // read only now
  });
});
