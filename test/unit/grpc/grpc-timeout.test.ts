import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTimeout } from '#dist/grpc/grpc-timeout.js';

test('parseTimeout reads every unit as ms', () => {
  const cases = {
    '1H': 3_600_000,
    '2M': 120_000,
    '3S': 3000,
    '250m': 250,
    '1500u': 1.5,
    '99999999n': 99.999999,
    '0m': 0,
  };
  for (const [text, wanted] of Object.entries(cases)) {
    assert.ok(Math.abs((parseTimeout(text) ?? NaN) - wanted) < 1e-9, `${text}: ${parseTimeout(text)}`);
  }
});

test('parseTimeout takes what no timer can count for no timeout', () => {
  assert.equal(parseTimeout('2147483S'), 2_147_483_000);
  for (const text of ['2147484S', '99999999H', '99999999M', '99999999S'])
    assert.equal(parseTimeout(text), Infinity, text);
});

test('parseTimeout refuses every other text', () => {
  for (const text of ['', 'soon', '5', 'S', '5 S', '5s', '-5S', '1.5S', '123456789S', 'x5S', '5Sx', '5S, 6S', '٥S']) {
    assert.equal(parseTimeout(text), undefined, text);
  }
});
