import { FlatTable, toCount } from './flatbuffer.js';

// The messages of Arrow IPC (https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc),
// as far as tables need them. What does not fit throws a RangeError that says why.

/** What the values of a column are; `name` as Arrow calls it. */
export type ArrowType =
  | { readonly kind: 'utf8'; readonly offsetBytes: 4 | 8 }
  | { readonly kind: 'bool' }
  | { readonly kind: 'int'; readonly bits: number; readonly isSigned: boolean }
  | { readonly kind: 'float'; readonly bits: 16 | 32 | 64 }
  | { readonly kind: 'other'; readonly name: string };

export interface ArrowField {
  readonly name: string;
  readonly type: ArrowType;
  /** Set where the column holds numbers of the values of a dictionary, which are of the type. */
  readonly dictionary: { readonly id: bigint; readonly index: ArrowType } | undefined;
}

export type ArrowMessage =
  | { readonly kind: 'schema'; readonly fields: readonly ArrowField[] }
  | ArrowDictionary
  | { readonly kind: 'batch'; readonly batch: ArrowBatch };

/** The values of a dictionary, or more of them. */
export interface ArrowDictionary {
  readonly kind: 'dictionary';
  readonly id: bigint;
  readonly isDelta: boolean;
  readonly batch: ArrowBatch;
}

export interface ArrowBatch {
  readonly rows: number;
  /** Rows of each column. */
  readonly nodes: readonly number[];
  /** Validity, offsets and values of the columns, one after another, none overlapping. */
  readonly buffers: readonly Uint8Array[];
}

const CONTINUATION = 0xffff_ffff;
/** `ARROW1`, at both ends of a file. */
const MAGIC = [0x41, 0x52, 0x52, 0x4f, 0x57, 0x31] as const;
const FILE_HEAD_BYTES = 8;
/** Length of the footer, and `ARROW1`. */
const FILE_TAIL_BYTES = 10;
/** https://github.com/apache/arrow/blob/main/format/Schema.fbs: version 0.15 and later write it. */
const OLDEST_VERSION = 3;
const MAX_NAME_BYTES = 1024;

/** Of a stream or a file, in order, the schema first. */
export function* messagesOf(bytes: Uint8Array): Generator<ArrowMessage> {
  if (MAGIC.every((byte, i) => bytes[i] === byte)) yield* messagesOfFile(bytes);
  else yield* messagesOfStream(bytes);
}

/** A stream in a file, and a footer with the schema once more: apache-arrow writes it only there. */
function* messagesOfFile(bytes: Uint8Array): Generator<ArrowMessage> {
  const tailAt = bytes.byteLength - FILE_TAIL_BYTES;
  if (tailAt < FILE_HEAD_BYTES || !MAGIC.every((byte, i) => bytes[tailAt + 4 + i] === byte))
    throw new RangeError('it is cut off');
  const footerAt = tailAt - new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(tailAt, true);
  const schema = footerAt < FILE_HEAD_BYTES ? undefined : FlatTable.root(bytes.subarray(footerAt, tailAt)).table(1);
  if (schema === undefined) throw new RangeError('its footer has no schema');
  yield { kind: 'schema', fields: readSchema(schema) };
  for (const message of messagesOfStream(bytes.subarray(FILE_HEAD_BYTES, footerAt)))
    if (message.kind !== 'schema') yield message;
}

function* messagesOfStream(bytes: Uint8Array): Generator<ArrowMessage> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength;) {
    if (view.getUint32(at, true) !== CONTINUATION) throw new RangeError(`there is no message at byte ${at}`);
    const headBytes = view.getUint32(at + 4, true);
    if (headBytes === 0) return; // the end of the stream
    const bodyAt = at + 8 + headBytes;
    if (bodyAt > bytes.byteLength) throw new RangeError('it is cut off');
    const message = FlatTable.root(bytes.subarray(at + 8, bodyAt));
    at = bodyAt + toCount(message.long(3));
    if (at > bytes.byteLength) throw new RangeError('it is cut off');
    yield readMessage(message, bytes.subarray(bodyAt, at));
  }
}

