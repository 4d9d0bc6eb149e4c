import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { priorityOf } from '#dist/grpc/request-priority.js';

function int64(value: bigint): { readonly low: number; readonly high: number; readonly unsigned: boolean } {
  const [low = 0, high = 0] = new Int32Array(BigInt64Array.of(value).buffer);
  return { low, high, unsigned: false };
}

describe('priorityOf', () => {
  test('reads the number as Triton does: 1 is first, 0 as usual, higher ones last', () => {
    assert.equal(priorityOf(undefined), 'normal');
    assert.equal(priorityOf({}), 'normal');
    assert.equal(priorityOf({ other: { string_param: '1' } }), 'normal');
    const given = [0n, 1n, 2n, 7n, 2n ** 31n, 2n ** 32n, 2n ** 32n + 1n].map((value) =>
      priorityOf({ priority: { int64_param: int64(value) } }),
    );
    assert.deepEqual(given, ['normal', 'high', 'low', 'low', 'low', 'low', 'low']);
    assert.equal(priorityOf({ priority: { uint64_param: int64(1n) } }), 'high');
  });

  test('refuses what is no whole number from 0', () => {
    for (const parameter of [
      { int64_param: int64(-1n) },
      { string_param: '1' },
      { bool_param: true },
      { double_param: 1 },
      {},
    ]) {
      assert.throws(() => priorityOf({ priority: parameter }), { code: 'INVALID_INPUT', message: /int64_param/ });
    }
  });
});
