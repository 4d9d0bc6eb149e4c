import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AbortWatch, type AbortTarget } from '#dist/link/abort-watch.js';

interface Counted extends AbortTarget {
  aborts: number;
}

function target(): Counted {
  return {
    aborts: 0,
    onAbort(): void {
      this.aborts += 1;
    },
  };
}

test('AbortWatch tells every target of a signal once, except those removed', () => {
  const controller = new AbortController();
  const targets = Array.from({ length: 30 }, target);
  const watches = targets.map((each) => AbortWatch.add(controller.signal, each));
  watches[0]?.remove(targets[0] as Counted);
  watches[7]?.remove(targets[7] as Counted);
  controller.abort();
  assert.deepEqual(
    targets.map(({ aborts }) => aborts),
    targets.map((_, index) => (index === 0 || index === 7 ? 0 : 1)),
  );
});

test('AbortWatch lets a target that is told remove itself and others', () => {
  const controller = new AbortController();
  const told: string[] = [];
  const add = (name: string): void => {
    const each: AbortTarget = {
      onAbort: () => {
        told.push(name);
        watch.remove(each);
      },
    };
    const watch = AbortWatch.add(controller.signal, each);
  };
  for (const name of ['a', 'b', 'c']) add(name);
  controller.abort();
  assert.deepEqual(told, ['a', 'b', 'c']);
});

test('AbortWatch works again on a signal whose targets have all gone', () => {
  const controller = new AbortController();
  const first = target();
  AbortWatch.add(controller.signal, first).remove(first);
  const second = target();
  AbortWatch.add(controller.signal, second);
  controller.abort();
  assert.deepEqual([first.aborts, second.aborts], [0, 1]);
});
