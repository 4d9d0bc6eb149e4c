import { isUtf8 } from 'node:buffer';
import { JubakoError } from '../errors.js';
import {
  DTYPES,
  Tensor,
  byteLengthOf,
  bytesOf,
  elementCount,
  formatShape,
  isNumericTensor,
  tensorFromBytes,
  tensorFromChunks,
} from '../tensor/index.js';
import type { Elements } from './infer-request.js';
import type { Port } from './ports.js';

// Elements as raw bytes: little-endian, row-major; BYTES elements each after their length as uint32.
// R1 Whatever a client sends becomes a tensor or an INVALID_INPUT that names the tensor, what it gave and what was wanted.
// R2 Numeric elements are not copied where they lie in one piece and aligned, nor where they are many: then the tensor
//    keeps the pieces until somebody reads its data.

/** Up to here a copy costs less than a tensor that keeps its pieces. */
const SMALL_BYTES = 16 * 1024;
/** Before each BYTES element. */
const LENGTH_BYTES = 4;

export class RawElements implements Elements {
  readonly #chunks: readonly Buffer[];

  /** @param chunks - cut anywhere; nobody else uses them. */
  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks;
  }

  readTensor(port: Port, shape: readonly number[]): Tensor {
    const { dtype, name } = port;
    if (dtype === 'string') return new Tensor('string', shape, toTexts(name, this.readBytes(port, shape)));
    const wanted = elementCount(shape) * DTYPES[dtype].bytes;
    const given = byteLengthOf(this.#chunks);
    if (given !== wanted) {
      throw unreadable(
        name,
        `its raw contents have ${given} bytes; wanted ${wanted} for ${DTYPES[dtype].oip} of shape ${formatShape(shape)}`,
      );
    }
    const [only] = this.#chunks;
    const isWhole = only !== undefined && this.#chunks.length === 1;
    const isAligned = isWhole && only.byteOffset % DTYPES[dtype].bytes === 0;
    const tensor =
      isAligned || given <= SMALL_BYTES // R2
        ? tensorFromBytes(dtype, shape, this.#join())
        : tensorFromChunks(dtype, shape, this.#chunks);
    if (dtype === 'bool') refuseBadBools(name, tensor.data as Uint8Array);
    return tensor;
  }

  readBytes({ name }: Port, shape: readonly number[]): readonly Buffer[] {
    return splitRaw(name, elementCount(shape), this.#join());
  }

  #join(): Buffer {
    const [only] = this.#chunks;
    return only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
  }
}

/** The raw form of any tensor; no copy where it is numeric. */
export function toRaw(tensor: Tensor): Uint8Array {
  return isNumericTensor(tensor) ? bytesOf(tensor) : joinRaw(tensor.data as readonly string[]);
}

/** @throws {JubakoError} INVALID_INPUT - an element is not UTF-8. */
export function toTexts(name: string, elements: readonly Buffer[]): readonly string[] {
  return elements.map((bytes, i) => {
    if (!isUtf8(bytes)) throw unreadable(name, `element ${i} is not UTF-8; wanted text`);
    return bytes.toString('utf8');
  });
}

export function unreadable(name: string, why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read the input "${name}": ${why}`);
}

function refuseBadBools(name: string, data: Uint8Array): void {
  for (let i = 0; i < data.length; i += 1) {
    if ((data[i] as number) > 1)
      throw unreadable(name, `byte ${i} of its raw contents is ${String(data[i])}; wanted 0 or 1 for BOOL`);
  }
}

function splitRaw(name: string, count: number, raw: Buffer): readonly Buffer[] {
  const list: Buffer[] = [];
  let found = 0;
  for (let at = 0; at < raw.length; found += 1) {
    const start = at + LENGTH_BYTES;
    const end = start > raw.length ? Infinity : start + raw.readUInt32LE(at);
    if (end > raw.length)
      throw unreadable(name, `element ${found} of its raw contents ends after byte ${raw.length}, the last one`);
    if (found < count) list.push(raw.subarray(start, end));
    at = end;
  }
  if (found !== count) throw unreadable(name, `its raw contents have ${found} elements; wanted ${count}, by its shape`);
  return list;
}

function joinRaw(texts: readonly string[]): Buffer {
  let total = 0;
  for (const text of texts) total += LENGTH_BYTES + Buffer.byteLength(text, 'utf8');
  const raw = Buffer.allocUnsafe(total);
  let at = 0;
  for (const text of texts) {
    const length = raw.write(text, at + LENGTH_BYTES, 'utf8');
    at = raw.writeUInt32LE(length, at) + length;
  }
  return raw;
}
