import type { IncomingHttpHeaders } from 'node:http';
import { JubakoError } from '../errors.js';
import type { DescriptorSpec, TensorSpec } from '../service/descriptor.js';
import { DTYPES, formatShape, parseDtype, tensorFromBytes, type NumericDtype, type Tensor } from '../tensor/index.js';
import { BINARY_TYPE, DTYPE_HEADER, SHAPE_HEADER, isBinaryTensor } from './tensor-headers.js';

export type BodyKind = 'json' | 'binary';

const JSON_TYPES = new Set(['application/json', 'text/json', 'text/plain']);

/**
 * How a body must be read, from its headers alone, so that it is refused before it is received.
 * @throws {JubakoError} UNSUPPORTED_MEDIA - names what was sent and what is accepted.
 */
export function bodyKindOf(headers: IncomingHttpHeaders, input: DescriptorSpec): BodyKind {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new JubakoError(
      'UNSUPPORTED_MEDIA',
      `Cannot read a body with Content-Encoding "${encoding}": send it without one`,
    );
  }
  const given = headers['content-type'];
  if (given === undefined || given === 'application/json') return 'json';
  const [type = '', ...parameters] = given.toLowerCase().split(';');
  const mediaType = type.trim();
  if (mediaType === BINARY_TYPE && isBinaryTensor(input)) return 'binary';
  if (!JSON_TYPES.has(mediaType) && !mediaType.endsWith('+json')) {
    const accepted = isBinaryTensor(input) ? `application/json or ${BINARY_TYPE}` : 'application/json';
    throw new JubakoError(
      'UNSUPPORTED_MEDIA',
      `Cannot read a body of content type "${given}": this API accepts ${accepted}`,
    );
  }
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith('charset='));
  if (charset !== undefined && !/^charset="?(?:utf-?8|us-ascii)"?$/.test(charset)) {
    throw new JubakoError('UNSUPPORTED_MEDIA', `Cannot read a body of content type "${given}": JSON must be UTF-8`);
  }
  return 'json';
}

/**
 * Raw little-endian elements; dtype and shape come from the headers, or from the descriptor where it leaves no choice.
 * @throws {JubakoError} INVALID_INPUT - names what does not fit.
 */
export function readTensor(body: Buffer, headers: IncomingHttpHeaders, spec: TensorSpec): Tensor {
  const dtypeText = single(headers[DTYPE_HEADER]);
  const dtype = dtypeText === undefined ? spec.dtype : parseDtype(dtypeText, `header ${DTYPE_HEADER}`);
  if (dtype === 'string') {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot use header ${DTYPE_HEADER} "string": texts have no binary form, send JSON`,
    );
  }
  const shapeText = single(headers[SHAPE_HEADER]);
  const pattern = shapeText === undefined ? spec.shape : parseShape(shapeText);
  return tensorFromBytes(dtype, completeShape(pattern, dtype, body.length), body);
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

/** `1,64` → [1, 64]; an empty text is the shape of a scalar. */
function parseShape(text: string): number[] {
  if (text.trim() === '') return [];
  return text.split(',').map((part) => {
    const size = /^\s*(?:\d{1,15}|-1)\s*$/.test(part) ? Number(part) : NaN;
    if (Number.isNaN(size)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot use header ${SHAPE_HEADER} "${text}": wanted sizes like "1,64", -1 for one to infer`,
      );
    }
    return size;
  });
}

/** Fills in the one -1 that the length of the body determines. */
function completeShape(pattern: readonly number[], dtype: NumericDtype, bodyBytes: number): readonly number[] {
  const open = pattern.indexOf(-1);
  if (open === -1) return pattern;
  const rowBytes = pattern.reduce((product, size) => (size === -1 ? product : product * size), DTYPES[dtype].bytes);
  if (open !== pattern.lastIndexOf(-1) || rowBytes === 0) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot infer the shape from ${formatShape(pattern)}: give all sizes in header ${SHAPE_HEADER}`,
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
