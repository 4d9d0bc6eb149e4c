import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import {
  allocateData,
  bytesOf,
  decodeValue,
  DTYPES,
  encodeJsonText,
  encodeValue,
  isDtype,
  isNumericTensor,
  peekValue,
  Tensor,
  tensorOf,
  type Dtype,
  type EncodedValue,
} from '#dist/tensor/index.js';

const DTYPE_NAMES = Object.keys(DTYPES).filter(isDtype);

/** One body, at an 8-aligned address plus `shift`, as a frame would hold it. */
function bodyOf(encoded: EncodedValue, shift = 0): Buffer {
  const body = Buffer.from(new ArrayBuffer(encoded.byteLength + shift), shift, encoded.byteLength);
  let at = 0;
  for (const piece of [encoded.head, ...encoded.parts]) {
    body.set(piece, at);
    at += piece.byteLength;
  }
  assert.equal(at, encoded.byteLength);
  return body;
}

function roundTrip(value: unknown, shift = 0): unknown {
  return decodeValue(bodyOf(encodeValue(value), shift));
}

const isCode = (code: string) => (thrown: unknown) => thrown instanceof JubakoError && thrown.code === code;

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
const tensors: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom<Dtype>(...DTYPE_NAMES), shapes)
  .chain(([dtype, shape]): fc.Arbitrary<Tensor> => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (dtype === 'string') {
      return fc
        .array(fc.string({ unit: 'grapheme' }), { minLength: count, maxLength: count })
        .map((data) => new Tensor('string', shape, data));
    }
    const byteLength = count * DTYPES[dtype].bytes;
    return fc.uint8Array({ minLength: byteLength, maxLength: byteLength }).map((bytes) => {
      const data = allocateData(dtype, count);
      new Uint8Array(data.buffer).set(bytes);
      return new Tensor(dtype, shape, data);
    });
  });

// JSON.parse gives no -0 and no key twice; "\u0000" as a key is refused beside tensors, which has a test of its own.
const keys = fc.string().filter((key) => key !== '\u0000');
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, 1.5, 'text'),
    fc.string({ unit: 'grapheme' }),
    tensors,
    fc.uint8Array({ maxLength: 20 }),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(keys, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

function plainTensor(tensor: Tensor): unknown {
  const data = isNumericTensor(tensor) ? Buffer.from(bytesOf(tensor)).toString('hex') : tensor.data;
  return { tensor: tensor.dtype, shape: tensor.shape, data };
}

/** Comparable by deepEqual: bit patterns for numbers, so that NaN payloads count. */
function plain(value: unknown): unknown {
  if (value instanceof Tensor) return plainTensor(value as Tensor);
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return new Map(Object.entries(value).map(([key, child]) => [key, plain(child)]));
  }
  return value;
}

test('encodeValue + decodeValue give back any tensor, at any alignment', () => {
  fc.assert(
    fc.property(tensors, fc.integer({ min: 0, max: 7 }), (tensor, shift) => {
      assert.deepEqual(plain(roundTrip(tensor, shift)), plain(tensor));
    }),
    { numRuns: 500 },
  );
});

test('encodeValue + decodeValue give back any tree of JSON, tensors and bytes', () => {
  fc.assert(
    fc.property(tree, fc.constantFrom(0, 1), (value, shift) => {
      assert.deepEqual(plain(roundTrip(value, shift)), plain(value));
    }),
    { numRuns: 1000 },
  );
});

