import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameWriter } from '#dist/link/frame-writer.js';
import { hasCode } from './errors.js';
import { readAll, Sink, valueOf } from './frames.js';

function request(writer: FrameWriter, id: number, ...parts: Uint8Array[]): void {
  writer.request(id, 0, 0, 'a', 0, 0, valueOf(...parts));
}

test('FrameWriter writes all frames of a loop turn at once', async () => {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  for (let id = 1; id <= 50; id += 1) request(writer, id, Buffer.from('small'));
  assert.equal(sink.writes, 0);
  assert.ok(writer.pendingBytes > 0);
  await new Promise(setImmediate);
  assert.equal(sink.writes, 1);
  assert.equal(sink.chunks.length, 1);
  assert.equal(writer.pendingBytes, 0);
  assert.equal(readAll(sink.chunks).length, 50);
});

test('FrameWriter does not copy large parts, and keeps order around them', () => {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  const large = Buffer.alloc(100_001, 7);
  request(writer, 1, Buffer.from('head'), large, Buffer.from('tail'));
  request(writer, 2, Buffer.from('next'));
  writer.flush();
  assert.ok(sink.chunks.some((chunk) => chunk.buffer === large.buffer && chunk.length === large.length));
  const frames = readAll([sink.bytes]);
  assert.deepEqual(
    frames.map(({ id, body }) => [id, body.length / 2]),
    [
      [1, 100_009],
      [2, 4],
    ],
  );
});

test('FrameWriter leaves pages alone that the stream still holds', async () => {
  const sink = new Sink();
  sink.isHeld = true;
  const writer = new FrameWriter(sink);
  const bodies = ['first', 'second', 'third'];
  for (const [index, body] of bodies.entries()) {
    request(writer, index + 1, Buffer.from(body));
    writer.flush();
  }
  assert.ok(writer.pendingBytes > 0);
  sink.release();
  await new Promise(setImmediate);
  assert.equal(writer.pendingBytes, 0);
  assert.deepEqual(
    readAll([sink.bytes]).map(({ body }) => Buffer.from(body, 'hex').toString()),
    bodies,
  );
});

test('FrameWriter uses its pages again, and allocates none under a steady load', async () => {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  const pages = new Set<unknown>();
  for (let turn = 0; turn < 20; turn += 1) {
    for (let id = 1; id <= 64; id += 1) request(writer, id, Buffer.alloc(4000));
    await new Promise(setImmediate);
    for (const { buffer } of sink.chunks.splice(0)) pages.add(buffer);
  }
  assert.equal(pages.size, 8); // 8 frames of 4 KB fit into one
});

test('FrameWriter zeroes its padding: bytes of earlier frames do not leave the process', async () => {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  writer.request(1, 0, 0, 'xxxxxxxx', 0, 0, valueOf(Buffer.alloc(4000, 0xff)));
  await new Promise(setImmediate);
  sink.chunks.length = 0;
  request(writer, 2, Buffer.from('b'));
  writer.credit(2, 0xffff_ffff);
  writer.flush();
  assert.equal(sink.bytes.length, 40 + 24);
  assert.equal(sink.bytes.subarray(29, 32).toString('hex'), '00'.repeat(3));
  assert.equal(sink.bytes.subarray(33, 40).toString('hex'), '00'.repeat(7));
  assert.equal(sink.bytes.subarray(60).toString('hex'), '00'.repeat(4));
});

test('FrameWriter.request refuses a request id that does not fit with INVALID_INPUT', () => {
  const writer = new FrameWriter(new Sink());
  assert.throws(() => {
    writer.request(1, 0, 0, 'x'.repeat(1025), 0, 0, valueOf());
  }, hasCode('INVALID_INPUT'));
  assert.equal(writer.pendingBytes, 0);
});
