import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from '#dist/supervisor/line-splitter.js';

function split(pieces: readonly Uint8Array[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const piece of pieces) splitter.add(Buffer.from(piece));
  splitter.end();
  return lines;
}

test('LineSplitter gives the same lines however the bytes are cut', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ' '));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(5)), (lines, cuts) => {
      const bytes = Buffer.from(lines.join('\n'));
      const pieces: Uint8Array[] = [];
      let at = 0;
      for (const cut of cuts) {
        pieces.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      pieces.push(bytes.subarray(at));
      assert.deepEqual(
        split(pieces),
        lines.filter((text) => text !== ''),
      );
    }),
  );
});

test('LineSplitter cuts a line that does not end, and keeps no more than a piece of it', () => {
  const lines = split([Buffer.alloc(20_000, 'x'), Buffer.from('\nend')]);
  assert.deepEqual(
    lines.map(({ length }) => length),
    [8192, 8192, 3616, 3],
  );
});

test('LineSplitter takes CRLF for one line end', () => {
  assert.deepEqual(split([Buffer.from('a\r\nb\r\n')]), ['a', 'b']);
});
