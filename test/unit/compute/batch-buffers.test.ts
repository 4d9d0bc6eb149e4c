import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchBuffers, MIN_REUSED_BYTES } from '#dist/compute/batch-buffers.js';

const SIZE = MIN_REUSED_BYTES;

test('BatchBuffers gives a buffer of the wanted length again, to one batch at a time', () => {
  const buffers = new BatchBuffers();
  const buffer = buffers.take(SIZE);
  assert.equal(buffer.byteLength, SIZE);
  buffers.giveBack(buffer);
  assert.equal(buffers.bytes, SIZE);
  assert.notEqual(buffers.take(SIZE + 8), buffer);
  assert.equal(buffers.take(SIZE), buffer);
  assert.equal(buffers.bytes, 0);
  assert.notEqual(buffers.take(SIZE), buffer);
});

test('BatchBuffers keeps no small buffer, and none that is longer than all it may hold', () => {
  const buffers = new BatchBuffers(4 * SIZE);
  buffers.giveBack(new ArrayBuffer(SIZE - 1));
  buffers.giveBack(new ArrayBuffer(4 * SIZE + 1));
  buffers.giveBack(new ArrayBuffer(0)); // one that has moved elsewhere
  assert.equal(buffers.bytes, 0);
});

test('BatchBuffers drops the lengths that came back longest ago', () => {
  const buffers = new BatchBuffers(4 * SIZE);
  const [old, newer, newest] = [1, 2, 3].map((factor) => new ArrayBuffer(SIZE * factor)) as [
    ArrayBuffer,
    ArrayBuffer,
    ArrayBuffer,
  ];
  buffers.giveBack(newer);
  buffers.giveBack(old);
  assert.equal(buffers.bytes, 3 * SIZE);
  buffers.giveBack(newest);
  assert.equal(buffers.bytes, 4 * SIZE);
  assert.notEqual(buffers.take(SIZE * 2), newer);
  assert.equal(buffers.take(SIZE), old);
  assert.equal(buffers.take(SIZE * 3), newest);
});

test('BatchBuffers counts right while lengths come, go and are dropped', () => {
  const buffers = new BatchBuffers(10 * SIZE);
  for (let i = 0; i < 1000; i += 1) {
    const size = SIZE * (1 + ((i * 7) % 5));
    if (i % 3 === 0) buffers.take(size);
    else buffers.giveBack(new ArrayBuffer(size));
    assert.ok(buffers.bytes >= 0 && buffers.bytes <= 10 * SIZE, `${buffers.bytes}`);
  }
  for (let factor = 1; factor <= 5; factor += 1) for (let i = 0; i < 10; i += 1) buffers.take(SIZE * factor);
  assert.equal(buffers.bytes, 0);
});
