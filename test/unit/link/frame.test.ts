import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import { FRAME, FRAME_HEADER_BYTES, readReplyMeta, readRequestMeta, type Frame } from '#dist/link/frame.js';
import { FrameReader } from '#dist/link/frame-reader.js';
import { FrameWriter } from '#dist/link/frame-writer.js';
import type { EncodedValue } from '#dist/tensor/index.js';

const MAX_FRAME_BYTES = 1024 * 1024;
const TIMING = { queueMs: 0.5, batchMs: 0.25, computeMs: 2, batchRows: 3 };
const LOAD = { queuedRows: 7, inFlightRows: 9 };

/** A stream that keeps what is written into it; `hold` delays its completion until `release`. */
class Sink extends Duplex {
  readonly chunks: Buffer[] = [];
  writes = 0;
  isHeld = false;
  #done: (() => void) | undefined;
  override _read(): void {
    // nothing ever comes back
  }
  override _writev(items: { chunk: Buffer }[], done: () => void): void {
    this.writes += 1;
    this.chunks.push(...items.map(({ chunk }) => chunk));
    if (this.isHeld) this.#done = done;
    else done();
  }
  release(): void {
    this.isHeld = false;
    this.#done?.();
  }
  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

interface Seen {
  readonly kind: number;
  readonly id: number;
  readonly flags: number;
  readonly meta: string;
  readonly body: string;
}

function see(frame: Frame): Seen {
  const meta = frame.bytes.subarray(frame.metaAt, frame.metaAt + frame.metaBytes).toString('hex');
  return { kind: frame.kind, id: frame.id, flags: frame.flags, meta, body: frame.body.toString('hex') };
}

function readAll(chunks: readonly Buffer[], maxFrameBytes = MAX_FRAME_BYTES): Seen[] {
  const seen: Seen[] = [];
  const reader = new FrameReader(maxFrameBytes, (frame) => seen.push(see(frame)));
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

function valueOf(...parts: Uint8Array[]): EncodedValue {
  const [head = Buffer.alloc(0), ...rest] = parts;
  return { head, parts: rest, byteLength: parts.reduce((sum, part) => sum + part.byteLength, 0) };
}

function written(write: (writer: FrameWriter) => void): Buffer {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  write(writer);
  writer.flush();
  return sink.bytes;
}

const bytesList = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 3 });
const requests = fc.record({
  id: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  method: fc.integer({ min: 0, max: 65_535 }),
  requestId: fc.string({ maxLength: 40, unit: 'grapheme' }),
  remainingMs: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  parts: bytesList,
});

