import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reconnectDelayMs } from '#dist/link/reconnect-delay.js';

test('reconnectDelayMs doubles from 25 ms to 1 s', () => {
  const delays = [0, 1, 2, 5, 6, 1000].map((failures) => reconnectDelayMs(failures, 0));
  assert.deepEqual(delays, [25, 50, 100, 800, 1000, 1000]);
});

test('reconnectDelayMs cuts off up to half by chance', () => {
  assert.equal(reconnectDelayMs(0, 1), 12.5);
  assert.equal(reconnectDelayMs(9, 0.5), 750);
});
