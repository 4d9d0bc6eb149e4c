import { Duplex } from 'node:stream';
import { FRAME_HEADER_BYTES, type Frame } from '#dist/link/frame.js';
import { FrameReader } from '#dist/link/frame-reader.js';
import { FrameWriter } from '#dist/link/frame-writer.js';
import type { EncodedValue } from '#dist/tensor/index.js';

export const MAX_FRAME_BYTES = 1024 * 1024;
export const TIMING = { queueMs: 0.5, batchMs: 0.25, computeMs: 2, batchRows: 3 };
export const LOAD = { queuedRows: 7, inFlightRows: 9, waitMs: 12.5, isFull: false };

/** A stream that keeps what is written into it; `isHeld` delays its completion until `release`. */
export class Sink extends Duplex {
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

/** A frame as its parts, which outlive the chunk that it came in. */
export interface Seen {
  readonly kind: number;
  readonly id: number;
  readonly flags: number;
  readonly meta: string;
  readonly body: string;
}

export function see(frame: Frame): Seen {
  const meta = frame.bytes.subarray(frame.metaAt, frame.metaAt + frame.metaBytes).toString('hex');
  return { kind: frame.kind, id: frame.id, flags: frame.flags, meta, body: frame.body.toString('hex') };
}

export function readAll(chunks: readonly Buffer[], maxFrameBytes = MAX_FRAME_BYTES): Seen[] {
  const seen: Seen[] = [];
  const reader = new FrameReader(maxFrameBytes, (frame) => seen.push(see(frame)));
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

export function valueOf(...parts: Uint8Array[]): EncodedValue {
  const [head = Buffer.alloc(0), ...rest] = parts;
  return { head, parts: rest, byteLength: parts.reduce((sum, part) => sum + part.byteLength, 0) };
}

export function written(write: (writer: FrameWriter) => void): Buffer {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  write(writer);
  writer.flush();
  return sink.bytes;
}

/** The stream in pieces of the given sizes, the rest as one; each at an address of its own, `offset` above a multiple of 8. */
export function cut(stream: Buffer, sizes: readonly number[], offset = 0): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, stream.length]) {
    if (at >= stream.length) break;
    const piece = stream.subarray(at, at + size);
    const place = Buffer.from(new ArrayBuffer(piece.length + offset)).subarray(offset);
    piece.copy(place);
    chunks.push(place);
    at += piece.length;
  }
  return chunks;
}

/** The header of a frame, true or not. */
export function header(totalBytes: number, kind: number, metaBytes: number, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  bytes.writeUInt32LE(totalBytes, 0);
  bytes[8] = kind;
  bytes.writeUInt16LE(metaBytes, 10);
  bytes.writeUInt32LE(bodyBytes, 12);
  return bytes;
}
