import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quoteLongIntegers } from '#dist/inference/exact-integers.js';

test('quoteLongIntegers makes texts of integers of 16 digits and more, and of nothing else', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['[9007199254740993]', '["9007199254740993"]'],
    ['[-9223372036854775808,1]', '["-9223372036854775808",1]'],
    ['[123456789012345]', '[123456789012345]'],
    [
      '[1234567890123456.5, 1234567890123456e2, 1E+1234567890123456]',
      '[1234567890123456.5, 1234567890123456e2, 1E+1234567890123456]',
    ],
    ['{"1234567890123456":"a \\" 1234567890123456"}', '{"1234567890123456":"a \\" 1234567890123456"}'],
    ['9007199254740993', '"9007199254740993"'],
    ['[]', '[]'],
  ];
  for (const [text, wanted] of cases) assert.equal(quoteLongIntegers(text), wanted);
});

test('quoteLongIntegers leaves the meaning of any other JSON as it is', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const quoted = JSON.parse(quoteLongIntegers(text), (_key, value: unknown) =>
        typeof value === 'string' && /^-?\d{16,}$/.test(value) ? Number(value) : value,
      ) as unknown;
      const plain = JSON.parse(text, (_key, value: unknown) =>
        typeof value === 'string' && /^-?\d{16,}$/.test(value) ? Number(value) : value,
      ) as unknown;
      assert.deepEqual(quoted, plain);
    }),
  );
});
