import { FRAME, FRAME_HEADER_BYTES, padTo8 } from '#dist/link/frame.js';
import { toRequestFlags } from '#dist/link/frame-meta.js';
import { bodyOf, type FrameWriter } from '#dist/link/frame-writer.js';
import { encodeValue, Tensor, tensorOf } from '#dist/tensor/index.js';
import { LINK_VERSION } from '#dist/link/hello.js';
import { seededUint32 } from '../../support/seeded-random.js';
import { LOAD, TIMING, valueOf, written } from './frames.js';

// Valid frames of both sides, and what can be done to them. Everything follows from the seed.

/** Numbers from a seed, the same each time. */
export class Random {
  readonly #next: () => number;
  constructor(seed: number) {
    this.#next = seededUint32(seed);
  }
  /** 0 to below `below`. */
  below(below: number): number {
    return Math.floor((this.#next() / 2 ** 32) * below);
  }
  u32(): number {
    return this.#next();
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }
}

export const METHODS = [
  { name: 'echo', idempotent: true, streams: false },
  { name: 'once', idempotent: false, streams: false },
  { name: 'items', idempotent: true, streams: true },
];
export const SERVER_HELLO = {
  runner: 'fuzz',
  worker: 'fuzz-0',
  version: LINK_VERSION,
  workersHere: 1,
  methods: METHODS,
  maxFrameBytes: 4096,
  maxInFlight: 6,
  maxInFlightBytes: 2048,
  ready: true as const,
};
const CLIENT_HELLO = { version: LINK_VERSION, peer: 'fuzz' };
const VALUES = [
  encodeValue({ a: [1, 'ä', null] }),
  encodeValue(tensorOf('float32', [2, 3], [1, 2, 3, 4, 5, 6])),
  encodeValue({ image: tensorOf('uint8', [5], [1, 2, 3, 4, 5]), name: 'x' }),
  encodeValue(new Tensor('string', [2], ['one', 'two'])),
];
const FAILURE = bodyOf(Buffer.from('{"code":"INVALID_INPUT","message":"no"}'));
const IDS = 8;

function frames(write: (writer: FrameWriter) => void): Buffer {
  return written(write);
}

export const clientHello: Buffer = frames((writer) => {
  writer.plain(FRAME.hello, 0, bodyOf(Buffer.from(JSON.stringify(CLIENT_HELLO))));
});
export const serverHello: Buffer = frames((writer) => {
  writer.plain(FRAME.hello, 0, bodyOf(Buffer.from(JSON.stringify(SERVER_HELLO))));
});

/** Each is one frame; calls of ids from 1 to 8, so that frames meet calls that are open. */
function ofCaller(): Buffer[] {
  const made: Buffer[] = [];
  for (let id = 1; id <= IDS; id += 1) {
    for (const value of VALUES) {
      made.push(
        frames((w) => {
          w.request(id, toRequestFlags('normal', false), 0, 'request-7', 1000, 0, value);
        }),
      );
      made.push(
        frames((w) => {
          w.request(id, toRequestFlags('high', true), 1, '', 0, 0, value);
        }),
      );
      made.push(
        frames((w) => {
          w.request(id, toRequestFlags('low', false), 2, 'r', 0, 4, value);
        }),
      );
    }
    for (let i = 0; i < 4; i += 1)
      made.push(
        frames((w) => {
          w.plain(FRAME.cancel, id);
        }),
      );
    for (let i = 0; i < 4; i += 1)
      made.push(
        frames((w) => {
          w.credit(id, 3);
        }),
      );
  }
  made.push(
    frames((w) => {
      w.plain(FRAME.ping, 0);
    }),
  );
  made.push(
    frames((w) => {
      w.plain(FRAME.goodbye, 0);
    }),
  );
  made.push(
    frames((w) => {
      w.plain(FRAME.error, 0, FAILURE);
    }),
  );
  return made;
}

function ofRunner(): Buffer[] {
  const made: Buffer[] = [];
  for (let id = 1; id <= IDS; id += 1) {
    for (const value of VALUES) {
      made.push(
        frames((w) => {
          w.reply(FRAME.response, 0, id, TIMING, LOAD, value);
        }),
      );
      made.push(
        frames((w) => {
          w.plain(FRAME.item, id, value);
        }),
      );
      made.push(
        frames((w) => {
          w.plain(FRAME.item, id, value);
        }),
      );
    }
    made.push(
      frames((w) => {
        w.reply(FRAME.end, 0, id, TIMING, LOAD, valueOf());
      }),
    );
    made.push(
      frames((w) => {
        w.reply(FRAME.error, 0, id, TIMING, { ...LOAD, isFull: true }, FAILURE);
      }),
    );
    made.push(
      frames((w) => {
        w.reply(FRAME.error, 1, id, TIMING, LOAD, bodyOf(Buffer.from('{"code":"DRAINING","message":"no"}')));
      }),
    );
  }
  made.push(
    frames((w) => {
      w.plain(FRAME.begun, 1);
    }),
  );
  made.push(
    frames((w) => {
      w.load(FRAME.pong, LOAD);
    }),
  );
  made.push(
    frames((w) => {
      w.load(FRAME.load, { ...LOAD, waitMs: -1 });
    }),
  );
  made.push(
    frames((w) => {
      w.plain(FRAME.goodbye, 0);
    }),
  );
  return made;
}

export const CALLER_FRAMES: readonly Buffer[] = ofCaller();
export const RUNNER_FRAMES: readonly Buffer[] = ofRunner();

const KINDS: readonly number[] = [...Object.values(FRAME), 0, 11, 19, 31, 32, 255];

/** What a change does. Those that a codec lets through are more frequent: behind it is more to be found. */
const CHANGES = [
  ...(['twice', 'late', 'id', 'flags', 'meta'] as const),
  ...(['twice', 'late', 'id', 'flags', 'meta'] as const),
  ...(['bit', 'short', 'lie', 'split', 'kind', 'noise'] as const),
];

/**
 * One frame, changed; what is sent in its place may be less, more, or several frames.
 * @param next - the frame that should follow.
 */
export function mutate(random: Random, frame: Buffer, next: Buffer): Buffer {
  const bytes = Buffer.from(frame);
  switch (random.pick(CHANGES)) {
    case 'twice':
      return Buffer.concat([bytes, bytes]);
    case 'late':
      return Buffer.concat([next, bytes]);
    case 'id':
      bytes.writeUInt32LE(random.pick([0, 1, 2, 3, 9, 0xffff_ffff]), 4);
      return bytes;
    case 'flags':
      bytes[9] = random.pick([0, 1, 2, 3, 4, random.below(256)]);
      return bytes;
    case 'meta': // and the body
      if (bytes.length > FRAME_HEADER_BYTES)
        bytes[FRAME_HEADER_BYTES + random.below(bytes.length - FRAME_HEADER_BYTES)] = random.below(256);
      return bytes;
    case 'bit':
      bytes[random.below(bytes.length)] = (bytes[random.below(bytes.length)] as number) ^ (1 << random.below(8));
      return bytes;
    case 'short': // what follows is read as the rest
      return bytes.subarray(0, random.below(bytes.length));
    case 'lie': // a length that its parts do not make
      bytes.writeUInt32LE(
        random.pick([0, 8, 16, 17, bytes.length + 8, 4096, 4104, random.u32()]),
        random.pick([0, 12]),
      );
      return bytes;
    case 'split':
      return agree(bytes, random);
    case 'kind':
      bytes[8] = random.pick(KINDS);
      return bytes;
    case 'noise': {
      const noise = Buffer.alloc(random.below(40));
      for (let at = 0; at < noise.length; at += 1) noise[at] = random.below(256);
      return Buffer.concat([bytes, noise]);
    }
  }
}

/** Another split of the frame into meta and body, or another length of both. */
function agree(bytes: Buffer, random: Random): Buffer {
  const metaBytes = random.pick([0, 4, 8, 12, 16, 32, 65_535]);
  const bodyBytes = random.pick([0, 1, bytes.readUInt32LE(12), 1000]);
  bytes.writeUInt16LE(metaBytes, 10);
  bytes.writeUInt32LE(bodyBytes, 12);
  bytes.writeUInt32LE(FRAME_HEADER_BYTES + padTo8(metaBytes) + padTo8(bodyBytes), 0);
  return bytes;
}

/** A stream of frames, of which some are changed; `at`: where those begin. */
export interface Mutated {
  readonly stream: Buffer;
  readonly at: readonly number[];
}

export function mutatedStream(random: Random, from: readonly Buffer[], count: number): Mutated {
  const pieces: Buffer[] = [];
  const at: number[] = [];
  let length = 0;
  for (let i = 0; i < count; i += 1) {
    let piece = random.pick(from);
    if (!random.once(3)) {
      piece = mutate(random, piece, random.pick(from));
      at.push(length);
    }
    pieces.push(piece);
    length += piece.length;
  }
  return { stream: Buffer.concat(pieces), at };
}

/**
 * Calls `push` with the stream in pieces of any size; stops where it says false.
 * @returns how many changed frames were read, as far as that can be told: those before the last piece, and one in it.
 */
export function pushInPieces(random: Random, { stream, at }: Mutated, push: (piece: Buffer) => boolean): number {
  const most = random.pick([7, 100, 5000]);
  for (let from = 0; from < stream.length;) {
    const size = 1 + random.below(most);
    if (!push(stream.subarray(from, from + size)))
      return Math.min(at.length, at.filter((begin) => begin < from).length + 1);
    from += size;
  }
  return at.length;
}
