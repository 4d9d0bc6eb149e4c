import { isUtf8 } from 'node:buffer';

// Reading FlatBuffers (https://flatbuffers.dev/internals/) that a stranger wrote.
// F1 Whatever the bytes say, every read lies in the view or throws a RangeError, and no vector is longer than the view.

export class FlatTable {
  readonly #view: DataView;
  readonly #at: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    this.#vtable = at - view.getInt32(at, true);
    this.#vtableBytes = view.getUint16(this.#vtable, true);
  }

  /** The table that the whole buffer is. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  /** @param field - number of the field in its table; where it is left out, its default 0 is meant. */
  byte(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : this.#view.getUint8(at);
  }

  short(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : this.#view.getInt16(at, true);
  }

  int(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : this.#view.getInt32(at, true);
  }

  long(field: number): bigint {
    const at = this.#find(field);
    return at === 0 ? 0n : this.#view.getBigInt64(at, true);
  }

  table(field: number): FlatTable | undefined {
    const at = this.#find(field);
    return at === 0 ? undefined : new FlatTable(this.#view, this.#follow(at));
  }

  string(field: number, maxBytes: number): string {
    const { at, length } = this.#vector(field, 1);
    if (length > maxBytes) throw new RangeError(`a text of ${length} bytes where ${maxBytes} are allowed`);
    const text = Buffer.from(this.#view.buffer, this.#view.byteOffset + at, length);
    if (!isUtf8(text)) throw new RangeError('a text is not UTF-8');
    return text.toString();
  }

  tables(field: number): FlatTable[] {
    const { at, length } = this.#vector(field, 4);
    return Array.from({ length }, (_, i) => new FlatTable(this.#view, this.#follow(at + i * 4)));
  }

  /** Structs of two 64-bit numbers each, which must be whole numbers that are exact here. */
  pairs(field: number): (readonly [number, number])[] {
    const { at, length } = this.#vector(field, 16);
    const numberAt = (position: number): number => toCount(this.#view.getBigInt64(position, true));
    return Array.from({ length }, (_, i) => [numberAt(at + i * 16), numberAt(at + i * 16 + 8)] as const);
  }

  /** 0: left out. */
  #find(field: number): number {
    const entry = 4 + field * 2;
    if (entry + 2 > this.#vtableBytes) return 0;
    const offset = this.#view.getUint16(this.#vtable + entry, true);
    return offset === 0 ? 0 : this.#at + offset;
  }

  #follow(at: number): number {
    return at + this.#view.getUint32(at, true);
  }

  #vector(field: number, elementBytes: number): { readonly at: number; readonly length: number } {
    const found = this.#find(field);
    if (found === 0) return { at: 0, length: 0 };
    const start = this.#follow(found);
    const length = this.#view.getUint32(start, true);
    if (start + 4 + length * elementBytes > this.#view.byteLength) throw new RangeError(`a list of ${length} elements`);
    return { at: start + 4, length };
  }
}

/** @throws {RangeError} it is negative, or too large to be exact. */
export function toCount(long: bigint): number {
  const count = Number(long);
  if (count < 0 || !Number.isSafeInteger(count)) throw new RangeError(`a length of ${long}`);
  return count;
}
