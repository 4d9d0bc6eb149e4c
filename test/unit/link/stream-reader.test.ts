import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import type { OutgoingCall } from '#dist/link/outgoing-call.js';
import { StreamReader } from '#dist/link/stream-reader.js';
import { isProtocolError } from './errors.js';

const FAILURE = new JubakoError('RUNNER_LOST', 'lost');
const END = { done: true, value: undefined };

interface Opened {
  readonly reader: StreamReader;
  /** Credit that the runner has been given and not used. */
  credit: number;
  grants: number;
  begun: number;
  abandoned: number;
  /** As the runner does with a credit. */
  push(value: unknown, bytes?: number): void;
}

function open(): Opened {
  const opened: Opened = {
    reader: new StreamReader((reader) => {
      opened.begun += 1;
      opened.credit = reader.onSent((count) => {
        opened.credit += count;
        opened.grants += 1;
      });
      return { abandon: () => (opened.abandoned += 1) } as unknown as OutgoingCall;
    }),
    credit: 0,
    grants: 0,
    begun: 0,
    abandoned: 0,
    push(value, bytes = 10) {
      opened.credit -= 1;
      opened.reader.push(value, bytes);
    },
  };
  return opened;
}

test('StreamReader begins its call with the first next, once', async () => {
  const stream = open();
  assert.equal(stream.begun, 0);
  const first = stream.reader.next();
  const second = stream.reader.next();
  stream.push('a');
  stream.push('b');
  assert.deepEqual(await Promise.all([first, second]), [
    { done: false, value: 'a' },
    { done: false, value: 'b' },
  ]);
  assert.equal(stream.begun, 1);
});

test('StreamReader gives every item in order, and then its end for ever', async () => {
  const stream = open();
  const read = (async () => {
    const values: unknown[] = [];
    for await (const value of stream.reader) values.push(value);
    return values;
  })();
  for (let item = 0; item < 100; item += 1) {
    while (stream.credit === 0) await Promise.resolve();
    stream.push(item);
  }
  stream.reader.finish();
  assert.deepEqual(
    await read,
    Array.from({ length: 100 }, (_, item) => item),
  );
  assert.deepEqual(await stream.reader.next(), END);
});

test('StreamReader gives no credit to the runner while nobody reads', async () => {
  const stream = open();
  const first = stream.reader.next();
  while (stream.credit > 0) stream.push('item');
  await first;
  const given = stream.grants;
  await new Promise(setImmediate);
  assert.deepEqual([stream.credit, stream.grants], [0, given]);
  for (let read = 0; stream.credit === 0; read += 1) {
    assert.ok(read < 64, 'no credit came for what was read');
    await stream.reader.next();
  }
});

test('StreamReader refuses an item without credit with LINK_PROTOCOL', () => {
  const stream = open();
  void stream.reader.next();
  while (stream.credit > 0) stream.push('item');
  assert.throws(() => {
    stream.reader.push('one more', 10);
  }, isProtocolError);
});

test('StreamReader has a window of many small items, and of two large ones', async () => {
  const windowOf = async (bytes: number): Promise<number> => {
    const stream = open();
    for (let item = 0; item < 200; item += 1) {
      const next = stream.reader.next();
      if (stream.credit > 0) stream.push(item, bytes);
      await next;
    }
    return stream.credit;
  };
  assert.ok((await windowOf(100)) > 16);
  assert.ok((await windowOf(10_000_000)) <= 2);
});

test('StreamReader gives the items that came before a failure, and then the failure once', async () => {
  const stream = open();
  const first = stream.reader.next();
  stream.push(1);
  stream.push(2);
  stream.push(3);
  stream.reader.fail(FAILURE);
  assert.deepEqual(await first, { done: false, value: 1 });
  assert.deepEqual(await stream.reader.next(), { done: false, value: 2 });
  assert.deepEqual(await stream.reader.next(), { done: false, value: 3 });
  await assert.rejects(stream.reader.next(), FAILURE);
  assert.deepEqual(await stream.reader.next(), END);
});

test('StreamReader fails the first that waits, and ends the others', async () => {
  const stream = open();
  const waiting = [stream.reader.next(), stream.reader.next()];
  stream.reader.fail(FAILURE);
  await assert.rejects(waiting[0] ?? Promise.resolve(), FAILURE);
  assert.deepEqual(await waiting[1], END);
});

test('StreamReader forgets unread items when they are discarded', async () => {
  const stream = open();
  const first = stream.reader.next();
  stream.push(1);
  stream.push(2);
  await first;
  stream.reader.discard();
  stream.reader.fail(FAILURE);
  await assert.rejects(stream.reader.next(), FAILURE);
});

test('StreamReader.return abandons the call, ends what waits, and needs no call to have begun', async () => {
  const stream = open();
  const waiting = stream.reader.next();
  assert.deepEqual(await stream.reader.return(), END);
  assert.deepEqual(await waiting, END);
  assert.equal(stream.abandoned, 1);
  await stream.reader.return();
  assert.equal(stream.abandoned, 1);
  const unread = open();
  await unread.reader.return();
  assert.deepEqual(await unread.reader.next(), END);
  assert.deepEqual([unread.begun, unread.abandoned], [0, 0]);
});

test('StreamReader.throw abandons the call and throws what it was given', async () => {
  const stream = open();
  void stream.reader.next();
  await assert.rejects(stream.reader.throw(FAILURE), FAILURE);
  assert.equal(stream.abandoned, 1);
});

test('StreamReader rejects the first next with what the beginning throws', async () => {
  const reader = new StreamReader(() => {
    throw FAILURE;
  });
  await assert.rejects(reader.next(), FAILURE);
  assert.deepEqual(await reader.next(), END);
});

test('StreamReader never has more than 32 items to come and unread together', () => {
  const steps = fc.array(fc.oneof(fc.constant('read' as const), fc.integer({ min: 1, max: 1_000_000 })), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(steps, (todo) => {
      const stream = open();
      void stream.reader.next();
      let unread = 0;
      let waiting = 1;
      for (const step of todo) {
        if (step === 'read') {
          void stream.reader.next();
          if (unread > 0) unread -= 1;
          else waiting += 1;
        } else if (stream.credit > 0) {
          stream.push('item', step);
          if (waiting > 0) waiting -= 1;
          else unread += 1;
        }
        assert.ok(stream.credit + unread <= 32, `${stream.credit} to come, ${unread} unread`);
        // Who reads everything is never left without credit.
        if (unread === 0) assert.ok(stream.credit > 0);
      }
    }),
  );
});
