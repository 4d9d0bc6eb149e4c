import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBase64, encodeBase64 } from '#dist/descriptor/base64.js';

test('decodeBase64 reads what encodeBase64 writes, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.deepEqual(new Uint8Array(decodeBase64(encodeBase64(bytes), '/')), bytes);
    }),
  );
});

test('decodeBase64 never reads two texts as the same bytes', () => {
  const alphabet = fc.constantFrom(...'ABab01+/=-_ \n\u0141');
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), (characters) => {
      const text = characters.join('');
      let bytes: Uint8Array;
      try {
        bytes = decodeBase64(text, '/');
      } catch (thrown) {
        assert.equal((thrown as { code?: string }).code, 'INVALID_INPUT');
        return;
      }
      assert.equal(encodeBase64(bytes), text);
    }),
    { numRuns: 2000 },
  );
});

for (const [what, text, message] of [
  ['a character of the other alphabet', 'AB-D', /\/data has "-" at character 2, wanted base64/],
  ['a line break', 'AAAA\nAAAA', /has "\\n" at character 4/],
  ['a letter that looks right in one byte', 'AAA\u0141', /has "\u0141" at character 3/],
  ['padding in the middle', 'AA==AAAA', /has "=" at character 2/],
  ['padding that is missing', 'AAA', /has 3 characters, which is no multiple of 4/],
  ['padding alone', 'A===', /has "=" at character 1/],
  ['bits left over', 'AB==', /has bits left over at character 1/],
  ['a data URL', 'data:image/png;base64,AAAA', /has ":" at character 4/],
] as const) {
  test(`decodeBase64 refuses ${what} and says where`, () => {
    assert.throws(() => decodeBase64(text, '/data'), { code: 'INVALID_INPUT', message });
  });
}
