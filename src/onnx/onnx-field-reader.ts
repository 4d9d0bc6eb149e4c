import { isUtf8 } from 'node:buffer';
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { JubakoError } from '../errors.js';

// Walks protobuf messages in a file of any size, one small window at a time.
// F1 What is skipped is never read: the weights of a model cost a few bytes each.
// F2 The file is not believed: every length is checked against the message around it, and the number of fields and of
//    characters is bounded, so that no file can crash, hang or flood the process that reads it.

/** Large enough for a handful of nodes, small enough that jumping from tensor to tensor reads next to nothing. */
const WINDOW_BYTES = 8192;
/** The largest models have some ten thousand nodes and tensors. */
const MAX_FIELDS = 5_000_000;
/** Of all names together. */
const MAX_TEXT_BYTES = 2 ** 26;

const LFS_POINTER = 'version https://git-lfs';

/** Wire types of protobuf. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** A part of the file: from `start` up to and without `end`. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

export interface Field extends Extent {
  readonly number: number;
  /** Of a number: its value as an unsigned 64-bit integer, exact up to 2^53. Of everything else: NaN. */
  readonly value: number;
  /** False: the field is a number, and has no content to look into. */
  readonly hasContent: boolean;
}

/**
 * Opens a file, lets `read` walk it, and closes it.
 * @throws {JubakoError} SERVICE_INVALID - the file is missing or unreadable, or is not what `read` takes it for.
 */
export function readFields<T>(file: string, read: (reader: FieldReader, whole: Extent) => T): T {
  let fd: number | undefined;
  try {
    // Before it is opened: opening a pipe would wait for its writer.
    if (!statSync(file).isFile()) throw unreadable(file, 'it is no file');
    fd = openSync(file, 'r');
    const sizeBytes = fstatSync(fd).size;
    return read(new FieldReader(file, fd, sizeBytes), { start: 0, end: sizeBytes });
  } catch (thrown) {
    if (thrown instanceof JubakoError) throw thrown;
    throw unreadable(file, thrown instanceof Error ? thrown.message : String(thrown), thrown);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

export function unreadable(file: string, why: string, cause?: unknown): JubakoError {
  return new JubakoError('SERVICE_INVALID', `Cannot read the model ${file}: ${why}`, { cause });
}

export class FieldReader {
  readonly #file: string;
  readonly #fd: number;
  readonly #sizeBytes: number;
  readonly #window = Buffer.alloc(WINDOW_BYTES);
  #windowStart = 0;
  #windowEnd = 0;
  /** Where the number that was read last ended. */
  #at = 0;
  #fieldsLeft = MAX_FIELDS;
  #textBytesLeft = MAX_TEXT_BYTES;

  constructor(file: string, fd: number, sizeBytes: number) {
    this.#file = file;
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
  }

  /** The fields of a message in the order of the file. @throws {JubakoError} SERVICE_INVALID - it is no message. */
  *fields({ start, end }: Extent): Generator<Field, void, undefined> {
    let at = start;
    while (at < end) {
      if ((this.#fieldsLeft -= 1) < 0) throw this.refused(`it has more than ${MAX_FIELDS} parts`);
      const field = this.#field(at, end);
      at = field.end;
      yield field;
    }
  }

  /** The content of a text field. @throws {JubakoError} SERVICE_INVALID - it is no text. */
  text({ hasContent, start, end }: Field): string {
    const length = end - start;
    if (!hasContent) throw this.refused(`byte ${start} holds a number where a text belongs`);
    if ((this.#textBytesLeft -= length) < 0) throw this.refused(`its names have more than ${MAX_TEXT_BYTES} bytes`);
    const bytes = Buffer.alloc(length);
    this.#read(bytes, start);
    if (!isUtf8(bytes)) throw this.refused(`the text at byte ${start} is not UTF-8`);
    return bytes.toString('utf8');
  }

  refused(why: string): JubakoError {
    return unreadable(this.#file, why);
  }

  #field(at: number, end: number): Field {
    const tag = this.#varint(at, end);
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (number === 0 || tag >= 2 ** 32) throw this.#malformed(at);
    const start = this.#at;
    switch (wire) {
      case VARINT: {
        const value = this.#varint(start, end);
        return { number, value, hasContent: false, start, end: this.#at };
      }
      case LENGTH: {
        const length = this.#varint(start, end);
        return { number, value: NaN, hasContent: true, start: this.#at, end: this.#inside(at, this.#at + length, end) };
      }
      case FIXED64:
      case FIXED32: {
        const length = wire === FIXED64 ? 8 : 4;
        return { number, value: NaN, hasContent: false, start, end: this.#inside(at, start + length, end) };
      }
      default:
        throw this.#malformed(at);
    }
  }

  #inside(at: number, wanted: number, end: number): number {
    if (wanted > end) throw this.#malformed(at);
    return wanted;
  }

  /** Sets `#at` to the byte behind the number. */
  #varint(start: number, end: number): number {
    let value = 0;
    let scale = 1;
    for (let at = start; at < end && at < start + 10; at += 1) {
      const byte = this.#byte(at);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.#at = at + 1;
        return value;
      }
      scale *= 128;
    }
    throw this.#malformed(start);
  }

  #byte(at: number): number {
    if (at < this.#windowStart || at >= this.#windowEnd) {
      const length = Math.min(WINDOW_BYTES, this.#sizeBytes - at);
      this.#windowStart = this.#windowEnd = at;
      this.#read(this.#window.subarray(0, length), at);
      this.#windowEnd = at + length;
    }
    return this.#window[at - this.#windowStart] as number;
  }

  #read(into: Uint8Array, at: number): void {
    for (let filled = 0; filled < into.length;) {
      const count = readSync(this.#fd, into, filled, into.length - filled, at + filled);
      if (count === 0) throw this.refused('it became shorter while it was read');
      filled += count;
    }
  }

  #malformed(at: number): JubakoError {
    if (at === 0 && this.#isLfsPointer()) return this.refused('it is a Git LFS pointer; run `git lfs pull`');
    return this.refused(`it is damaged or no ONNX file: byte ${at} of ${this.#sizeBytes} makes no sense`);
  }

  #isLfsPointer(): boolean {
    const head = Buffer.alloc(Math.min(LFS_POINTER.length, this.#sizeBytes));
    this.#read(head, 0);
    return head.toString('latin1') === LFS_POINTER;
  }
}
