import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  flagOf,
  priorityOf,
  refuseRequestParameters,
  refuseTensorParameters,
  timeoutMsOf,
} from '#dist/inference/parameters.js';

describe('priorityOf', () => {
  test('takes 1 for high, 0 or none for normal, more for low', () => {
    assert.equal(priorityOf(undefined), 'normal');
    assert.equal(priorityOf({ other: 5 }), 'normal');
    assert.equal(priorityOf({ priority: 0 }), 'normal');
    assert.equal(priorityOf({ priority: 1 }), 'high');
    assert.equal(priorityOf({ priority: 2 }), 'low');
    assert.equal(priorityOf({ priority: 2n ** 63n }), 'low');
  });

  test('refuses what is no whole number from 0', () => {
    const refused = { code: 'INVALID_INPUT', message: /parameter "priority", which is .*: wanted a whole number/ };
    for (const priority of [-1, 1.5, NaN, -(2n ** 60n), 'high', true])
      assert.throws(() => priorityOf({ priority }), refused);
  });
});

describe('timeoutMsOf', () => {
  test('reads microseconds', () => {
    assert.equal(timeoutMsOf(undefined), Infinity);
    assert.equal(timeoutMsOf({ timeout: 0 }), Infinity);
    assert.equal(timeoutMsOf({ timeout: 1500 }), 1.5);
    assert.equal(timeoutMsOf({ timeout: 2n ** 60n }), 2 ** 60 / 1000);
  });

  test('refuses what is no whole number from 0', () => {
    for (const timeout of [-1, 0.5, '5', false])
      assert.throws(() => timeoutMsOf({ timeout }), { code: 'INVALID_INPUT', message: /parameter "timeout"/ });
  });
});

test('flagOf refuses what is not true or false', () => {
  assert.equal(flagOf({ a: false }, 'a'), false);
  assert.equal(flagOf({ a: false }, 'b'), undefined);
  assert.throws(() => flagOf({ a: 1 }, 'a'), {
    message: 'Cannot use the parameter "a", which is 1: wanted true or false',
  });
});

test('extensions that are not served are refused by name, unless they say no', () => {
  const unserved = (name: string): object => ({ code: 'INVALID_INPUT', message: new RegExp(`parameter "${name}"`) });
  assert.throws(() => {
    refuseTensorParameters('input "a"', { shared_memory_region: 'x' });
  }, unserved('shared_memory_region'));
  assert.throws(() => {
    refuseTensorParameters('output "a"', { classification: 3 });
  }, unserved('classification'));
  assert.throws(() => {
    refuseRequestParameters({ sequence_id: 5 });
  }, unserved('sequence_id'));
  assert.throws(() => {
    refuseRequestParameters({ sequence_start: true });
  }, unserved('sequence_start'));
  refuseRequestParameters({ sequence_id: 0, sequence_start: false, sequence_end: false, mine: 'x' });
  refuseTensorParameters('input "a"', { mine: 1 });
});
