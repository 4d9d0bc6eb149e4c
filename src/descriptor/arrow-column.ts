import { isUtf8 } from 'node:buffer';
import { fromFloat16 } from '../tensor/float16.js';
import type { ArrowBatch, ArrowField, ArrowType } from './arrow-format.js';

/** The value of a row, or null; texts, booleans, numbers, and bigints where a number has 64 bits. */
export type ValueAt = (row: number) => unknown;

/**
 * The columns of one batch, in order: each has a node, and buffers of its own.
 * A1 That a buffer has as many bytes as its rows need is checked before anybody walks along them.
 */
export class BatchReader {
  readonly #batch: ArrowBatch;
  #nextNode = 0;
  #nextBuffer = 0;

  constructor(batch: ArrowBatch) {
    this.#batch = batch;
  }

  /** @param valuesOf - those of a dictionary that has come. */
  column(field: ArrowField, valuesOf: (id: bigint) => readonly unknown[]): ValueAt {
    if (field.dictionary === undefined) return this.values(field.type);
    const values = valuesOf(field.dictionary.id);
    const indexAt = this.values(field.dictionary.index);
    return (row) => {
      const index = indexAt(row);
      if (index === null) return null;
      const at = Number(index);
      const value = values[at];
      if (value === undefined) throw new RangeError(`a value has the number ${at} of ${values.length}`);
      return value;
    };
  }

  values(type: ArrowType): ValueAt {
    const { rows, nodes } = this.#batch;
    if (nodes[this.#nextNode] !== rows) throw new RangeError(`a column has not the ${rows} rows of its message`);
    this.#nextNode += 1;
    const validity = this.#buffer();
    if (validity.byteLength > 0) refuseShort(validity, Math.ceil(rows / 8));
    const valueAt = this.#plainValues(type, rows);
    if (validity.byteLength === 0) return valueAt; // none is missing
    return (row) => (bitAt(validity, row) ? valueAt(row) : null);
  }

  #plainValues(type: ArrowType, rows: number): ValueAt {
    switch (type.kind) {
      case 'utf8': {
        const offsets = refuseShort(this.#buffer(), rows === 0 ? 0 : (rows + 1) * type.offsetBytes);
        return textAt(offsets, type.offsetBytes, this.#buffer());
      }
      case 'bool': {
        const bits = refuseShort(this.#buffer(), Math.ceil(rows / 8));
        return (row) => bitAt(bits, row);
      }
      case 'int':
      case 'float':
        return numberAt(type, viewOf(refuseShort(this.#buffer(), (rows * type.bits) / 8)));
      case 'other':
        throw new RangeError(`a column is of the type ${type.name}`);
      default:
        return type satisfies never;
    }
  }

  #buffer(): Uint8Array {
    const buffer = this.#batch.buffers[this.#nextBuffer];
    if (buffer === undefined) throw new RangeError('a column has no data');
    this.#nextBuffer += 1;
    return buffer;
  }
}

function refuseShort(buffer: Uint8Array, neededBytes: number): Uint8Array {
  if (buffer.byteLength >= neededBytes) return buffer;
  throw new RangeError(`a column has ${buffer.byteLength} bytes and needs ${neededBytes}`);
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function bitAt(bits: Uint8Array, row: number): boolean {
  return (((bits[row >>> 3] as number) >>> (row & 7)) & 1) === 1;
}

function numberAt(type: Extract<ArrowType, { kind: 'int' | 'float' }>, view: DataView): ValueAt {
  if (type.kind === 'float') {
    if (type.bits === 16) return (row) => fromFloat16(view.getUint16(row * 2, true));
    if (type.bits === 32) return (row) => view.getFloat32(row * 4, true);
    return (row) => view.getFloat64(row * 8, true);
  }
  const { bits, isSigned } = type;
  if (bits === 8) return isSigned ? (row) => view.getInt8(row) : (row) => view.getUint8(row);
  if (bits === 16) return isSigned ? (row) => view.getInt16(row * 2, true) : (row) => view.getUint16(row * 2, true);
  if (bits === 32) return isSigned ? (row) => view.getInt32(row * 4, true) : (row) => view.getUint32(row * 4, true);
  return isSigned ? (row) => view.getBigInt64(row * 8, true) : (row) => view.getBigUint64(row * 8, true);
}

function textAt(offsets: Uint8Array, offsetBytes: 4 | 8, data: Uint8Array): ValueAt {
  if (!isUtf8(data)) throw new RangeError('a text is not UTF-8');
  const view = viewOf(offsets);
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const offsetAt = (row: number): number =>
    offsetBytes === 4 ? view.getUint32(row * 4, true) : Number(view.getBigUint64(row * 8, true));
  /** In the middle of a character? All of the data being UTF-8, a text that begins and ends between two is so too. */
  const cuts = (at: number): boolean => ((text[at] ?? 0) & 0xc0) === 0x80;
  return (row) => {
    const start = offsetAt(row);
    const end = offsetAt(row + 1);
    if (start > end || end > text.byteLength || cuts(start) || cuts(end))
      throw new RangeError(`a text reaches from byte ${start} to ${end} of ${text.byteLength}`);
    return text.toString('utf8', start, end);
  };
}
