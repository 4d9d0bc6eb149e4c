import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatCpuList, parseCpuList, shareCpus } from '#dist/supervisor/cpu-list.js';

test('parseCpuList and formatCpuList speak as the kernel does', () => {
  assert.deepEqual(parseCpuList('0-2,8'), [0, 1, 2, 8]);
  assert.equal(formatCpuList([8, 2, 0, 1]), '0-2,8');
  assert.equal(formatCpuList([5]), '5');
});

test('formatCpuList is undone by parseCpuList for any set', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300), { minLength: 1 }), (cpus) => {
      assert.deepEqual(
        parseCpuList(formatCpuList(cpus)),
        [...cpus].sort((a, b) => a - b),
      );
    }),
  );
});

test('shareCpus gives no CPU to two workers, wherever it begins', () => {
  const cases = fc
    .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), fc.nat(100), fc.nat(20))
    .map(([count, size, offset, spare]) => ({ count, size, offset, total: count * size + spare }));
  fc.assert(
    fc.property(cases, ({ count, size, offset, total }) => {
      const allowed = Array.from({ length: total }, (_, index) => index * 2);
      const sets = shareCpus(allowed, count, size, offset);
      assert.deepEqual(
        sets.map((set) => set.length),
        Array.from({ length: count }, () => size),
      );
      assert.equal(new Set(sets.flat()).size, count * size);
      assert.ok(sets.flat().every((cpu) => allowed.includes(cpu)));
    }),
  );
});
