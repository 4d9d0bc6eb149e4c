import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_JSON_DEPTH, parseJson } from '#dist/descriptor/json-value.js';

for (const [what, bytes, message] of [
  ['an empty body', Buffer.alloc(0), /it is empty/],
  ['malformed JSON', Buffer.from('{"a":'), /Cannot read the body as JSON/],
  ['NaN', Buffer.from('[NaN]'), /Cannot read the body as JSON/],
  ['invalid UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), /not UTF-8/],
  ['100,000 levels of lists', Buffer.from('['.repeat(100_000) + ']'.repeat(100_000)), /nested more than/],
  ['100,000 levels of objects', Buffer.from('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)), /nested more than/],
  ['a __proto__ key', Buffer.from('{"a":{"__proto__":{"admin":true}}}'), /"__proto__" is not allowed/],
  ['an escaped __proto__ key', Buffer.from('{"\\u005f_proto__":1}'), /"__proto__" is not allowed/],
] as const) {
  test(`parseJson refuses ${what} with INVALID_INPUT`, () => {
    assert.throws(() => parseJson(bytes), { code: 'INVALID_INPUT', message });
  });
}

test('parseJson does not count brackets inside texts', () => {
  const text = `${'['.repeat(1000)}\\"${'{'.repeat(1000)}`;
  assert.deepEqual(parseJson(Buffer.from(JSON.stringify({ text }))), { text });
});

test('parseJson takes the deepest nesting that is allowed', () => {
  const text = '['.repeat(MAX_JSON_DEPTH) + ']'.repeat(MAX_JSON_DEPTH);
  assert.equal(JSON.stringify(parseJson(Buffer.from(text))), text);
});

test('parseJson leaves a text that merely mentions __proto__ alone', () => {
  assert.deepEqual(parseJson(Buffer.from('{"a":"\\"__proto__\\""}')), { a: '"__proto__"' });
});
