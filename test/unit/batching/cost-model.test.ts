import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CostModel } from '#dist/batching/cost-model.js';
import { accelerator, cpuNetwork, tiledDevice } from '../../support/simulation/costs.js';
import { Random } from '../../support/simulation/random.js';

function learned(cost: (rows: number) => number, sizes: readonly number[], runs = 60): CostModel {
  const model = new CostModel();
  for (let i = 0; i < runs; i += 1) {
    const rows = sizes[i % sizes.length] ?? 1;
    model.observe(rows, cost(rows));
  }
  return model;
}

const observations = fc.array(
  fc.record({ rows: fc.integer({ min: 1, max: 500 }), ms: fc.double({ min: 0, max: 1e4, noNaN: true }) }),
  { minLength: 1, maxLength: 60, size: 'max' },
);

test('CostModel never predicts less time for more rows, nor more than as many runs of fewer', () => {
  fc.assert(
    fc.property(observations, (runs) => {
      const model = new CostModel();
      for (const { rows, ms } of runs) model.observe(rows, ms);
      let before = 0;
      for (let rows = 1; rows <= 600; rows += rows < 40 ? 1 : 17) {
        const ms = model.predictMs(rows) ?? NaN;
        assert.ok(ms > 0 && Number.isFinite(ms));
        assert.ok(ms >= before * (1 - 1e-9), `${rows} rows: ${ms} ms after ${before} ms`);
        assert.ok((model.predictHighMs(rows) ?? 0) >= ms);
        before = ms;
      }
    }),
  );
});

test('CostModel knows nothing before the first run, and something about all sizes after it', () => {
  const model = new CostModel();
  assert.equal(model.predictMs(1), undefined);
  assert.equal(model.predictHighMs(1), undefined);
  assert.equal(model.isWarm, false);
  model.observe(4, 12);
  assert.equal(model.predictMs(4), 12);
  assert.equal(model.predictMs(64), 12); // cheap until it is tried
  const one = model.predictMs(1) ?? 0;
  assert.ok(one >= 3 && one <= 12, `${one}`);
  assert.equal(model.isWarm, false);
});

for (const [name, cost] of Object.entries({ accelerator, cpuNetwork, tiledDevice })) {
  test(`CostModel predicts the ${name} within 10 % between and at the sizes that ran`, () => {
    const model = learned(cost, [1, 2, 4, 8, 16, 24, 32, 48, 64], 90);
    for (const rows of [1, 2, 8, 16, 32, 64]) {
      const ms = model.predictMs(rows) ?? 0;
      assert.ok(Math.abs(ms / cost(rows) - 1) < 0.1, `${rows} rows: ${ms} ms, in truth ${cost(rows)}`);
    }
  });
}

test('CostModel goes on in a line beyond the sizes that ran', () => {
  const model = learned(accelerator, [4, 16]);
  assert.ok(Math.abs((model.predictMs(64) ?? 0) - 16.4) < 0.5, `${model.predictMs(64)}`);
  assert.ok(Math.abs((model.predictMs(1) ?? 0) - 10.1) < 0.5, `${model.predictMs(1)}`);
});

test('CostModel is moved by a few percent by one strange run, however strange', () => {
  for (const ms of [0.01, 1e5]) {
    const model = learned(accelerator, [1, 8, 56, 60, 64]); // the last three are one place
    model.observe(64, ms);
    for (const rows of [1, 8, 64]) {
      const off = (model.predictMs(rows) ?? 0) / accelerator(rows) - 1;
      assert.ok(Math.abs(off) < 0.06, `${rows} rows after ${ms} ms: ${off}`);
    }
  }
});

test('CostModel does not believe a first run of a size that takes longer than as many smaller ones', () => {
  const model = learned(accelerator, [1, 32]);
  model.observe(64, 500);
  assert.ok((model.predictMs(64) ?? 0) <= 2 * accelerator(32) + 0.5, `${model.predictMs(64)}`);
});

test('CostModel follows a step of the cost within five runs, at sizes that did not run since', () => {
  for (const factor of [3, 1 / 3, 10]) {
    const model = learned(accelerator, [1, 8, 64]);
    for (let i = 0; i < 5; i += 1) model.observe(8, factor * accelerator(8));
    const off = (model.predictMs(64) ?? 0) / (factor * accelerator(64)) - 1;
    assert.ok(Math.abs(off) < 0.1, `factor ${factor}: ${off}`);
  }
});

test('CostModel follows a slow drift within 10 %', () => {
  const model = learned(accelerator, [1, 8, 64]);
  for (let i = 0; i < 120; i += 1) {
    const factor = 1 + i / 60;
    model.observe([8, 20, 64][i % 3] ?? 8, factor * accelerator([8, 20, 64][i % 3] ?? 8));
    if (i < 5) continue;
    const off = (model.predictMs(64) ?? 0) / (factor * accelerator(64)) - 1;
    assert.ok(Math.abs(off) < 0.1, `run ${i}: ${off}`);
  }
});

test('CostModel believes a faster run at once while it is new: the first runs of all are slow', () => {
  const model = new CostModel();
  model.observe(1, 400);
  model.observe(1, 10);
  assert.equal(model.predictMs(1), 10);
  const other = new CostModel();
  other.observe(1, 400);
  other.observe(64, 16);
  assert.ok((other.predictMs(1) ?? 0) <= 16);
});

test('CostModel is 8 % off on average where single runs are 16 % off, and says by how much they are', () => {
  const random = new Random('cost-model');
  const model = new CostModel();
  const offs: number[] = [];
  for (let i = 0; i < 400; i += 1) {
    const rows = random.integer(1, 64);
    model.observe(rows, accelerator(rows) * random.logNormal(0.2));
    if (i < 40) continue;
    for (const size of [1, 16, 32, 64]) offs.push((model.predictMs(size) ?? 0) / accelerator(size) - 1);
  }
  const mean = offs.reduce((sum, off) => sum + Math.abs(off), 0) / offs.length;
  assert.ok(mean < 0.08, `${mean}`);
  assert.ok(Math.max(...offs.map(Math.abs)) < 0.25);
  const high = (model.predictHighMs(64) ?? 0) / (model.predictMs(64) ?? 1);
  assert.ok(high > 1.2 && high < 1.8, `${high}`);
});

test('CostModel remembers the longest run, and forgets it in time', () => {
  const model = learned(accelerator, [1]);
  model.observe(1, 900);
  assert.equal(model.slowestMs, 900);
  for (let i = 0; i < 500; i += 1) model.observe(1, 10);
  assert.ok(model.slowestMs < 11, `${model.slowestMs}`);
});