test('FrameWriter + FrameReader give the same frames, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(requests, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 90 })),
      (calls, cuts) => {
        const stream = written((writer) => {
          for (const call of calls) {
            writer.request(call.id, call.method, call.requestId, call.remainingMs, valueOf(...call.parts));
          }
        });
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          if (at >= stream.length) break;
          chunks.push(stream.subarray(at, at + cut));
          at += cut;
        }
        chunks.push(stream.subarray(Math.min(at, stream.length)));
        const frames = readAll(chunks);
        assert.deepEqual(frames, readAll([stream]));
        assert.deepEqual(
          frames.map(({ id, body }) => [id, body]),
          calls.map(({ id, parts }) => [id, Buffer.concat(parts).toString('hex')]),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('FrameReader reads a stream that comes byte by byte', () => {
  const stream = written((writer) => {
    writer.plain(FRAME.ping, 0);
    writer.request(1, 2, 'id', 0, valueOf(Buffer.from('abc')));
    writer.plain(FRAME.cancel, 1);
  });
  const kinds = readAll([...stream].map((byte) => Buffer.from([byte]))).map(({ kind }) => kind);
  assert.deepEqual(kinds, [FRAME.ping, FRAME.request, FRAME.cancel]);
});

test('readRequestMeta gives back what FrameWriter.request wrote', () => {
  const stream = written((writer) => {
    writer.request(5, 513, 'größe-1', 29_999, valueOf());
  });
  const reader = new FrameReader(MAX_FRAME_BYTES, (frame) => {
    const meta = readRequestMeta(frame);
    assert.deepEqual(meta, { methodIndex: 513, remainingMs: 29_999, requestIdBytes: Buffer.byteLength('größe-1') });
    assert.equal(frame.bytes.toString('utf8', frame.metaAt + 8, frame.metaAt + frame.metaBytes), 'größe-1');
  });
  reader.push(stream);
});

test('readReplyMeta gives back what FrameWriter.reply wrote', () => {
  const stream = written((writer) => {
    writer.reply(FRAME.response, 1, 6, TIMING, LOAD, valueOf());
  });
  const reader = new FrameReader(MAX_FRAME_BYTES, (frame) => {
    assert.deepEqual(readReplyMeta(frame), { ...TIMING, ...LOAD });
    assert.equal(frame.flags, 1);
  });
  reader.push(stream);
});

test('FrameReader gives views of a chunk that holds the frame whole, and 8-aligned bodies', () => {
  const stream = written((writer) => {
    writer.request(1, 0, 'abc', 0, valueOf(Buffer.from('12345')));
    writer.request(2, 0, 'abcdefghi', 0, valueOf(Buffer.from('1')));
  });
  const chunk = Buffer.from(new ArrayBuffer(stream.length));
  stream.copy(chunk);
  const reader = new FrameReader(MAX_FRAME_BYTES, ({ body }) => {
    assert.equal(body.buffer, chunk.buffer);
    assert.equal(body.byteOffset % 8, 0);
  });
  reader.push(chunk);
});

test('FrameReader gives an 8-aligned body for a frame that is split at an odd place', () => {
  const stream = written((writer) => {
    writer.request(1, 0, 'abc', 0, valueOf(Buffer.alloc(20_000, 1)));
  });
  let count = 0;
  const reader = new FrameReader(MAX_FRAME_BYTES, ({ body }) => {
    count += 1;
    assert.equal(body.byteOffset % 8, 0);
  });
  for (const chunk of [stream.subarray(0, 13), stream.subarray(13, 777), stream.subarray(777)]) reader.push(chunk);
  assert.equal(count, 1);
});

function header(totalBytes: number, kind: number, metaBytes: number, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  bytes.writeUInt32LE(totalBytes, 0);
  bytes[8] = kind;
  bytes.writeUInt16LE(metaBytes, 10);
  bytes.writeUInt32LE(bodyBytes, 12);
  return bytes;
}

for (const [what, bytes] of [
  ['an unknown kind', header(16, 15, 0, 0)],
  ['kind 0', header(16, 0, 0, 0)],
  ['a length below the header', header(8, FRAME.ping, 0, 0)],
  ['a length that is no multiple of 8', header(20, FRAME.ping, 0, 4)],
  ['a length that its parts do not make', header(64, FRAME.response, 24, 0)],
  ['a length above the limit', header(16 + 2 ** 30, FRAME.request, 0, 2 ** 30)],
] as const) {
  test(`FrameReader refuses ${what} with LINK_PROTOCOL, from the header alone`, () => {
    const isProtocol = (thrown: unknown): boolean => thrown instanceof JubakoError && thrown.code === 'LINK_PROTOCOL';
    assert.throws(() => readAll([bytes]), isProtocol);
    assert.throws(() => readAll([bytes.subarray(0, 5), bytes.subarray(5)]), isProtocol);
  });
}

test('FrameReader gives nothing more after stop, also from the chunk it is in', () => {
  const stream = written((writer) => {
    writer.plain(FRAME.ping, 0);
    writer.plain(FRAME.ping, 0);
  });
  let count = 0;
  const reader = new FrameReader(MAX_FRAME_BYTES, () => {
    count += 1;
    reader.stop();
  });
  reader.push(stream);
  reader.push(stream);
  assert.equal(count, 1);
});

test('FrameReader answers 200,000 mutated streams with frames or LINK_PROTOCOL, nothing else', () => {
  const original = written((writer) => {
    writer.request(1, 0, 'request-1', 100, valueOf(Buffer.from('{"a":1}')));
    writer.reply(FRAME.response, 0, 1, TIMING, LOAD, valueOf(Buffer.from('\u0000[1]')));
    writer.load(FRAME.pong, LOAD);
  });
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0; // a fixed sequence: a failure repeats
    return (seed >>> 8) % below;
  };
  for (let run = 0; run < 200_000; run += 1) {
    const stream = Buffer.from(original);
    for (let change = random(3); change >= 0; change -= 1) stream[random(stream.length)] = random(256);
    const cut = random(stream.length);
    const reader = new FrameReader(4096, (frame) => {
      assert.ok(frame.body.length === frame.bodyBytes);
      if (frame.kind === FRAME.request) readRequestMeta(frame);
      if (frame.kind === FRAME.response) readReplyMeta(frame);
    });
    try {
      reader.push(stream.subarray(0, cut));
      reader.push(stream.subarray(cut));
    } catch (thrown) {
      assert.ok(thrown instanceof JubakoError && thrown.code === 'LINK_PROTOCOL', String(thrown));
    }
  }
});

test('FrameWriter writes all frames of a loop turn at once', async () => {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  for (let id = 1; id <= 50; id += 1) writer.request(id, 0, 'abc', 0, valueOf(Buffer.from('small')));
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
  writer.request(1, 0, 'a', 0, valueOf(Buffer.from('head'), large, Buffer.from('tail')));
  writer.request(2, 0, 'b', 0, valueOf(Buffer.from('next')));
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
    writer.request(index + 1, 0, 'a', 0, valueOf(Buffer.from(body)));
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

test('FrameWriter zeroes its padding: bytes of earlier frames do not leave the process', async () => {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  writer.request(1, 0, 'xxxxxxxx', 0, valueOf(Buffer.alloc(4000, 0xff)));
  await new Promise(setImmediate);
  sink.chunks.length = 0;
  writer.request(2, 0, 'a', 0, valueOf(Buffer.from('b')));
  writer.flush();
  assert.equal(sink.bytes.length, 40);
  assert.equal(sink.bytes.subarray(25, 32).toString('hex'), '00'.repeat(7));
  assert.equal(sink.bytes.subarray(33).toString('hex'), '00'.repeat(7));
});

test('FrameWriter.request refuses a request id that does not fit with INVALID_INPUT', () => {
  const writer = new FrameWriter(new Sink());
  assert.throws(
    () => {
      writer.request(1, 0, 'x'.repeat(1025), 0, valueOf());
    },
    (thrown: unknown) => thrown instanceof JubakoError && thrown.code === 'INVALID_INPUT',
  );
  assert.equal(writer.pendingBytes, 0);
});
