import { JubakoError } from '../errors.js';

// One frame of the runner link: header, metadata, body. Little endian.
//   u32 totalBytes | u32 id | u8 kind | u8 flags | u16 metaBytes | u32 bodyBytes | meta, pad to 8 | body, pad to 8
// F1 A frame is a multiple of 8 bytes long, so an aligned stream stays aligned and bodies can be viewed in place.
// F2 The header alone decides whether a frame is acceptable; nothing is buffered for one that is not.
// F3 `id` is chosen by the side that calls, unique among its open calls; 0 belongs to the connection.

/** 16 to 31 are kept for streams and their credit. */
export const FRAME = {
  /** First frame of each side; body: JSON (see hello.ts). */
  hello: 1,
  /** Meta: u16 method index, u16 request id bytes, u32 remaining ms (0 = no deadline), request id. Body: a value. */
  request: 2,
  /** Meta: see `ReplyMeta`. Body: a value. */
  response: 3,
  /** Meta: as of a response. Body: JSON `{ code, message, details? }`. Id 0: about the connection, which then closes. */
  error: 4,
  /** The caller no longer wants an answer, and gets none. */
  cancel: 5,
  /** Meta: u32 queued rows, u32 rows in flight. */
  load: 6,
  /** The sender starts no more calls (client) or takes no more calls (server); what is open goes on. */
  goodbye: 7,
  ping: 8,
  /** Meta: as of `load`. */
  pong: 9,
} as const;
export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

/** On an error: the call was not begun, so that any other worker may run it. */
export const FLAG_NOT_BEGUN = 1;

export const FRAME_HEADER_BYTES = 16;
export const REQUEST_META_BYTES = 8;
export const REPLY_META_BYTES = 24;
export const LOAD_META_BYTES = 8;

/** A frame of 2 GiB cannot be told apart from garbage by its length, and no reader could hold many. */
export const MAX_FRAME_BYTES = 2 ** 31 - 8;

const FIRST_KIND = FRAME.hello;
const LAST_KIND = FRAME.pong;

/** How busy a runner worker is, in rows. */
export interface LinkLoad {
  readonly queuedRows: number;
  readonly inFlightRows: number;
}

/** A frame as received: offsets into a chunk that lives as long as a view of it does. */
export class Frame {
  readonly kind: FrameKind;
  readonly id: number;
  readonly flags: number;
  readonly bytes: Buffer;
  readonly metaAt: number;
  readonly metaBytes: number;
  readonly bodyBytes: number;

  /** @param at - start of a whole frame whose header `checkHeader` has accepted. */
  constructor(bytes: Buffer, at: number) {
    this.kind = bytes[at + 8] as FrameKind;
    this.id = bytes.readUInt32LE(at + 4);
    this.flags = bytes[at + 9] as number;
    this.bytes = bytes;
    this.metaAt = at + FRAME_HEADER_BYTES;
    this.metaBytes = bytes.readUInt16LE(at + 10);
    this.bodyBytes = bytes.readUInt32LE(at + 12);
  }

  /** A view, 8-aligned where the frame is (F1). */
  get body(): Buffer {
    const bodyAt = this.metaAt + padTo8(this.metaBytes);
    return this.bytes.subarray(bodyAt, bodyAt + this.bodyBytes);
  }
}

/**
 * The total length of the frame whose header is at `at`.
 * @throws {JubakoError} LINK_PROTOCOL - the header contradicts itself, or is too large or of no known kind (F2).
 */
export function checkHeader(bytes: Buffer, at: number, maxFrameBytes: number): number {
  const totalBytes = bytes.readUInt32LE(at);
  const kind = bytes[at + 8] as number;
  const metaBytes = bytes.readUInt16LE(at + 10);
  const bodyBytes = bytes.readUInt32LE(at + 12);
  if (kind < FIRST_KIND || kind > LAST_KIND)
    throw refused(`its kind is ${kind}, known are ${FIRST_KIND} to ${LAST_KIND}`);
  if (totalBytes > maxFrameBytes) throw refused(`it has ${totalBytes} bytes, allowed are ${maxFrameBytes}`);
  if (totalBytes !== frameBytes(metaBytes, bodyBytes)) {
    throw refused(
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

export interface RequestMeta {
  readonly methodIndex: number;
  /** 0 = none. */
  readonly remainingMs: number;
  readonly requestIdBytes: number;
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function readRequestMeta(frame: Frame): RequestMeta {
  const { bytes, metaAt, metaBytes } = frame;
  if (metaBytes < REQUEST_META_BYTES)
    throw refused(`a request has ${metaBytes} bytes of meta, wanted ${REQUEST_META_BYTES} or more`);
  const requestIdBytes = bytes.readUInt16LE(metaAt + 2);
  if (metaBytes !== REQUEST_META_BYTES + requestIdBytes) {
    throw refused(`a request id of ${requestIdBytes} bytes lies in ${metaBytes} bytes of meta`);
  }
  return { methodIndex: bytes.readUInt16LE(metaAt), remainingMs: bytes.readUInt32LE(metaAt + 4), requestIdBytes };
}

/** Meta of a response or an error; times in ms. */
export interface ReplyMeta extends LinkLoad {
  readonly queueMs: number;
  readonly batchMs: number;
  readonly computeMs: number;
  readonly batchRows: number;
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function readReplyMeta(frame: Frame): ReplyMeta {
  const { bytes, metaAt } = frame;
  checkMetaBytes(frame, REPLY_META_BYTES);
  return {
    queueMs: bytes.readFloatLE(metaAt),
    batchMs: bytes.readFloatLE(metaAt + 4),
    computeMs: bytes.readFloatLE(metaAt + 8),
    batchRows: bytes.readUInt32LE(metaAt + 12),
    queuedRows: bytes.readUInt32LE(metaAt + 16),
    inFlightRows: bytes.readUInt32LE(metaAt + 20),
  };
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function readLoadMeta(frame: Frame): LinkLoad {
  checkMetaBytes(frame, LOAD_META_BYTES);
  return {
    queuedRows: frame.bytes.readUInt32LE(frame.metaAt),
    inFlightRows: frame.bytes.readUInt32LE(frame.metaAt + 4),
  };
}

function checkMetaBytes(frame: Frame, wanted: number): void {
  if (frame.metaBytes !== wanted)
    throw refused(`a frame of kind ${frame.kind} has ${frame.metaBytes} bytes of meta, wanted ${wanted}`);
}

function refused(why: string): JubakoError {
  return new JubakoError('LINK_PROTOCOL', `Cannot read a frame: ${why}`);
}
