import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JubakoError } from '#dist/errors.js';
import { toRunFailure } from '#dist/compute/run-failure.js';

test('toRunFailure keeps code, message, details and stack', () => {
  const thrown = new JubakoError('INVALID_INPUT', 'not like this', { details: [{ path: '/a' }] });
  assert.deepEqual(toRunFailure(thrown), {
    error: { code: 'INVALID_INPUT', message: 'not like this', details: [{ path: '/a' }] },
    stack: thrown.stack,
  });
  assert.equal(toRunFailure(new TypeError('no')).error.code, 'USER_CODE');
  assert.deepEqual(toRunFailure('a text'), { error: { code: 'USER_CODE', message: 'a text' }, stack: undefined });
});

test('toRunFailure tells something that can be cloned, whatever was thrown', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const evil = new Error('evil');
  Object.defineProperty(evil, 'message', {
    get: () => {
      throw new Error('no message for you');
    },
  });
  const odd = new Error('odd');
  Object.assign(odd, { message: Symbol('odd'), stack: () => 'no text' });
  for (const thrown of [
    undefined,
    null,
    Object.create(null),
    Symbol('thrown'),
    () => 1,
    evil,
    odd,
    new JubakoError('INVALID_INPUT', 'x', { details: { f: () => 1, s: Symbol('s') } }),
    new JubakoError('INVALID_INPUT', 'x', { details: circle }),
    new JubakoError('INVALID_INPUT', 'x', { details: 1n }),
    new JubakoError('INVALID_INPUT', 'x', { details: () => 1 }),
  ]) {
    const failure = toRunFailure(thrown);
    assert.deepEqual(structuredClone(failure), failure);
    assert.equal(typeof failure.error.message, 'string');
    JSON.stringify(failure);
  }
});
