import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatchQueue, type Bucket, type Priority, type QueueEntry } from '#dist/batching/batch-queue.js';

interface Entry extends QueueEntry {
  readonly id: number;
}

let ids = 0;

function entry(given: Partial<QueueEntry> = {}): Entry {
  ids += 1;
  return {
    id: ids,
    rows: 1,
    batchKey: '',
    priority: 'normal',
    queuedAtMs: ids,
    deadlineAtMs: undefined,
    left: false,
    ...given,
  };
}

function queueOf(maxRows = 1000): BatchQueue<Entry> {
  return new BatchQueue<Entry>(maxRows, (whole, rows) => [
    { ...whole, rows },
    { ...whole, rows: whole.rows - rows },
  ]);
}

const never = (): boolean => false;

function bucketOf(queue: BatchQueue<Entry>): Bucket<Entry> {
  const bucket = queue.next();
  assert.ok(bucket !== undefined);
  return bucket;
}

function take(queue: BatchQueue<Entry>, maxRows: number, isLate: (entry: Entry) => boolean = never): number[] {
  return queue.take(bucketOf(queue), maxRows, isLate).entries.map(({ id }) => id);
}

test('BatchQueue gives entries in the order in which they came', () => {
  const queue = queueOf();
  const entries = Array.from({ length: 5 }, () => entry());
  for (const one of entries) queue.push(one);
  assert.deepEqual(
    take(queue, 3),
    entries.slice(0, 3).map(({ id }) => id),
  );
  assert.deepEqual(
    take(queue, 3),
    entries.slice(3).map(({ id }) => id),
  );
  assert.equal(queue.rows, 0);
});

test('BatchQueue cuts an entry that does not fit, and its rest comes next', () => {
  const queue = queueOf();
  const [first, large, last] = [entry({ rows: 2 }), entry({ rows: 10 }), entry()];
  for (const one of [first, large, last]) queue.push(one);
  const batches = [4, 4, 4, 4].map((size) => {
    const { entries, rows } = queue.take(bucketOf(queue), size, never);
    return [rows, entries.map(({ id, rows: part }) => [id, part])];
  });
  assert.deepEqual(batches, [
    [
      4,
      [
        [first.id, 2],
        [large.id, 2],
      ],
    ],
    [4, [[large.id, 4]]],
    [4, [[large.id, 4]]],
    [1, [[last.id, 1]]],
  ]);
});

test('BatchQueue counts rows against its bound, and takes any call while it is empty', () => {
  const queue = queueOf(10);
  assert.equal(queue.hasRoomFor(500), true);
  queue.push(entry({ rows: 8 }));
  assert.equal(queue.hasRoomFor(2), true);
  assert.equal(queue.hasRoomFor(3), false);
});

test('BatchQueue puts high before normal before low, and old before all', () => {
  const order = (...calls: readonly (readonly [Priority, number])[]): number[] => {
    const queue = queueOf();
    const entries = calls.map(([priority, queuedAtMs]) => entry({ priority, queuedAtMs }));
    for (const one of entries) queue.push(one);
    return take(queue, 9).map((id) => entries.findIndex((one) => one.id === id));
  };
  assert.deepEqual(order(['low', 0], ['normal', 1], ['high', 2]), [2, 1, 0]);
  assert.deepEqual(order(['low', 0], ['normal', 950], ['high', 1060]), [0, 1, 2]);
  assert.deepEqual(order(['normal', 0], ['high', 99], ['high', 101]), [1, 0, 2]);
});

test('BatchQueue says how many rows go before a call, by its priority', () => {
  const queue = queueOf();
  queue.push(entry({ rows: 2, priority: 'high' }));
  queue.push(entry({ rows: 3 }));
  queue.push(entry({ rows: 4, priority: 'low' }));
  assert.deepEqual(
    (['high', 'normal', 'low'] as const).map((priority) => queue.rowsAheadOf(priority)),
    [2, 5, 9],
  );
});

test('BatchQueue gives the shape whose head comes first its turn', () => {
  const queue = queueOf();
  for (const batchKey of ['a', 'b', 'a', 'c']) queue.push(entry({ batchKey }));
  const keys = Array.from({ length: 3 }, () => {
    const bucket = bucketOf(queue);
    queue.take(bucket, 8, never);
    return bucket.key;
  });
  assert.deepEqual(keys, ['a', 'b', 'c']);
  assert.equal(queue.rows, 0);
});

