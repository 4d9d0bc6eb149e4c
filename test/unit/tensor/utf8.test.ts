import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8, webUtf8, type Utf8 } from '#dist/tensor/utf8.js';

const web = webUtf8();

/** Any UTF-16, halves of pairs and byte order marks included. */
const texts = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.constantFrom('', '\uFEFF', '\uFEFFa', '\uD800', '\uDC00\uD800', 'a\uD83Dz'),
);

function written(by: Utf8, text: string, at: number): Uint8Array {
  const bytes = by.allocate(at + by.byteLengthOf(text));
  assert.equal(by.write(bytes, text, at), bytes.byteLength - at);
  return new Uint8Array(bytes.subarray(at));
}

test('utf8 writes and reads by Buffer what it writes and reads in browsers', () => {
  fc.assert(
    fc.property(texts, fc.nat(9), (text, at) => {
      const bytes = written(web, text, at);
      assert.deepEqual(written(utf8, text, at), bytes);
      assert.equal(web.read(bytes, 0, bytes.byteLength), utf8.read(bytes, 0, bytes.byteLength));
      if (!/\p{Surrogate}/u.test(text)) assert.equal(web.read(bytes, 0, bytes.byteLength), text);
    }),
  );
});

test('utf8 reads a piece of bytes that lie anywhere, and puts U+FFFD for what is not UTF-8', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), fc.nat(5), (bytes, shift) => {
      const buffer = new Uint8Array(bytes.byteLength + shift);
      buffer.set(bytes, shift);
      const moved = buffer.subarray(shift);
      const start = Math.min(1, bytes.byteLength);
      assert.equal(web.read(moved, start, bytes.byteLength), utf8.read(moved, start, bytes.byteLength));
    }),
  );
  assert.equal(web.read(Uint8Array.of(0x61, 0xff), 0, 2), 'a\uFFFD');
});

test('utf8 allocates what is asked for, in a buffer of its own where that is asked for', () => {
  for (const by of [utf8, web]) {
    assert.equal(by.allocate(3).byteLength, 3);
    const own = by.allocateOwn(3);
    assert.deepEqual([own.byteOffset, own.buffer.byteLength], [0, 3]);
  }
});
