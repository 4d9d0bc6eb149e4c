import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JubakoError } from '#dist/errors.js';

test('JubakoError says when to try again: what it was given, rounded up, else what its row says', () => {
  assert.equal(new JubakoError('QUEUE_FULL', 'full').retryAfterSeconds, 1);
  assert.equal(new JubakoError('INVALID_INPUT', 'wrong').retryAfterSeconds, undefined);
  assert.equal(new JubakoError('RATE_LIMITED', 'slow down', { retryAfterSeconds: 4.001 }).retryAfterSeconds, 5);
  assert.equal(new JubakoError('RATE_LIMITED', 'slow down', { retryAfterSeconds: 0 }).retryAfterSeconds, 0);
});