test('encodeValue + decodeValue give back any JSON value as JSON.parse(JSON.stringify()) does', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.deepEqual(roundTrip(value), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('decodeValue gives a view, not a copy, of an aligned tensor', () => {
  const body = bodyOf(encodeValue(tensorOf('float64', [2, 1, 1], [1, 2])));
  const tensor = decodeValue(body) as Tensor<'float64'>;
  assert.equal(tensor.data.buffer, body.buffer);
  assert.deepEqual([...tensor.data], [1, 2]);
});

test('encodeValue does not copy the data of tensors', () => {
  const tensor = tensorOf('float32', [2], [1, 2]);
  assert.equal(encodeValue(tensor).parts[0]?.buffer, tensor.data.buffer);
  assert.ok(encodeValue({ tensor }).parts.some((part) => part.buffer === tensor.data.buffer));
});

test('encodeValue places each tensor of a tree at a multiple of 8', () => {
  const encoded = encodeValue([
    new Uint8Array(3),
    tensorOf('float64', [1], [7]),
    'x',
    tensorOf('uint8', [5], [1, 2, 3, 4, 5]),
  ]);
  const [, tensor] = decodeValue(bodyOf(encoded)) as [unknown, Tensor<'float64'>];
  assert.equal(tensor.data.byteOffset % 8, 0);
});

test('encodeValue writes undefined as null, as a missing answer', () => {
  assert.equal(roundTrip(undefined), null);
});

test('encodeValue honours toJSON, also beside tensors', () => {
  const at = new Date(0);
  assert.deepEqual(roundTrip({ at }), { at: '1970-01-01T00:00:00.000Z' });
  const both = roundTrip({ at, bytes: Uint8Array.of(1) }) as { at: unknown };
  assert.equal(both.at, '1970-01-01T00:00:00.000Z');
});

test('encodeValue sends a Buffer as bytes, not as its JSON', () => {
  const { bytes } = roundTrip({ bytes: Buffer.from('abc') }) as { bytes: Uint8Array };
  assert.deepEqual([...bytes], [97, 98, 99]);
});

test('decodeValue keeps "__proto__" a key like any other', () => {
  const hostile: unknown = JSON.parse('{"__proto__":{"isAdmin":true},"bytes":0}');
  Object.assign(hostile as object, { bytes: Uint8Array.of(1) });
  const decoded = roundTrip(hostile) as object;
  assert.ok(Object.hasOwn(decoded, '__proto__'));
  assert.equal((decoded as { isAdmin?: boolean }).isAdmin, undefined);
});

const cycle: { self?: unknown[]; tensor?: unknown } = {};
cycle.self = [cycle, cycle];
const lateCycle: { tensor: unknown; self?: unknown } = { tensor: tensorOf('uint8', [1], [1]) };
lateCycle.self = [lateCycle, lateCycle];
let deep: unknown = 1;
for (let level = 0; level < 100_000; level += 1) deep = [deep];

for (const [what, value] of [
  ['a bigint', 1n],
  ['a function', () => 1],
  ['a symbol', Symbol('x')],
  ['a bigint beside a tensor', { big: 1n, tensor: tensorOf('uint8', [1], [1]) }],
  ['a value that refers to itself', cycle],
  ['a value that refers to itself after a tensor', lateCycle],
  ['a value nested 100,000 levels deep', deep],
  ['a bare Float32Array', { data: new Float32Array(2) }],
  ['an ArrayBuffer', new ArrayBuffer(2)],
  ['the key "\\u0000" beside a tensor', { '\u0000': 0, tensor: tensorOf('uint8', [1], [1]) }],
  ['a tensor of 256 dimensions', tensorOf('uint8', new Array<number>(256).fill(1), [1])],
] as const) {
  test(`encodeValue refuses ${what} with INVALID_INPUT`, () => {
    assert.throws(() => encodeValue(value), isCode('INVALID_INPUT'));
  });
}

test('encodeJsonText + peekValue pass text on without a copy', () => {
  const text = Buffer.from('{"a":1}');
  const encoded = encodeJsonText(text);
  assert.equal(encoded.parts[0], text);
  const peeked = peekValue(bodyOf(encoded));
  assert.ok(peeked.form === 'json');
  assert.equal(Buffer.from(peeked.text).toString(), '{"a":1}');
  assert.deepEqual(decodeValue(bodyOf(encoded)), { a: 1 });
});

test('peekValue tells tensors and trees apart and decodes them', () => {
  const tensor = peekValue(bodyOf(encodeValue(tensorOf('int8', [1], [-1]))));
  assert.ok(tensor.form === 'tensor' && tensor.tensor.dtype === 'int8');
  const peekedTree = peekValue(bodyOf(encodeValue({ x: Uint8Array.of(9) })));
  assert.ok(peekedTree.form === 'tree');
  assert.deepEqual(plain(peekedTree.decode()), plain({ x: Uint8Array.of(9) }));
});

function u32(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

for (const [what, body] of [
  ['an empty body', Buffer.alloc(0)],
  ['an unknown form', Buffer.from([9])],
  ['text that is not JSON', Buffer.from('\u0000{')],
  ['a tensor cut off in its head', Buffer.from([1, 12, 1])],
  ['a tensor of an unknown dtype', Buffer.concat([Buffer.from([1, 99, 0, 0]), u32(0)])],
  ['a tensor whose shape and bytes differ', Buffer.concat([Buffer.from([1, 12, 1, 0]), u32(4, 2, 0, 0)])],
  ['a tensor with bytes behind it', Buffer.concat([Buffer.from([1, 12, 0, 0]), u32(4, 0, 0)])],
  ['dimensions whose product overflows', Buffer.concat([Buffer.from([1, 2, 3, 0]), u32(0, 2 ** 31, 2 ** 31, 0, 0)])],
  ['a billion strings in no bytes', Buffer.concat([Buffer.from([1, 14, 1, 0]), u32(0, 1e9, 0)])],
  ['a string longer than its tensor', Buffer.concat([Buffer.from([1, 14, 1, 0]), u32(4, 1, 0, 9)])],
  ['a tree cut off in its head', Buffer.concat([Buffer.from([2, 0, 0, 0]), u32(0)])],
  [
    'a tree with four billion parts',
    Buffer.concat([Buffer.from([2, 0, 0, 0]), u32(1, 2 ** 32 - 1, 0), Buffer.from('1       ')]),
  ],
  [
    'a placeholder without its part',
    Buffer.concat([Buffer.from([2, 0, 0, 0]), u32(12, 0, 0), Buffer.from('{"\\u0000":3}    ')]),
  ],
  [
    'a placeholder that is no number',
    Buffer.concat([Buffer.from([2, 0, 0, 0]), u32(22, 0, 0), Buffer.from('{"\\u0000":"__proto__"}  ')]),
  ],
] as const) {
  test(`decodeValue refuses ${what} with LINK_PROTOCOL`, () => {
    assert.throws(() => decodeValue(body), isCode('LINK_PROTOCOL'));
  });
}

test('decodeValue answers mutated bodies with a value or LINK_PROTOCOL, nothing else', () => {
  const bodies = [
    tensorOf('float32', [2, 3], [1, 2, 3, 4, 5, 6]),
    new Tensor('string', [2], ['a', 'bc']),
    { a: [tensorOf('int64', [1], [1n]), Uint8Array.of(1, 2, 3)], b: 'text' },
    { plain: [1, 2, 3] },
  ].map((value) => bodyOf(encodeValue(value)));
  fc.assert(
    fc.property(
      fc.constantFrom(...bodies),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
      fc.nat(),
      (original, changes, cut) => {
        const body = Buffer.from(original.subarray(0, original.length - (cut % 3 === 0 ? cut % original.length : 0)));
        for (const [at, byte] of changes) body[at % body.length] = byte;
        try {
          decodeValue(body);
        } catch (thrown) {
          assert.ok(isCode('LINK_PROTOCOL')(thrown), String(thrown));
        }
      },
    ),
    { numRuns: 50_000 },
  );
});