function readMessage(message: FlatTable, body: Uint8Array): ArrowMessage {
  const version = message.short(0);
  if (version < OLDEST_VERSION)
    throw new RangeError(`its version V${version + 1} is older than V${OLDEST_VERSION + 1}`);
  const kind = message.byte(1);
  const header = message.table(2);
  if (header === undefined) throw new RangeError('a message has no header');
  if (kind === 1) return { kind: 'schema', fields: readSchema(header) };
  if (kind === 3) return { kind: 'batch', batch: readBatch(header, body) };
  const data = header.table(1);
  if (kind !== 2 || data === undefined) throw new RangeError(`a message is of the unknown kind ${kind}`);
  return { kind: 'dictionary', id: header.long(0), isDelta: header.byte(2) !== 0, batch: readBatch(data, body) };
}

function readSchema(schema: FlatTable): readonly ArrowField[] {
  if (schema.short(0) !== 0) throw new RangeError('it is big-endian');
  return schema.tables(1).map((field): ArrowField => {
    const dictionary = field.table(4);
    const index = dictionary?.table(1);
    return {
      name: field.string(0, MAX_NAME_BYTES),
      type: readType(field.byte(2), field.table(3)),
      dictionary: dictionary && {
        id: dictionary.long(0),
        index: index === undefined ? { kind: 'int', bits: 32, isSigned: true } : intType(index),
      },
    };
  });
}

/** The numbers are those of the union `Type` in Schema.fbs. */
function readType(kind: number, type: FlatTable | undefined): ArrowType {
  if (type === undefined) return { kind: 'other', name: 'unknown' };
  switch (kind) {
    case 2:
      return intType(type);
    case 3:
      return { kind: 'float', bits: ([16, 32, 64] as const)[type.short(0)] ?? refusePrecision(type.short(0)) };
    case 5:
      return { kind: 'utf8', offsetBytes: 4 };
    case 6:
      return { kind: 'bool' };
    case 20:
      return { kind: 'utf8', offsetBytes: 8 };
    default:
      return { kind: 'other', name: OTHER_TYPES[kind] ?? `number ${kind}` };
  }
}

function refusePrecision(precision: number): never {
  throw new RangeError(`a float has the precision ${precision}`);
}

function intType(type: FlatTable): ArrowType {
  const bits = type.int(0);
  if (![8, 16, 32, 64].includes(bits)) throw new RangeError(`a whole number has ${bits} bits`);
  return { kind: 'int', bits, isSigned: type.byte(1) !== 0 };
}

const OTHER_TYPES: Readonly<Record<number, string>> = {
  1: 'Null',
  4: 'Binary',
  7: 'Decimal',
  8: 'Date',
  9: 'Time',
  10: 'Timestamp',
  11: 'Interval',
  12: 'List',
  13: 'Struct',
  14: 'Union',
  15: 'FixedSizeBinary',
  16: 'FixedSizeList',
  17: 'Map',
  18: 'Duration',
  19: 'LargeBinary',
  21: 'LargeList',
  22: 'RunEndEncoded',
  23: 'BinaryView',
  24: 'Utf8View',
  25: 'ListView',
  26: 'LargeListView',
};

function readBatch(batch: FlatTable, body: Uint8Array): ArrowBatch {
  if (batch.table(3) !== undefined) throw new RangeError('it is compressed');
  let usedBytes = 0;
  const buffers = batch.pairs(2).map(([offset, length]) => {
    usedBytes += length;
    // Buffers that overlap would make many columns of few bytes.
    if (usedBytes > body.byteLength || offset + length > body.byteLength)
      throw new RangeError(`its columns reach beyond a message of ${body.byteLength} bytes`);
    return body.subarray(offset, offset + length);
  });
  return { rows: toCount(batch.long(0)), nodes: batch.pairs(1).map(([rows]) => rows), buffers };
}
