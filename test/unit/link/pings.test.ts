import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pings } from '#dist/link/pings.js';

test('Pings waits for the answers to those that were sent before, and to no later ones', async () => {
  const pings = new Pings();
  await pings.whenAnswered(); // none was sent
  pings.sent();
  const settled: string[] = [];
  const first = pings.whenAnswered().then(() => settled.push('first'));
  pings.sent();
  const second = pings.whenAnswered().then(() => settled.push('second'));
  pings.sent();
  pings.answered();
  await first;
  assert.deepEqual(settled, ['first']);
  pings.answered();
  await second;
  const last = pings.whenAnswered();
  pings.end(); // the connection is gone
  await last;
  pings.sent();
  await pings.whenAnswered();
});
