import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RETRY_BURST, RetryBudget } from '#dist/link/retry-budget.js';

function spendAll(budget: RetryBudget): number {
  let spent = 0;
  while (budget.spend()) spent += 1;
  return spent;
}

test('RetryBudget lets a burst through at the start, and no more', () => {
  const budget = new RetryBudget();
  assert.equal(spendAll(budget), RETRY_BURST);
  assert.equal(budget.spend(), false);
});

test('RetryBudget earns one replay with ten calls', () => {
  const budget = new RetryBudget();
  spendAll(budget);
  for (let call = 0; call < 9; call += 1) budget.earn();
  assert.equal(budget.spend(), false);
  for (let call = 0; call < 21; call += 1) budget.earn();
  assert.equal(spendAll(budget), 3);
});

test('RetryBudget saves up no more than its burst', () => {
  const budget = new RetryBudget();
  for (let call = 0; call < 100_000; call += 1) budget.earn();
  assert.equal(spendAll(budget), RETRY_BURST);
});
