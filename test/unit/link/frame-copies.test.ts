import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameWriter } from '#dist/link/frame-writer.js';
import { FrameReader } from '#dist/link/frame-reader.js';
import { decodeValue, encodeValue, tensorOf, type Tensor } from '#dist/tensor/index.js';
import { cut, MAX_FRAME_BYTES, Sink, written } from './frames.js';
import { FrameWriter as Writer } from '#dist/link/frame-writer.js';

// Which memory a tensor lies in, on its way from the caller's array to the runner's view and back: at most one copy a side.

interface Count {
  /** Bodies that are views of the chunk they came in. */
  views: number;
  /** Bodies in memory of their own. */
  copies: number;
}

/** Reads the chunks, checks each tensor, and counts; a tensor must be a view of its body wherever that lies. */
function countReads(chunks: readonly Buffer[], check: (tensor: Tensor<'float32'>) => void): Count {
  const count = { views: 0, copies: 0 };
  const memories = new Set<unknown>(chunks.map(({ buffer }) => buffer));
  const reader = new FrameReader(MAX_FRAME_BYTES, ({ body }) => {
    assert.equal(body.byteOffset % 8, 0);
    const tensor = decodeValue(body) as Tensor<'float32'>;
    assert.equal(tensor.data.buffer, body.buffer, 'the tensor was copied out of its body');
    check(tensor);
    if (memories.has(body.buffer)) count.views += 1;
    else count.copies += 1;
  });
  for (const chunk of chunks) reader.push(chunk);
  return count;
}

const SMALL = tensorOf('float32', [3], [1, 2, 3]);
const LARGE = tensorOf('float32', [150_528], new Float32Array(150_528).fill(0.5));

const SIDES = {
  'the runner reads requests': (writer: FrameWriter, id: number, tensor: Tensor) => {
    writer.request(id, 0, 0, 'request-id', 0, 0, encodeValue(tensor));
  },
  'the caller reads responses': (writer: FrameWriter, id: number, tensor: Tensor) => {
    const load = { queuedRows: 0, inFlightRows: 0, waitMs: 1, isFull: false };
    writer.reply(3, 0, id, { queueMs: 0, batchMs: 0, computeMs: 0, batchRows: 1 }, load, encodeValue(tensor));
  },
  'the caller reads items': (writer: FrameWriter, id: number, tensor: Tensor) => {
    writer.plain(16, id, encodeValue(tensor));
  },
} as const;

for (const [side, write] of Object.entries(SIDES)) {
  const many = (tensor: Tensor, count: number): Buffer =>
    written((writer) => {
      for (let id = 1; id <= count; id += 1) write(writer, id, tensor);
    });
  const isSmall = ({ data }: Tensor<'float32'>): void => {
    assert.deepEqual([...data], [1, 2, 3]);
  };

  test(`Small tensors of one chunk are views of it where ${side}`, () => {
    assert.deepEqual(countReads(cut(many(SMALL, 100), []), isSmall), { views: 100, copies: 0 });
  });

  test(`Small tensors cost one copy each after a chunk that ended at an odd place, where ${side}`, () => {
    const stream = many(SMALL, 100);
    const half = stream.length / 2;
    const { views, copies } = countReads(cut(stream, [half + 3]), isSmall);
    assert.equal(views + copies, 100);
    assert.equal(views, 50);
  });

  test(`A large tensor is gathered once where ${side}`, () => {
    const stream = many(LARGE, 2);
    const sizes = Array.from({ length: 40 }, () => 65_536);
    const count = countReads(cut(stream, sizes), ({ data }) => {
      assert.deepEqual(data, LARGE.data);
    });
    assert.deepEqual(count, { views: 0, copies: 2 });
  });

  test(`A large tensor is written from where it lies: ${side}`, () => {
    const sink = new Sink();
    const writer = new Writer(sink);
    write(writer, 1, LARGE);
    writer.flush();
    const { buffer } = LARGE.data;
    assert.equal(sink.chunks.filter((chunk) => chunk.buffer === buffer).length, 1);
    const copied = sink.chunks.filter((chunk) => chunk.buffer !== buffer).reduce((sum, { length }) => sum + length, 0);
    assert.ok(copied < 200, `${copied} bytes were copied`);
  });
}
