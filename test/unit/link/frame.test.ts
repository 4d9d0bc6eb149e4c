import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FRAME, type Frame, type FrameKind } from '#dist/link/frame.js';
import {
  MAX_CREDIT,
  readCreditMeta,
  readLoadMeta,
  readReplyMeta,
  readRequestMeta,
  REQUEST_META_BYTES,
  toRequestFlags,
} from '#dist/link/frame-meta.js';
import { FrameReader } from '#dist/link/frame-reader.js';
import type { FrameWriter } from '#dist/link/frame-writer.js';
import { isProtocolError } from './errors.js';
import { cut, header, LOAD, MAX_FRAME_BYTES, readAll, TIMING, valueOf, written } from './frames.js';

/** A frame of any kind: how it is written, and what is read of it. */
interface Sample {
  readonly write: (writer: FrameWriter) => void;
  readonly wanted: Readonly<Record<string, unknown>>;
}

const id = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const ms = fc.float({ min: 0, max: 100_000, noNaN: true });
const parts = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 3 });
const timing = fc.record({ queueMs: ms, batchMs: ms, computeMs: ms, batchRows: u32 });
const load = fc.record({
  queuedRows: u32,
  inFlightRows: u32,
  waitMs: fc.oneof(ms, fc.constant(-1)),
  isFull: fc.boolean(),
});

function body(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString('hex');
}

const request = fc
  .record({
    id,
    priority: fc.constantFrom('high' as const, 'normal' as const, 'low' as const),
    isReplay: fc.boolean(),
    methodIndex: fc.integer({ min: 0, max: 65_535 }),
    requestId: fc.string({ maxLength: 40, unit: 'grapheme' }),
    remainingMs: u32,
    credit: fc.integer({ min: 0, max: MAX_CREDIT }),
    parts,
  })
  .map((call): Sample => {
    const { priority, isReplay, methodIndex, requestId, remainingMs, credit } = call;
    const flags = toRequestFlags(priority, isReplay);
    return {
      write: (writer) => {
        writer.request(call.id, flags, methodIndex, requestId, remainingMs, credit, valueOf(...call.parts));
      },
      wanted: {
        kind: FRAME.request,
        id: call.id,
        body: body(call.parts),
        requestId: Buffer.from(requestId).toString(), // a lone surrogate has no UTF-8
        meta: {
          methodIndex,
          remainingMs,
          credit,
          requestIdBytes: Buffer.byteLength(requestId),
          priority,
          isReplay,
        },
      },
    };
  });

const reply = fc
  .record({
    kind: fc.constantFrom(FRAME.response, FRAME.error, FRAME.end),
    id,
    seenId: u32,
    timing,
    load,
    parts,
  })
  .map((given): Sample => ({
    write: (writer) => {
      writer.seenId = given.seenId;
      writer.reply(given.kind, 0, given.id, given.timing, given.load, valueOf(...given.parts));
    },
    wanted: {
      kind: given.kind,
      id: given.id,
      body: body(given.parts),
      meta: { ...given.timing, ...given.load, seenId: given.seenId },
    },
  }));

const loads = fc.record({ kind: fc.constantFrom(FRAME.load, FRAME.pong), seenId: u32, load }).map((given): Sample => ({
  write: (writer) => {
    writer.seenId = given.seenId;
    writer.load(given.kind, given.load);
  },
  wanted: { kind: given.kind, id: 0, body: '', meta: { ...given.load, seenId: given.seenId } },
}));

const credit = fc.record({ id, count: fc.integer({ min: 1, max: MAX_CREDIT }) }).map((given): Sample => ({
  write: (writer) => {
    writer.credit(given.id, given.count);
  },
  wanted: { kind: FRAME.credit, id: given.id, body: '', meta: given.count },
}));

const PLAIN_KINDS = [FRAME.hello, FRAME.begun, FRAME.item, FRAME.cancel, FRAME.goodbye, FRAME.ping] as const;
const plain = fc.record({ kind: fc.constantFrom(...PLAIN_KINDS), id: u32, parts }).map((given): Sample => ({
  write: (writer) => {
    writer.plain(given.kind, given.id, valueOf(...given.parts));
  },
  wanted: { kind: given.kind, id: given.id, body: body(given.parts), meta: undefined },
}));

const samples = fc.array(fc.oneof(request, reply, loads, credit, plain), { minLength: 1, maxLength: 12 });

function readMeta(frame: Frame): unknown {
  const readers: Partial<Record<FrameKind, (frame: Frame) => unknown>> = {
    [FRAME.request]: readRequestMeta,
    [FRAME.response]: readReplyMeta,
    [FRAME.error]: readReplyMeta,
    [FRAME.end]: readReplyMeta,
    [FRAME.load]: readLoadMeta,
    [FRAME.pong]: readLoadMeta,
    [FRAME.credit]: readCreditMeta,
  };
  return readers[frame.kind]?.(frame);
}

function read(frame: Frame): Record<string, unknown> {
  const { kind, bytes, metaAt, metaBytes } = frame;
  const requestId = bytes.toString('utf8', metaAt + REQUEST_META_BYTES, metaAt + metaBytes);
  return {
    kind,
    id: frame.id,
    body: frame.body.toString('hex'),
    ...(kind === FRAME.request && { requestId }),
    meta: readMeta(frame),
  };
}

