import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShapeCosts } from '#dist/batching/shape-costs.js';

test('ShapeCosts has one model while there is one shape', () => {
  const costs = new ShapeCosts();
  costs.observe('a', 1, 10);
  assert.equal(costs.of('a'), costs.all);
  assert.equal(costs.of('b'), costs.all);
});

test('ShapeCosts learns shapes apart, and predicts a new one by all', () => {
  const costs = new ShapeCosts();
  for (let i = 0; i < 10; i += 1) {
    costs.observe('short', 1, 10);
    costs.observe('long', 1, 100);
  }
  assert.equal(costs.of('short').predictMs(1), 10);
  assert.equal(costs.of('long').predictMs(1), 100);
  assert.equal(costs.of('new'), costs.all);
  assert.equal(costs.all.runs, 20);
});

test('ShapeCosts forgets the shape that was not used for the longest', () => {
  const costs = new ShapeCosts();
  for (let i = 0; i < 70; i += 1) {
    costs.observe('often', 1, 5);
    costs.observe(`${i}`, 1, 10);
  }
  assert.equal(costs.of('0'), costs.all);
  assert.notEqual(costs.of('often'), costs.all);
  assert.notEqual(costs.of('69'), costs.all);
});