test('BatchQueue lets go of what is cancelled at once, in the middle too, and of a part as well', () => {
  const queue = queueOf();
  const entries = Array.from({ length: 4 }, () => entry({ rows: 3 }));
  for (const one of entries) queue.push(one);
  const [, second, third] = entries;
  assert.ok(second !== undefined && third !== undefined);
  queue.remove(second);
  queue.remove(second);
  assert.equal(queue.rows, 9);
  assert.deepEqual(take(queue, 4), [entries[0]?.id, third.id]);
  assert.equal(queue.rows, 5);
  queue.remove(third); // it has been cut: its parts stand for it
  assert.equal(queue.rows, 5);
});

test('BatchQueue answers what is late without a run, and fills the batch with others', () => {
  const queue = queueOf();
  const entries = Array.from({ length: 6 }, (_, i) => entry({ queuedAtMs: i }));
  for (const one of entries) queue.push(one);
  assert.deepEqual(
    take(queue, 2, ({ queuedAtMs }) => queuedAtMs < 3),
    entries.slice(3, 5).map(({ id }) => id),
  );
  assert.equal(queue.rows, 1);
  assert.ok(entries.slice(0, 5).every(({ left }) => left));
});

test('BatchQueue counts the rows that count from before a time, those of low priority from later', () => {
  const queue = queueOf();
  for (let i = 0; i < 6; i += 1) queue.push(entry({ queuedAtMs: i, rows: 2 }));
  queue.push(entry({ queuedAtMs: 0, priority: 'low' }));
  const gone = entry({ queuedAtMs: 6 });
  queue.push(gone);
  queue.remove(gone);
  assert.equal(queue.rowsCountedBefore(3, 100), 6);
  assert.equal(queue.rowsCountedBefore(901, 200), 13);
  assert.equal(bucketOf(queue).firstCountsFromMs, 0);
});

test('BatchQueue says how many batches go before one more call of a shape', () => {
  const queue = queueOf();
  for (let i = 0; i < 10; i += 1) queue.push(entry({ batchKey: 'a' }));
  assert.equal(queue.batchesAhead('a', 1, 8, 1), 1);
  for (let i = 0; i < 10; i += 1) queue.push(entry({ batchKey: 'b' }));
  assert.equal(queue.shapes, 2);
  assert.equal(queue.batchesAhead('a', 1, 8, 1), 2);
  assert.equal(queue.batchesAhead('c', 1, 8, 1), 4);
  assert.equal(queue.batchesAhead('c', 20, 8, 1), 6);
});

const operations = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('push' as const),
      rows: fc.integer({ min: 1, max: 20 }),
      key: fc.constantFrom('a', 'b'),
      priority: fc.constantFrom<Priority>('high', 'normal', 'low'),
    }),
    fc.record({ kind: fc.constant('remove' as const), which: fc.nat(50) }),
    fc.record({ kind: fc.constant('take' as const), maxRows: fc.integer({ min: 1, max: 12 }) }),
  ),
  { maxLength: 200, size: 'max' },
);

test('BatchQueue keeps its count, and each row leaves it once', () => {
  fc.assert(
    fc.property(operations, (steps) => {
      const pushed: Entry[] = [];
      const waiting = new Map<number, Entry>();
      const taken = new Map<number, number>();
      const queue = new BatchQueue<Entry>(1e9, (whole, rows) => {
        const rest = { ...whole, rows: whole.rows - rows };
        waiting.set(whole.id, rest);
        return [{ ...whole, rows }, rest];
      });
      let removed = 0;
      for (const step of steps) {
        if (step.kind === 'push') {
          const one = entry({ rows: step.rows, batchKey: step.key, priority: step.priority });
          pushed.push(one);
          waiting.set(one.id, one);
          queue.push(one);
        } else if (step.kind === 'remove') {
          const one = waiting.get(pushed[step.which % Math.max(1, pushed.length)]?.id ?? -1);
          if (one === undefined || one.left) continue;
          queue.remove(one);
          removed += one.rows;
        } else {
          const bucket = queue.next();
          if (bucket === undefined) continue;
          const { entries, rows } = queue.take(bucket, step.maxRows, never);
          assert.ok(rows >= 1 && rows <= step.maxRows);
          for (const part of entries) taken.set(part.id, (taken.get(part.id) ?? 0) + part.rows);
        }
      }
      const all = pushed.reduce((sum, { rows }) => sum + rows, 0);
      const ran = [...taken.values()].reduce((sum, rows) => sum + rows, 0);
      assert.equal(queue.rows, all - ran - removed);
      assert.equal(queue.rows, queue.rowsAheadOf('low'));
      for (const { id, rows } of pushed) assert.ok((taken.get(id) ?? 0) <= rows);
    }),
    { numRuns: 200 },
  );
});
