import { readF32, readU16, readU32, refusedFrame, type Frame } from './frame.js';

// The metadata of each kind of frame. Little endian; times are f32 in ms.
//   request        u16 method index | u16 request id bytes | u32 remaining ms (0: no deadline) | u32 credit | request id
//                  flags: bits 0 and 1 the priority, bit 2 replay
//   response, end  f32 queue | f32 batch | f32 compute | u32 batch rows | load
//   error          as a response, bit 0 of flags: not begun; from a caller, and of id 0 only: nothing
//   load, pong     load
//   credit         u32 items
//   others         nothing
//   load           u32 queued rows | u32 rows in flight | f32 wait (-1: unknown) | u32 newest request; bit 1 of flags: full
// M1 Whatever the bytes are, what is read is in the range that its type says, and no number is NaN.

/** On an error: the call was not begun, so that any other worker may run it. */
export const FLAG_NOT_BEGUN = 1;
/** On every frame with a load. */
export const FLAG_FULL = 2;
/** On a request. */
const FLAG_REPLAY = 4;
const PRIORITY_BITS = 3;

export const REQUEST_META_BYTES = 12;
export const LOAD_META_BYTES = 16;
export const REPLY_META_BYTES = 16 + LOAD_META_BYTES;
export const CREDIT_META_BYTES = 4;

/** Items that a stream may have in advance, twice what our callers give: a bound on what waits for one that does not read. */
export const MAX_CREDIT = 64;
/** An estimate above this is no estimate. */
const MAX_WAIT_MS = 1e9;

export type Priority = 'high' | 'normal' | 'low';
const PRIORITIES: readonly (Priority | undefined)[] = ['normal', 'high', 'low'];

export function toRequestFlags(priority: Priority, isReplay: boolean): number {
  const bits = priority === 'normal' ? 0 : priority === 'high' ? 1 : 2;
  return isReplay ? bits | FLAG_REPLAY : bits;
}

export interface RequestMeta {
  readonly methodIndex: number;
  /** 0 = none. */
  readonly remainingMs: number;
  /** Items that a stream may send; 0 for other calls. */
  readonly credit: number;
  readonly requestIdBytes: number;
  readonly priority: Priority;
  readonly isReplay: boolean;
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function readRequestMeta(frame: Frame): RequestMeta {
  const { bytes, metaAt, metaBytes, flags } = frame;
  if (metaBytes < REQUEST_META_BYTES)
    throw refusedFrame(`a request has ${metaBytes} bytes of meta, wanted ${REQUEST_META_BYTES} or more`);
  const requestIdBytes = readU16(bytes, metaAt + 2);
  if (metaBytes !== REQUEST_META_BYTES + requestIdBytes)
    throw refusedFrame(`a request id of ${requestIdBytes} bytes lies in ${metaBytes} bytes of meta`);
  const credit = readU32(bytes, metaAt + 8);
  if (credit > MAX_CREDIT) throw refusedFrame(`a request gives credit for ${credit} items, allowed are ${MAX_CREDIT}`);
  const priority = PRIORITIES[flags & PRIORITY_BITS];
  if (priority === undefined) throw refusedFrame(`a request has flags ${flags}, which are no priority`);
  return {
    methodIndex: readU16(bytes, metaAt),
    remainingMs: readU32(bytes, metaAt + 4),
    credit,
    requestIdBytes,
    priority,
    isReplay: (flags & FLAG_REPLAY) !== 0,
  };
}

/** How busy a runner worker is, as it says itself. */
export interface LinkLoad {
  readonly queuedRows: number;
  readonly inFlightRows: number;
  /** Until a call of one row that arrives now would be answered; -1 = unknown yet. */
  readonly waitMs: number;
  /** True: it would refuse a call of one row now. */
  readonly isFull: boolean;
}

export interface LoadReport extends LinkLoad {
  /** Id of the newest request of this connection that the report counts; 0 = none yet. */
  readonly seenId: number;
}

/** What a reply says about its run; times in ms. */
export interface ReplyTiming {
  readonly queueMs: number;
  readonly batchMs: number;
  readonly computeMs: number;
  readonly batchRows: number;
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function readReplyMeta(frame: Frame): ReplyTiming & LoadReport {
  const { bytes, metaAt } = frame;
  checkMetaBytes(frame, REPLY_META_BYTES);
  return {
    queueMs: readMs(bytes, metaAt),
    batchMs: readMs(bytes, metaAt + 4),
    computeMs: readMs(bytes, metaAt + 8),
    batchRows: readU32(bytes, metaAt + 12),
    queuedRows: readU32(bytes, metaAt + 16),
    inFlightRows: readU32(bytes, metaAt + 20),
    waitMs: readWaitMs(bytes, metaAt + 24),
    seenId: readU32(bytes, metaAt + 28),
    isFull: (frame.flags & FLAG_FULL) !== 0,
  };
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function readLoadMeta(frame: Frame): LoadReport {
  const { bytes, metaAt } = frame;
  checkMetaBytes(frame, LOAD_META_BYTES);
  return {
    queuedRows: readU32(bytes, metaAt),
    inFlightRows: readU32(bytes, metaAt + 4),
    waitMs: readWaitMs(bytes, metaAt + 8),
    seenId: readU32(bytes, metaAt + 12),
    isFull: (frame.flags & FLAG_FULL) !== 0,
  };
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function readCreditMeta(frame: Frame): number {
  checkMetaBytes(frame, CREDIT_META_BYTES);
  const count = readU32(frame.bytes, frame.metaAt);
  if (count < 1 || count > MAX_CREDIT)
    throw refusedFrame(`it gives credit for ${count} items, allowed are 1 to ${MAX_CREDIT}`);
  return count;
}

function readMs(bytes: Buffer, at: number): number {
  const ms = readF32(bytes, at);
  return ms > 0 && ms <= MAX_WAIT_MS ? ms : 0; // a clock that was set back must not fail a call
}

function readWaitMs(bytes: Buffer, at: number): number {
  const ms = readF32(bytes, at);
  return ms >= 0 ? Math.min(ms, MAX_WAIT_MS) : -1;
}

function checkMetaBytes(frame: Frame, wanted: number): void {
  if (frame.metaBytes !== wanted)
    throw refusedFrame(`a frame of kind ${frame.kind} has ${frame.metaBytes} bytes of meta, wanted ${wanted}`);
}
