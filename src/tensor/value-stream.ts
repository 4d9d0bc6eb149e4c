import { JubakoError } from '../errors.js';
import { decodeValue, encodeValue } from './value-codec.js';
import { readU32, writeU32 } from './value-layout.js';

// Values one after another in one body, and how they end: what a typed client reads of an API that streams. Little endian.
//   frame  u32 bytes of the rest | u8 kind | item: a value of value-codec.ts; end: nothing; error: the JSON text of its body
// S1 A stream ends by `end` or `error`. One that stops without either was cut, and what follows either is no stream.
// S2 No length is believed before it is checked, and memory is taken as bytes come, not as they are announced.
// S3 Runs in browsers too: nothing of Node here.

/** Media type of one value, as `encodeValue` writes it. */
export const VALUE_TYPE = 'application/vnd.jubako.value';
/** Media type of a stream of values. */
export const VALUES_TYPE = 'application/vnd.jubako.values';

/** What went wrong after the first value, as an error answer says it. */
export interface StreamErrorBody {
  readonly code: string;
  readonly message: string;
  readonly requestId: string;
  readonly details?: unknown;
}

export type ValueFrame =
  | { readonly kind: 'item'; readonly value: unknown }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: StreamErrorBody };

const ITEM = 0;
const END = 1;
const ERROR = 2;

const LENGTH_BYTES = 4;
const HEAD_BYTES = LENGTH_BYTES + 1;
/** The length counts the kind too. */
const MAX_BODY_BYTES = 0xffff_ffff - 1;
/** What is taken for a frame at first. */
const FIRST_BYTES = 64 * 1024;

/**
 * A value as pieces to be sent in order; the data of its tensors is not copied and must not change until it is sent.
 * @throws {JubakoError} INVALID_INPUT, TOO_LARGE - as `encodeValue` does.
 */
export function encodeItem(value: unknown): readonly Uint8Array[] {
  const { head, parts, byteLength } = encodeValue(value);
  if (byteLength > MAX_BODY_BYTES) {
    throw new JubakoError('TOO_LARGE', `Cannot send ${byteLength} bytes at once: wanted at most ${MAX_BODY_BYTES}`);
  }
  return [headOf(ITEM, byteLength), head, ...parts];
}

/** After the last value. */
export function encodeEnd(): Uint8Array {
  return headOf(END, 0);
}

/** @param text - the JSON of a `StreamErrorBody`. */
export function encodeError(text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  const frame = new Uint8Array(HEAD_BYTES + body.byteLength);
  frame.set(headOf(ERROR, body.byteLength));
  frame.set(body, HEAD_BYTES);
  return frame;
}

function headOf(kind: number, bodyBytes: number): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  writeU32(head, 0, bodyBytes + 1);
  head[LENGTH_BYTES] = kind;
  return head;
}

/** Reads frames from bytes that come in chunks, cut anywhere. */
export class ValueStreamReader {
  readonly #maxFrameBytes: number;
  readonly #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  /** Of the frame whose head is complete: at an address of its own, so that tensors are views of it. */
  #body: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #bodyBytes = 0;
  #hasEnded = false;

  /** @param maxFrameBytes - longest body of a frame. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** True: `end` or `error` has come (S1). */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * @returns the frames that this chunk completes; the chunk itself is free again.
   * @throws {JubakoError} LINK_PROTOCOL, TOO_LARGE - the reader is of no use from then on.
   */
  push(chunk: Uint8Array): readonly ValueFrame[] {
    const frames: ValueFrame[] = [];
    let at = 0;
    while (at < chunk.byteLength) {
      if (this.#hasEnded) throw malformed(`${chunk.byteLength - at} bytes follow its end`);
      at = this.#headBytes < HEAD_BYTES ? this.#takeHead(chunk, at) : this.#takeBody(chunk, at);
      if (this.#headBytes === HEAD_BYTES && this.#bodyBytes === this.#wantedBytes()) frames.push(this.#complete());
    }
    return frames;
  }

  /** All bytes have come. @throws {JubakoError} LINK_PROTOCOL - the stream was cut (S1). */
  end(): void {
    if (this.#hasEnded) return;
    throw malformed(this.#headBytes === 0 ? 'it stops without an end' : 'it stops in the middle of a frame');
  }

  #takeHead(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.byteLength, at + HEAD_BYTES - this.#headBytes);
    this.#head.set(chunk.subarray(at, end), this.#headBytes);
    this.#headBytes += end - at;
    if (this.#headBytes === HEAD_BYTES) this.#checkHead();
    return end;
  }

  #checkHead(): void {
    const kind = this.#head[LENGTH_BYTES] as number;
    const length = readU32(this.#head, 0);
    if (length === 0) throw malformed('a frame has no kind');
    if (kind > ERROR) throw malformed(`the kind ${kind} of a frame is unknown`);
    if (kind === END && length > 1) throw malformed(`its end has ${length - 1} bytes`);
    if (length - 1 > this.#maxFrameBytes) {
      const message = `Cannot read a stream of values: a value has ${length - 1} bytes, wanted at most ${this.#maxFrameBytes}`;
      throw new JubakoError('TOO_LARGE', message);
    }
    this.#body = new Uint8Array(Math.min(length - 1, FIRST_BYTES));
    this.#bodyBytes = 0;
  }

  #wantedBytes(): number {
    return readU32(this.#head, 0) - 1;
  }

  #takeBody(chunk: Uint8Array, at: number): number {
    const wanted = this.#wantedBytes();
    const end = Math.min(chunk.byteLength, at + wanted - this.#bodyBytes);
    const needed = this.#bodyBytes + end - at;
    if (needed > this.#body.byteLength) this.#grow(Math.min(wanted, Math.max(needed, this.#body.byteLength * 2)));
    this.#body.set(chunk.subarray(at, end), this.#bodyBytes);
    this.#bodyBytes = needed;
    return end;
  }

  #grow(byteLength: number): void {
    const grown = new Uint8Array(byteLength);
    grown.set(this.#body.subarray(0, this.#bodyBytes));
    this.#body = grown;
  }

  #complete(): ValueFrame {
    const body = this.#body;
    this.#headBytes = 0;
    if (this.#head[LENGTH_BYTES] === ITEM) return { kind: 'item', value: decodeValue(body) };
    this.#hasEnded = true;
    return this.#head[LENGTH_BYTES] === END ? { kind: 'end' } : { kind: 'error', error: readError(body) };
  }
}

function readError(body: Uint8Array): StreamErrorBody {
  let error: unknown;
  try {
    error = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw malformed(`its error is no JSON: ${(cause as Error).message}`);
  }
  const { code, message, requestId } = (error ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof requestId !== 'string') {
    throw malformed('its error lacks code, message or requestId');
  }
  return error as StreamErrorBody;
}

function malformed(why: string): JubakoError {
  return new JubakoError('LINK_PROTOCOL', `Cannot read a stream of values: ${why}`);
}
