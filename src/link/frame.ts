import { JubakoError } from '../errors.js';

// One frame of the runner link: header, metadata, body. Little endian.
//   u32 totalBytes | u32 id | u8 kind | u8 flags | u16 metaBytes | u32 bodyBytes | meta, pad to 8 | body, pad to 8
// F1 A frame is a multiple of 8 bytes long, and every body that a reader gives lies at a multiple of 8 (see frame-reader.ts).
// F2 The header alone decides whether a frame is acceptable; nothing is buffered for one that is not.
// F3 `id` is chosen by the side that calls, one after another and unique among its open calls; 0 belongs to the connection.
// F4 A reader gives one Frame again and again, for what is received costs most by what is allocated: it holds until the
//    receiver returns, who keeps numbers and views of it.

/** The metadata of each kind is laid out in frame-meta.ts. */
export const FRAME = {
  /** First frame of each side; body: JSON (see hello.ts). */
  hello: 1,
  /** Caller: a call. Body: a value. */
  request: 2,
  /** Runner: the answer of a call. Body: a value. */
  response: 3,
  /** Runner: the failure of a call. Body: JSON `{ code, message, details? }`. Id 0, from either side: why the connection closes. */
  error: 4,
  /** The caller no longer wants an answer, and gets none. */
  cancel: 5,
  /** Runner: how busy it is, where no other frame has told so for a while. */
  load: 6,
  /** The sender starts no more calls (caller) or takes no more calls (runner); what is open goes on. */
  goodbye: 7,
  ping: 8,
  /** Runner: the answer to a ping, with its load. */
  pong: 9,
  /** Runner: a call that was sent before to a worker which died with it runs from now on. */
  begun: 10,
  // 16 to 31 belong to streams.
  /** Runner: the next value of a stream, for one of the caller's credits. Body: a value. */
  item: 16,
  /** Runner: the stream has given its last item. */
  end: 17,
  /** Caller: so many items more may be sent. */
  credit: 18,
} as const;
export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export const FRAME_HEADER_BYTES = 16;

/** A frame of 2 GiB cannot be told apart from garbage by its length, and no reader could hold many. */
export const MAX_FRAME_BYTES = 2 ** 31 - 8;

const NO_BYTES = Buffer.alloc(0);

/** Bit k: frames of kind k are known. */
const KNOWN_KINDS = Object.values(FRAME).reduce((bits, kind) => bits | (1 << kind), 0);

/** A frame as received: offsets into a chunk that lives as long as a view of it does. */
export class Frame {
  kind: FrameKind = FRAME.hello;
  id = 0;
  flags = 0;
  bytes: Buffer = NO_BYTES;
  metaAt = 0;
  metaBytes = 0;
  bodyBytes = 0;

  /** @param at - start of a whole frame whose header `checkHeader` has accepted. */
  set(bytes: Buffer, at: number): this {
    this.kind = bytes[at + 8] as FrameKind;
    this.id = readU32(bytes, at + 4);
    this.flags = bytes[at + 9] as number;
    this.bytes = bytes;
    this.metaAt = at + FRAME_HEADER_BYTES;
    this.metaBytes = readU16(bytes, at + 10);
    this.bodyBytes = readU32(bytes, at + 12);
    return this;
  }

  /** Keeps no chunk alive. */
  clear(): void {
    this.bytes = NO_BYTES;
  }

  /** A view (F1). */
  get body(): Buffer {
    const bodyAt = this.metaAt + padTo8(this.metaBytes);
    return this.bytes.subarray(bodyAt, bodyAt + this.bodyBytes);
  }

  /** As `body`; a Buffer takes twice as long to make. */
  get value(): Uint8Array {
    const { bytes } = this;
    return new Uint8Array(bytes.buffer, bytes.byteOffset + this.metaAt + padTo8(this.metaBytes), this.bodyBytes);
  }
}

/**
 * The total length of the frame whose header is at `at`.
 * @throws {JubakoError} LINK_PROTOCOL - the header contradicts itself, or is too large or of no known kind (F2).
 */
export function checkHeader(bytes: Buffer, at: number, maxFrameBytes: number): number {
  const totalBytes = readU32(bytes, at);
  const kind = bytes[at + 8] as number;
  const metaBytes = readU16(bytes, at + 10);
  const bodyBytes = readU32(bytes, at + 12);
  if (kind > 31 || (KNOWN_KINDS & (1 << kind)) === 0) throw refusedFrame(`its kind ${kind} is unknown`);
  if (totalBytes > maxFrameBytes) throw refusedFrame(`it has ${totalBytes} bytes, allowed are ${maxFrameBytes}`);
  if (totalBytes !== frameBytes(metaBytes, bodyBytes)) {
    throw refusedFrame(
      `it says ${totalBytes} bytes, its meta of ${metaBytes} and body of ${bodyBytes} make ${frameBytes(metaBytes, bodyBytes)}`,
    );
  }
  return totalBytes;
}

export function frameBytes(metaBytes: number, bodyBytes: number): number {
  return FRAME_HEADER_BYTES + padTo8(metaBytes) + padTo8(bodyBytes);
}

export function padTo8(bytes: number): number {
  return bytes + (-bytes & 7); // the mask is right for any u32, since only the low bits matter
}

export function refusedFrame(why: string): JubakoError {
  return new JubakoError('LINK_PROTOCOL', `Cannot read a frame: ${why}`);
}

/** Without the checks of `readUInt32LE`, which cost as much as the reading: `at` lies in what `checkHeader` has accepted. */
export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

const floatOf = new Float32Array(1);
const bitsOf = new Uint32Array(floatOf.buffer);

export function readF32(bytes: Uint8Array, at: number): number {
  bitsOf[0] = readU32(bytes, at);
  return floatOf[0] as number;
}