test('FrameReader gives what FrameWriter was given, for every kind of frame and however the stream is cut', () => {
  const kinds = new Set<unknown>();
  fc.assert(
    fc.property(
      samples,
      fc.array(fc.integer({ min: 1, max: 90 })),
      fc.integer({ min: 0, max: 7 }),
      (frames, sizes, offset) => {
        const stream = written((writer) => {
          for (const { write } of frames) write(writer);
        });
        const seen: Record<string, unknown>[] = [];
        const reader = new FrameReader(MAX_FRAME_BYTES, (frame) => {
          assert.equal(frame.body.byteOffset % 8, 0);
          kinds.add(frame.kind);
          seen.push(read(frame));
        });
        for (const chunk of cut(stream, sizes, offset)) reader.push(chunk);
        assert.deepEqual(
          seen,
          frames.map(({ wanted }) => wanted),
        );
        assert.equal(reader.heldBytes, 0);
      },
    ),
    { numRuns: 500, seed: 1 },
  );
  assert.deepEqual(kinds, new Set(Object.values(FRAME)));
});

test('FrameReader reads a stream that comes byte by byte', () => {
  const stream = written((writer) => {
    writer.plain(FRAME.ping, 0);
    writer.request(1, 0, 2, 'id', 0, 0, valueOf(Buffer.from('abc')));
    writer.credit(1, 4);
    writer.plain(FRAME.cancel, 1);
  });
  const kinds = readAll([...stream].map((byte) => Buffer.from([byte]))).map(({ kind }) => kind);
  assert.deepEqual(kinds, [FRAME.ping, FRAME.request, FRAME.credit, FRAME.cancel]);
});

for (const [what, bytes] of [
  ['an unknown kind', header(16, 15, 0, 0)],
  ['an unknown kind among those of streams', header(16, 19, 0, 0)],
  ['a kind beyond all', header(16, 255, 0, 0)],
  ['a kind that is a known one of another round of 32', header(16, 32 + FRAME.ping, 0, 0)],
  ['kind 0', header(16, 0, 0, 0)],
  ['a length below the header', header(8, FRAME.ping, 0, 0)],
  ['a length that is no multiple of 8', header(20, FRAME.ping, 0, 4)],
  ['a length that its parts do not make', header(64, FRAME.response, 24, 0)],
  ['a length above the limit', header(16 + 2 ** 30, FRAME.request, 0, 2 ** 30)],
] as const) {
  test(`FrameReader refuses ${what} with LINK_PROTOCOL, from the header alone`, () => {
    assert.throws(() => readAll([bytes]), isProtocolError);
    assert.throws(() => readAll([bytes.subarray(0, 5), bytes.subarray(5)]), isProtocolError);
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

function metaOf(write: (writer: FrameWriter) => void, change: (stream: Buffer) => void): unknown {
  const stream = written(write);
  change(stream);
  let meta: unknown;
  new FrameReader(MAX_FRAME_BYTES, (frame) => {
    meta = readMeta(frame);
  }).push(stream);
  return meta;
}

for (const [what, write, change] of [
  [
    'a request id that is longer than its meta',
    (writer: FrameWriter) => {
      writer.request(1, 0, 0, 'abc', 0, 0, valueOf());
    },
    (stream: Buffer) => stream.writeUInt16LE(4, 18),
  ],
  [
    'a priority that there is not',
    (writer: FrameWriter) => {
      writer.request(1, 3, 0, '', 0, 0, valueOf());
    },
    () => undefined,
  ],
  [
    'a request with too much credit',
    (writer: FrameWriter) => {
      writer.request(1, 0, 0, '', 0, MAX_CREDIT + 1, valueOf());
    },
    () => undefined,
  ],
  [
    'credit for nothing',
    (writer: FrameWriter) => {
      writer.credit(1, 0);
    },
    () => undefined,
  ],
  [
    'too much credit',
    (writer: FrameWriter) => {
      writer.credit(1, MAX_CREDIT + 1);
    },
    () => undefined,
  ],
  [
    'a reply without its meta',
    (writer: FrameWriter) => {
      writer.plain(FRAME.response, 1);
    },
    () => undefined,
  ],
  [
    'a pong without its meta',
    (writer: FrameWriter) => {
      writer.plain(FRAME.pong, 0);
    },
    () => undefined,
  ],
] as const) {
  test(`The reader of its meta refuses ${what} with LINK_PROTOCOL`, () => {
    assert.throws(() => metaOf(write, change), isProtocolError);
  });
}

test('readReplyMeta reads times that are no times as 0, and a wait as unknown', () => {
  const write = (writer: FrameWriter): void => {
    writer.reply(
      FRAME.response,
      0,
      1,
      { ...TIMING, queueMs: NaN, batchMs: -1, computeMs: Infinity },
      { ...LOAD, waitMs: NaN },
      valueOf(),
    );
  };
  const { queueMs, batchMs, computeMs, waitMs } = metaOf(write, () => undefined) as Record<string, number>;
  assert.deepEqual([queueMs, batchMs, computeMs, waitMs], [0, 0, 0, -1]);
});
