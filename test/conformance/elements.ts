import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '#dist/tensor/float16.js';
import type { Element } from './forms.js';

// Raw elements as the binary tensor data extension has them, one by one: slow, and easy to believe.

interface Row {
  readonly bytes: number;
  readonly put: (at: Buffer, element: never) => void;
  readonly get: (at: Buffer) => Element;
}

const ROWS: Readonly<Record<string, Row>> = {
  BOOL: { bytes: 1, put: (at, one: boolean) => at.writeUInt8(Number(one)), get: (at) => at.readUInt8() !== 0 },
  UINT8: { bytes: 1, put: (at, one: number) => at.writeUInt8(one), get: (at) => at.readUInt8() },
  UINT16: { bytes: 2, put: (at, one: number) => at.writeUInt16LE(one), get: (at) => at.readUInt16LE() },
  UINT32: { bytes: 4, put: (at, one: number) => at.writeUInt32LE(one), get: (at) => at.readUInt32LE() },
  UINT64: { bytes: 8, put: (at, one: bigint) => at.writeBigUInt64LE(one), get: (at) => at.readBigUInt64LE() },
  INT8: { bytes: 1, put: (at, one: number) => at.writeInt8(one), get: (at) => at.readInt8() },
  INT16: { bytes: 2, put: (at, one: number) => at.writeInt16LE(one), get: (at) => at.readInt16LE() },
  INT32: { bytes: 4, put: (at, one: number) => at.writeInt32LE(one), get: (at) => at.readInt32LE() },
  INT64: { bytes: 8, put: (at, one: bigint) => at.writeBigInt64LE(one), get: (at) => at.readBigInt64LE() },
  FP16: {
    bytes: 2,
    put: (at, one: number) => at.writeUInt16LE(toFloat16(one)),
    get: (at) => fromFloat16(at.readUInt16LE()),
  },
  BF16: {
    bytes: 2,
    put: (at, one: number) => at.writeUInt16LE(toBfloat16(one)),
    get: (at) => fromBfloat16(at.readUInt16LE()),
  },
  FP32: { bytes: 4, put: (at, one: number) => at.writeFloatLE(one), get: (at) => at.readFloatLE() },
  FP64: { bytes: 8, put: (at, one: number) => at.writeDoubleLE(one), get: (at) => at.readDoubleLE() },
};

export function writeElements(datatype: string, elements: readonly Element[]): Buffer {
  if (datatype === 'BYTES') return Buffer.concat(elements.map((text) => withLength(Buffer.from(text as string))));
  const { bytes, put } = ROWS[datatype] as Row;
  const all = Buffer.alloc(bytes * elements.length);
  elements.forEach((element, i) => {
    put(all.subarray(i * bytes), element as never);
  });
  return all;
}

export function readElements(datatype: string, all: Buffer): readonly Element[] {
  if (datatype === 'BYTES') return readTexts(all);
  const { bytes, get } = ROWS[datatype] as Row;
  return Array.from({ length: all.length / bytes }, (_, i) => get(all.subarray(i * bytes)));
}

function withLength(text: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text]);
}

function readTexts(all: Buffer): readonly string[] {
  const texts: string[] = [];
  for (let at = 0; at < all.length;) {
    const end = at + 4 + all.readUInt32LE(at);
    texts.push(all.toString('utf8', at + 4, end));
    at = end;
  }
  return texts;
}
