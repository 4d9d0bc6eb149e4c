import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { JubakoError } from '../errors.js';
import type { DescriptorSpec, TensorSpec } from '../descriptor/descriptor.js';
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
import { bodyTooLarge } from './error-answer.js';
import { BINARY_TYPE, DTYPE_HEADER, SHAPE_HEADER, isBinaryTensor } from './tensor-headers.js';

export type BodyKind = 'json' | 'binary';

/** Chunks that are smaller on average are joined: each costs more than its bytes, and a client may send one byte in each. */
const LEAST_CHUNK_BYTES = 16 * 1024;
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

/** A body as it came: its chunks, cut anywhere. */
export class BodyChunks {
  readonly list: readonly Buffer[];

  constructor(list: readonly Buffer[]) {
    this.list = list;
  }
}

/**
 * Reads a body to its end, without joining it where it is large.
 * @param done - called once: with the body, or with TOO_LARGE when more than `maxBytes` have come, or with INVALID_INPUT when the
 * request breaks off.
 */
export function readChunks(
  request: IncomingMessage,
  maxBytes: number,
  done: (error: JubakoError | null, body?: Buffer | BodyChunks) => void,
): void {
  const chunks: Buffer[] = [];
  let byteLength = 0;
  const settle = (error: JubakoError | null): void => {
    request.off('data', onData).off('end', onEnd).off('error', onError);
    if (error !== null) {
      done(error);
      return;
    }
    const isCoarse = byteLength >= chunks.length * LEAST_CHUNK_BYTES;
    done(null, isCoarse || chunks.length === 1 ? new BodyChunks(chunks) : Buffer.concat(chunks, byteLength));
  };
  const onData = (chunk: Buffer): void => {
    byteLength += chunk.byteLength;
    if (byteLength > maxBytes) settle(bodyTooLarge(maxBytes));
    else chunks.push(chunk);
  };
  const onEnd = (): void => {
    settle(null);
  };
  const onError = (cause: Error): void => {
    settle(new JubakoError('INVALID_INPUT', `Cannot read the request: ${cause.message}`, { cause }));
  };
  request.on('data', onData).on('end', onEnd).on('error', onError);
}

/**
 * Raw little-endian elements; dtype and shape come from the headers, or from the descriptor where it leaves no choice.
 * @throws {JubakoError} INVALID_INPUT - names what does not fit.
 */
export function readTensor(body: Buffer | BodyChunks, headers: IncomingHttpHeaders, spec: TensorSpec): Tensor {
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
  const chunks = body instanceof BodyChunks ? body.list : [body];
  const complete = completeShape(pattern, dtype, byteLengthOf(chunks));
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return tensorFromBytes(dtype, complete, only);
  return tensorFromChunks(dtype, complete, chunks);
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
