import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shorten } from '#dist/grpc/shorten.js';

test('shorten leaves alone what fits', () => {
  assert.equal(shorten('abc', 3), 'abc');
  assert.equal(shorten('äöü', 6), 'äöü');
});

test('shorten cuts between characters', () => {
  assert.equal(shorten('abcd', 3), 'abc…');
  assert.equal(shorten('äöü', 5), 'äö…');
  assert.equal(shorten('a😀b', 4), 'a…');
});

test('shorten gives well-formed text within its limit for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(40), (text, maxBytes) => {
      const short = shorten(text, maxBytes);
      assert.ok(Buffer.byteLength(short) <= maxBytes + Buffer.byteLength('…'));
      assert.doesNotThrow(() => encodeURI(short));
    }),
  );
});
