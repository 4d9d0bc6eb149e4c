import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CallTable } from '#dist/link/call-table.js';

const id = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0xffff_ff00, max: 0xffff_ffff }));
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), id }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), id }) },
);

test('CallTable holds what a Map would hold, through growth, collisions and removals', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new CallTable<{ id: number }>();
      const model = new Map<number, { id: number }>();
      for (const { kind, id: key } of steps) {
        if (kind === 'clear' && steps.length % 5 === 0) {
          table.clear();
          model.clear();
        } else if (kind === 'add' && !model.has(key)) {
          const call = { id: key };
          table.add(key, call);
          model.set(key, call);
        } else if (kind === 'delete') assert.equal(table.delete(key), model.delete(key));
        assert.equal(table.size, model.size);
        assert.equal(table.get(key), model.get(key));
      }
      for (const [key, call] of model) assert.equal(table.get(key), call);
      assert.deepEqual(new Set(table.values()), new Set(model.values()));
    }),
  );
});

test('CallTable finds entries whose homes collide after one between them is gone', () => {
  const table = new CallTable<{ name: string }>();
  for (const [key, name] of [
    [1, 'a'],
    [65, 'b'],
    [129, 'c'],
    [2, 'd'],
  ] as const)
    table.add(key, { name });
  table.delete(65);
  assert.equal(table.get(65), undefined);
  assert.deepEqual(
    [1, 129, 2].map((key) => table.get(key)?.name),
    ['a', 'c', 'd'],
  );
});
