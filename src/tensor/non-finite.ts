import { chunksOf } from './chunked-tensor.js';
import { DTYPES, type NumericDtype } from './dtype.js';
import { isNumericTensor, type Tensor, viewData } from './tensor.js';

// Looks for NaN and infinities in the bytes of a tensor, as they lie.

/** One chunk of what comes over HTTP, with room for the part of an element that the chunk before ended with. */
const SCRATCH_BYTES = 64 * 1024;
const scratch = new Uint8Array(SCRATCH_BYTES);

/** Position of the first NaN or infinity; -1: there is none. */
export function indexOfNonFinite(tensor: Tensor): number {
  if (!isNumericTensor(tensor)) return -1;
  const { dtype } = tensor;
  if (!DTYPES[dtype].isFloat) return -1;
  const chunks = chunksOf(tensor);
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1 && only.byteOffset % DTYPES[dtype].bytes === 0) {
    return indexIn(dtype, only, only.byteLength);
  }
  return indexInChunks(dtype, chunks);
}

/** Chunks are cut anywhere, so elements are neither whole nor aligned in them: a copy in the processor's cache puts that right. */
function indexInChunks(dtype: NumericDtype, chunks: readonly Uint8Array[]): number {
  const size = DTYPES[dtype].bytes;
  let before = 0;
  let filled = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength;) {
      const taken = Math.min(chunk.byteLength - at, SCRATCH_BYTES - filled);
      scratch.set(taken === chunk.byteLength ? chunk : chunk.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      const whole = filled - (filled % size);
      const index = indexIn(dtype, scratch, whole);
      if (index !== -1) return before + index;
      before += whole / size;
      scratch.copyWithin(0, whole, filled);
      filled -= whole;
    }
  }
  return -1;
}

/** @param bytes - aligned. */
function indexIn(dtype: NumericDtype, bytes: Uint8Array, byteLength: number): number {
  const data = viewData(dtype, bytes.buffer, bytes.byteOffset, byteLength / DTYPES[dtype].bytes);
  if (dtype === 'float32' || dtype === 'float64') {
    const floats = data as Float32Array | Float64Array;
    return isAllFinite(floats) ? -1 : floats.findIndex((value) => !Number.isFinite(value));
  }
  const exponent = dtype === 'float16' ? 0x7c00 : 0x7f80;
  return (data as Uint16Array).findIndex((bits) => (bits & exponent) === exponent);
}

/**
 * A finite number times 0 is 0, any other is NaN, and a sum with a NaN in it is NaN. Four sums, since each addition waits
 * for the one before: 55 µs for 600 KB against 95 with one.
 */
function isAllFinite(data: Float32Array | Float64Array): boolean {
  const { length } = data;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    a += (data[i] as number) * 0;
    b += (data[i + 1] as number) * 0;
    c += (data[i + 2] as number) * 0;
    d += (data[i + 3] as number) * 0;
  }
  for (; i < length; i += 1) a += (data[i] as number) * 0;
  return a + b + c + d === 0;
}
