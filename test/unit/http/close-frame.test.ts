import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameBoundary } from '#dist/http/close-frame.js';

/** A frame as RFC 6455 5.2 has it. */
function frame(length: number, isMasked: boolean): Buffer {
  const short = length < 126 ? length : length < 65_536 ? 126 : 127;
  const extended = Buffer.alloc(short === 126 ? 2 : short === 127 ? 8 : 0);
  if (short === 126) extended.writeUInt16BE(length);
  if (short === 127) extended.writeBigUInt64BE(BigInt(length));
  const head = Buffer.from([0x82, short | (isMasked ? 0x80 : 0)]);
  return Buffer.concat([head, extended, Buffer.alloc(isMasked ? 4 : 0), Buffer.alloc(length, 0xff)]);
}

const anyFrame = fc
  .tuple(fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(125, 126, 65_535, 65_536)), fc.boolean())
  .map(([length, isMasked]) => frame(length, isMasked));

test('FrameBoundary knows where each frame ends, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 5 }), fc.array(fc.integer({ min: 1, max: 70_000 })), (frames, cuts) => {
      const bytes = Buffer.concat(frames);
      let end = 0;
      const ends = new Set([0, ...frames.map(({ length }) => (end += length))]);
      const boundary = new FrameBoundary();
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        const chunk = bytes.subarray(at, at + cut);
        assert.equal(boundary.see(chunk, false), chunk.length);
        at += chunk.length;
        assert.equal(boundary.isAtBoundary, ends.has(at), `after ${at} bytes`);
      }
    }),
  );
});

test('FrameBoundary stops behind the frame that has begun when it is asked to', () => {
  const first = frame(300, false);
  const both = Buffer.concat([first, frame(5, false)]);
  for (const begun of [1, 2, 3, 4, 100, first.length - 1]) {
    const boundary = new FrameBoundary();
    boundary.see(both.subarray(0, begun), false);
    assert.equal(boundary.see(both.subarray(begun), true), first.length - begun);
    assert.equal(boundary.isAtBoundary, true);
    assert.equal(boundary.see(both.subarray(first.length), true), 0);
  }
});
