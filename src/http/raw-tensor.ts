import type { TensorSpec } from '../descriptor/descriptor.js';
import { JubakoError } from '../errors.js';
import {
  byteLengthOf,
  DTYPES,
  formatShape,
  parseDtype,
  tensorFromBytes,
  tensorFromChunks,
  type NumericDtype,
  type Tensor,
} from '../tensor/index.js';

/** What stands beside the bytes of a tensor; undefined: what its descriptor says. */
export interface TensorLabels {
  readonly dtype: string | undefined;
  /** `1,64` */
  readonly shape: string | undefined;
  /** Where they stand, for messages: `header Tensor-` or `parameter `. */
  readonly where: string;
}

/**
 * Raw little-endian elements; dtype and shape come from the labels, or from the descriptor where it leaves no choice.
 * @param chunks - the tensor's alone from now on.
 * @throws {JubakoError} INVALID_INPUT - names what does not fit.
 */
export function readRawTensor(chunks: readonly Uint8Array[], labels: TensorLabels, spec: TensorSpec): Tensor {
  const { where } = labels;
  const dtype = labels.dtype === undefined ? spec.dtype : parseDtype(labels.dtype, `${where}dtype`);
  if (dtype === 'string') {
    throw new JubakoError('INVALID_INPUT', `Cannot use ${where}dtype "string": texts have no binary form, send JSON`);
  }
  const pattern = labels.shape === undefined ? spec.shape : parseShape(labels.shape, where);
  const complete = completeShape(pattern, dtype, byteLengthOf(chunks), where);
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return tensorFromBytes(dtype, complete, only);
  return tensorFromChunks(dtype, complete, chunks);
}

/** `1,64` → [1, 64]; an empty text is the shape of a scalar. */
function parseShape(text: string, where: string): number[] {
  if (text.trim() === '') return [];
  return text.split(',').map((part) => {
    const size = /^\s*(?:\d{1,15}|-1)\s*$/.test(part) ? Number(part) : NaN;
    if (Number.isNaN(size)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot use ${where}shape "${text}": wanted sizes like "1,64", -1 for one to infer`,
      );
    }
    return size;
  });
}

/** Fills in the one -1 that the length of the body determines. */
function completeShape(
  pattern: readonly number[],
  dtype: NumericDtype,
  bodyBytes: number,
  where: string,
): readonly number[] {
  const open = pattern.indexOf(-1);
  if (open === -1) return pattern;
  const rowBytes = pattern.reduce((product, size) => (size === -1 ? product : product * size), DTYPES[dtype].bytes);
  if (open !== pattern.lastIndexOf(-1) || rowBytes === 0) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot infer the shape from ${formatShape(pattern)}: give all sizes in ${where}shape`,
    );
  }
  if (bodyBytes % rowBytes !== 0) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot infer the shape from ${formatShape(pattern)} of ${dtype}: ${bodyBytes} bytes are no multiple of ${rowBytes}`,
    );
  }
  return pattern.with(open, bodyBytes / rowBytes);
}
