import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArrivalModel } from '#dist/batching/arrival-model.js';
import { Random } from '../../support/simulation/random.js';

const random = new Random('arrival-model');

/** `rounds` batches of `callers` rows every 12 ms, whose callers come back after 0.4 to 1 ms. @returns the last answer. */
function loopOf(model: ArrivalModel, callers: number, rounds: number): number {
  let nowMs = 0;
  for (let round = 0; round < rounds; round += 1) {
    model.answered(callers, nowMs);
    const timesMs = Array.from({ length: callers }, () => nowMs + random.between(0.4, 1)).sort((a, b) => a - b);
    timesMs.forEach((atMs, i) => {
      model.arrived(1, i === 0, atMs);
    });
    nowMs += 12;
  }
  return nowMs;
}

test('ArrivalModel predicts nothing before it has seen anything', () => {
  const model = new ArrivalModel(1);
  assert.equal(model.expect(10, 5), 0);
  assert.equal(model.expectAtMost(), 0);
  model.answered(8, 10);
  assert.equal(model.expect(10, 10), 0);
});

test('ArrivalModel predicts that the callers of a loop come back, and when', () => {
  const model = new ArrivalModel(1);
  const nowMs = loopOf(model, 8, 10);
  model.answered(8, nowMs);
  assert.equal(model.expectAtMost(), 8);
  assert.ok(model.expect(0.3, nowMs) < 1, `${model.expect(0.3, nowMs)}`);
  assert.ok(Math.abs(model.expect(0.7, nowMs) - 4) < 1.5, `${model.expect(0.7, nowMs)}`);
  assert.ok(model.expect(1.2, nowMs) > 7.5, `${model.expect(1.2, nowMs)}`);
  assert.ok(model.expect(50, nowMs) <= 8);
});

test('ArrivalModel expects nobody who is there already', () => {
  const model = new ArrivalModel(1);
  const nowMs = loopOf(model, 8, 10);
  model.answered(8, nowMs);
  for (let i = 0; i < 7; i += 1) model.arrived(1, i === 0, nowMs + 0.7);
  const last = model.expect(1, nowMs + 0.7);
  assert.ok(last > 0.5 && last <= 1, `${last}`);
  model.arrived(1, false, nowMs + 0.8);
  assert.equal(model.expect(10, nowMs + 0.8), 0);
});

test('ArrivalModel waits for callers who do not come back no longer than they usually took', () => {
  const model = new ArrivalModel(1);
  const nowMs = loopOf(model, 8, 20);
  model.answered(8, nowMs);
  for (let i = 0; i < 5; i += 1) model.arrived(1, i === 0, nowMs + 0.6);
  assert.ok(model.expect(2, nowMs + 0.6) > 2);
  assert.ok(model.expect(5, nowMs + 1.5) < 0.2, `${model.expect(5, nowMs + 1.5)}`);
});

test('ArrivalModel forgets a loop that has ended', () => {
  const model = new ArrivalModel(1);
  let nowMs = loopOf(model, 8, 20);
  for (let i = 0; i < 20; i += 1) {
    model.answered(8, nowMs);
    nowMs += 12;
  }
  model.answered(8, nowMs);
  assert.ok(model.expect(5, nowMs) < 0.5, `${model.expect(5, nowMs)}`);
});

test('ArrivalModel tells a loop from calls that come by chance', () => {
  const loop = new ArrivalModel(1);
  loopOf(loop, 8, 20);
  assert.ok(loop.expectReturned(12) > 10, `${loop.expectReturned(12)}`);

  const chance = new ArrivalModel(1);
  let nextMs = 0;
  for (let answer = 0; answer < 200; answer += 1) {
    const nowMs = answer * 12;
    chance.answered(12, nowMs);
    while (nextMs < nowMs + 12) {
      if (nextMs >= nowMs) chance.arrived(1, false, nextMs);
      nextMs += random.exponential(1);
    }
  }
  assert.ok(chance.expectReturned(12) < 1, `${chance.expectReturned(12)}`);
});

test('ArrivalModel predicts the rest of a burst from its first call, and more of one that began with more', () => {
  const model = new ArrivalModel(1);
  for (let burst = 0; burst < 10; burst += 1) {
    for (let i = 0; i < 20; i += 1) model.arrived(1, i === 0, burst * 100 + i * 0.1);
    model.answered(20, burst * 100 + 15);
  }
  model.arrived(1, true, 2000);
  const whole = model.expect(3, 2000);
  assert.ok(Math.abs(whole - 19) < 2, `${whole}`);
  for (let i = 0; i < 9; i += 1) model.arrived(1, false, 2000.2);
  assert.ok(model.expect(3, 2000.2) > 25, `${model.expect(3, 2000.2)}`);
});

test('ArrivalModel follows the callers of several batches under way', () => {
  const model = new ArrivalModel(2);
  let nowMs = 0;
  for (let round = 0; round < 20; round += 1) {
    for (const offMs of [0, 5]) {
      model.answered(4, nowMs + offMs);
      for (let i = 0; i < 4; i += 1) model.arrived(1, false, nowMs + offMs + 0.5 + i / 10);
    }
    nowMs += 12;
  }
  model.answered(4, nowMs);
  model.answered(4, nowMs + 0.1);
  assert.equal(model.expectAtMost(), 8);
  assert.ok(model.expect(1.5, nowMs + 0.1) > 7, `${model.expect(1.5, nowMs + 0.1)}`);
});
