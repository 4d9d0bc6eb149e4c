import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import { Tensor, encodeValue, tensorOf } from '#dist/tensor/index.js';
import {
  ValueStreamReader,
  encodeEnd,
  encodeError,
  encodeItem,
  type StreamErrorBody,
  type ValueFrame,
} from '#dist/tensor/value-stream.js';

const MAX_BYTES = 1_000_000;

const isCode = (code: string) => (thrown: unknown) => thrown instanceof JubakoError && thrown.code === code;

function bytesOfItems(items: readonly unknown[], end: Uint8Array): Buffer {
  return Buffer.concat([...items.flatMap((item) => encodeItem(item)), end]);
}

/** The frames of `bytes` when they come in chunks that end at each of `cuts`. */
function readInChunks(bytes: Buffer, cuts: readonly number[]): ValueFrame[] {
  const reader = new ValueStreamReader(MAX_BYTES);
  const frames: ValueFrame[] = [];
  let at = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.byteLength]) {
    const chunk = Buffer.from(bytes.subarray(at, Math.max(at, cut)));
    frames.push(...reader.push(chunk));
    chunk.fill(0xee); // it is free: nothing of it may be held
    at = Math.max(at, cut);
  }
  reader.end();
  return frames;
}

const items = fc.array(
  fc.oneof(
    fc.jsonValue({ noUnicodeString: false }).map((value) => JSON.parse(JSON.stringify(value)) as unknown), // no -0
    fc
      .array(fc.integer({ min: -1000, max: 1000 }), { maxLength: 40 })
      .map((list) => tensorOf('float64', [list.length], list)),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => ({ bytes, words: new Tensor('string', [1], ['wörd']) })),
  ),
  { maxLength: 6 },
);

void test('a stream of values is the same wherever its bytes are cut', () => {
  fc.assert(
    fc.property(items, fc.boolean(), fc.array(fc.nat({ max: 4000 })), (values, fails, cuts) => {
      const error: StreamErrorBody = { code: 'USER_CODE', message: 'größer', requestId: 'r', details: [1] };
      const bytes = bytesOfItems(values, fails ? encodeError(JSON.stringify(error)) : encodeEnd());
      const frames = readInChunks(
        bytes,
        cuts.map((cut) => Math.min(cut, bytes.byteLength)),
      );
      const wanted: unknown[] = values.map((value) => ({ kind: 'item', value }));
      wanted.push(fails ? { kind: 'error', error } : { kind: 'end' });
      assert.deepEqual(frames, wanted);
    }),
  );
});

void test('a stream of values that comes byte by byte keeps the data of its tensors aligned', () => {
  const tensor = tensorOf('float64', [3], [1, 2, 3]);
  const bytes = bytesOfItems(['odd', tensor], encodeEnd());
  const frames = readInChunks(
    bytes,
    Array.from({ length: bytes.byteLength }, (_, i) => i),
  );
  assert.deepEqual(frames[1], { kind: 'item', value: tensor });
});

void test('the data of a tensor is sent as it lies, without a copy', () => {
  const tensor = tensorOf('float32', [2], [1, 2]);
  assert.equal(encodeItem(tensor).at(-1)?.buffer, tensor.data.buffer);
});

void test('every prefix of a stream is told apart from the whole', () => {
  const bytes = bytesOfItems([{ a: 1 }, 'two'], encodeEnd());
  for (let length = 0; length < bytes.byteLength; length += 1) {
    const reader = new ValueStreamReader(MAX_BYTES);
    const frames = reader.push(bytes.subarray(0, length));
    assert.ok(frames.every(({ kind }) => kind === 'item'));
    assert.equal(reader.hasEnded, false);
    assert.throws(() => {
      reader.end();
    }, isCode('LINK_PROTOCOL'));
  }
});

void test('bytes that are no stream of values are LINK_PROTOCOL', () => {
  const frame = (length: number, kind: number, body: readonly number[]): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32LE(length);
    head[4] = kind;
    return Buffer.concat([head, Buffer.from(body)]);
  };
  for (const [name, bytes] of Object.entries({
    'no kind': frame(0, 0, []),
    'unknown kind': frame(1, 3, []),
    'an end with bytes': frame(2, 1, [0]),
    'an empty value': frame(1, 0, []),
    'a value of unknown form': frame(2, 0, [9]),
    'an error that is no JSON': frame(2, 2, [0x7b]),
    'an error that is no UTF-8': frame(3, 2, [0x22, 0xff]),
    'an error that is null': encodeError('null'),
    'an error without a request id': encodeError('{"code":"INTERNAL","message":"m"}'),
    'bytes after the end': Buffer.concat([encodeEnd(), Buffer.of(0)]),
    'a value after an error': Buffer.concat([
      encodeError('{"code":"INTERNAL","message":"m","requestId":"r"}'),
      ...encodeItem(1),
    ]),
  })) {
    assert.throws(() => new ValueStreamReader(MAX_BYTES).push(bytes), isCode('LINK_PROTOCOL'), name);
  }
});

void test('random bytes never do anything but frames or a refusal', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        new ValueStreamReader(100).push(bytes);
      } catch (thrown) {
        assert.ok(thrown instanceof JubakoError);
        assert.ok(['LINK_PROTOCOL', 'TOO_LARGE'].includes(thrown.code), thrown.message);
      }
    }),
  );
});

void test('a frame over the limit is TOO_LARGE at its head, one at the limit is read', () => {
  const value = 'x'.repeat(100);
  const { byteLength } = encodeValue(value);
  const [head, ...rest] = encodeItem(value) as [Uint8Array, ...Uint8Array[]];
  assert.throws(() => new ValueStreamReader(byteLength - 1).push(head), isCode('TOO_LARGE'));
  const reader = new ValueStreamReader(byteLength);
  reader.push(head);
  assert.deepEqual(reader.push(Buffer.concat(rest)), [{ kind: 'item', value }]);
});

void test('a frame that announces gigabytes takes no memory before they come', () => {
  const head = Buffer.from([0xff, 0xff, 0xff, 0xff, 0]);
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 100 }, () => new ValueStreamReader(2 ** 32));
  for (const reader of readers) reader.push(head);
  assert.ok(process.memoryUsage().arrayBuffers - before < 50_000_000);
});

void test('a value that grows over many chunks is whole', () => {
  const tensor = new Tensor(
    'float32',
    [300_000],
    Float32Array.from({ length: 300_000 }, (_, i) => i),
  );
  const bytes = bytesOfItems([tensor], encodeEnd());
  const reader = new ValueStreamReader(2_000_000);
  const frames: ValueFrame[] = [];
  for (let at = 0; at < bytes.byteLength; at += 7_001) frames.push(...reader.push(bytes.subarray(at, at + 7_001)));
  reader.end();
  assert.deepEqual((frames[0] as { readonly value: Tensor<'float32'> }).value.data, tensor.data);
});
