import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Silence, TICK_MS } from '#dist/link/silence.js';

/** What each tick says, until the peer is lost. */
function untilLost(silence: Silence, isBusy: boolean): string[] {
  const said: string[] = [];
  while (said.at(-1) !== 'lost' && said.length < 100) said.push(silence.tick(isBusy));
  return said;
}

test('Silence asks after 500 ms and gives up after 2 s while calls are open', () => {
  const said = untilLost(new Silence(), true);
  assert.equal((said.indexOf('ask') + 1) * TICK_MS, 500);
  assert.equal(said.length * TICK_MS, 2000);
});

test('Silence asks after 1 s and gives up after 4 s while no call is open', () => {
  const said = untilLost(new Silence(), false);
  assert.equal((said.indexOf('ask') + 1) * TICK_MS, 1000);
  assert.equal(said.length * TICK_MS, 4000);
});

test('Silence begins anew when something is heard', () => {
  const silence = new Silence();
  for (let tick = 0; tick < 7; tick += 1) silence.tick(true);
  silence.heard();
  assert.equal(silence.tick(true), 'quiet');
  assert.equal(untilLost(silence, true).length, 8);
});

test('Silence gives a peer up at once when a call comes to one that has not answered for 2 s', () => {
  const silence = new Silence();
  for (let tick = 0; tick < 8; tick += 1) silence.tick(false);
  assert.equal(silence.tick(true), 'lost');
  assert.equal(silence.silentMs, 9 * TICK_MS);
});
