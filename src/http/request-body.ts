import type { IncomingMessage } from 'node:http';
import { JubakoError } from '../errors.js';
import { Decompressor, type ContentCoding } from './decompress.js';
import { bodyTooLarge } from './error-answer.js';

// B1 No more than `maxBytes` are held, whether they come so or out of a compressed body; no more than `maxBytes` are read of a
//    compressed one either.
// B2 Chunks are not joined before somebody wants them whole: tensors are handed on as they came. Small ones are, since each
//    costs more than its bytes, and a client may send one byte in each.

/** Chunks that are smaller on average are joined. */
const LEAST_CHUNK_BYTES = 16 * 1024;
/** Small chunks are joined when there are so many. */
const MANY_CHUNKS = 256;

/** A body as it came: its chunks, cut anywhere. */
export class Body {
  #chunks: Buffer[] = [];
  /** Not yet looked at by `#joinSmall`. */
  #loose = 0;
  #looseBytes = 0;
  byteLength = 0;

  static of(bytes: Buffer): Body {
    const body = new Body();
    body.add(bytes);
    return body;
  }

  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  add(chunk: Buffer): void {
    this.byteLength += chunk.byteLength;
    this.#chunks.push(chunk);
    this.#loose += 1;
    this.#looseBytes += chunk.byteLength;
    if (this.#loose === MANY_CHUNKS) this.#joinSmall();
  }

  /** All is there. */
  complete(): void {
    if (this.#chunks.length > 1) this.#joinSmall();
  }

  /** In one piece. */
  bytes(): Buffer {
    const [only] = this.#chunks;
    if (only !== undefined && this.#chunks.length === 1) return only;
    const bytes = Buffer.concat(this.#chunks, this.byteLength);
    this.#chunks = [bytes];
    return bytes;
  }

  #joinSmall(): void {
    if (this.#loose > 1 && this.#looseBytes < this.#loose * LEAST_CHUNK_BYTES) {
      const loose = this.#chunks.splice(-this.#loose);
      this.#chunks.push(Buffer.concat(loose, this.#looseBytes));
    }
    this.#loose = 0;
    this.#looseBytes = 0;
  }
}

/**
 * Reads a request to its end.
 * @param inflate - told of each piece that comes out of a compressed body; what it throws ends the reading.
 * @throws {JubakoError} TOO_LARGE - more than `maxBytes` have come (B1); INVALID_INPUT - the request breaks off, or is not
 * compressed as it says; what `inflate` throws.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  coding?: ContentCoding,
  inflate?: (bytes: number) => void,
): Promise<Body> {
  return new Promise((resolve, reject) => {
    if (request.destroyed) {
      reject(brokenOff(new Error('the connection has closed')));
      return;
    }
    if (coding === undefined) readPlain(request, maxBytes, resolve, reject);
    else readCoded(request, { maxBytes, coding, inflate }, resolve, reject);
  });
}

type Resolve = (body: Body) => void;
type Reject = (error: JubakoError) => void;

function readPlain(request: IncomingMessage, maxBytes: number, resolve: Resolve, reject: Reject): void {
  const body = new Body();
  const onData = (chunk: Buffer): void => {
    if (body.byteLength + chunk.byteLength <= maxBytes) body.add(chunk);
    else fail(bodyTooLarge(maxBytes));
  };
  const onEnd = (): void => {
    detach();
    body.complete();
    resolve(body);
  };
  const onError = (cause: Error): void => {
    fail(brokenOff(cause));
  };
  const fail = (error: JubakoError): void => {
    detach();
    reject(error);
  };
  const detach = (): void => {
    request.off('data', onData).off('end', onEnd).off('error', onError);
  };
  request.on('data', onData).on('end', onEnd).on('error', onError);
}

interface CodedOptions {
  readonly maxBytes: number;
  readonly coding: ContentCoding;
  readonly inflate: ((bytes: number) => void) | undefined;
}

function readCoded(
  request: IncomingMessage,
  { maxBytes, coding, inflate }: CodedOptions,
  resolve: Resolve,
  reject: Reject,
): void {
  const body = new Body();
  let receivedBytes = 0;
  const decompressor = new Decompressor(coding, {
    onData(chunk) {
      try {
        if (body.byteLength + chunk.byteLength > maxBytes) throw bodyTooLarge(maxBytes);
        inflate?.(chunk.byteLength);
        body.add(chunk);
      } catch (thrown) {
        fail(JubakoError.from(thrown));
      }
    },
    onEnd() {
      detach();
      body.complete();
      resolve(body);
    },
    onError(error) {
      fail(error);
    },
  });
  const onData = (chunk: Buffer): void => {
    receivedBytes += chunk.byteLength;
    if (receivedBytes > maxBytes) fail(bodyTooLarge(maxBytes));
    else if (!decompressor.write(chunk, resume)) request.pause();
  };
  const resume = (): void => {
    request.resume();
  };
  const onEnd = (): void => {
    decompressor.end();
  };
  const onError = (cause: Error): void => {
    fail(brokenOff(cause));
  };
  const fail = (error: JubakoError): void => {
    detach();
    reject(error);
  };
  const detach = (): void => {
    decompressor.stop();
    request.off('data', onData).off('end', onEnd).off('error', onError);
  };
  request.on('data', onData).on('end', onEnd).on('error', onError);
}

function brokenOff(cause: Error): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read the request: ${cause.message}`, { cause });
}
