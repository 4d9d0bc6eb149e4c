import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cancellation, type CancelTarget } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';

const REASON = new JubakoError('CLIENT_GONE', 'gone');

interface Counted extends CancelTarget {
  cancels: number;
}

function target(): Counted {
  return {
    cancels: 0,
    onCancel(): void {
      this.cancels += 1;
    },
  };
}

test('Cancellation tells every target once, except those removed', () => {
  const cancellation = new Cancellation();
  const targets = Array.from({ length: 30 }, target);
  for (const each of targets) cancellation.add(each);
  for (const index of [0, 7]) cancellation.remove(targets[index] as Counted);
  cancellation.cancel(REASON);
  cancellation.cancel(new JubakoError('DEADLINE_EXCEEDED', 'too late to be the reason'));
  assert.deepEqual(
    targets.map(({ cancels }) => cancels),
    targets.map((_, index) => (index === 0 || index === 7 ? 0 : 1)),
  );
  assert.equal(cancellation.reason, REASON);
});

test('Cancellation lets a target that is told remove itself', () => {
  const cancellation = new Cancellation();
  const told: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    const each: CancelTarget = {
      onCancel: () => {
        told.push(name);
        cancellation.remove(each);
      },
    };
    cancellation.add(each);
  }
  cancellation.cancel(REASON);
  assert.deepEqual(told, ['a', 'b', 'c']);
});

test('the signal of a Cancellation is aborted with its reason, asked for before or after', () => {
  const early = new Cancellation();
  const { signal } = early;
  assert.equal(signal.aborted, false);
  early.cancel(REASON);
  assert.equal(signal.reason, REASON);
  const late = new Cancellation();
  late.cancel(REASON);
  assert.equal(late.signal.reason, REASON);
});
