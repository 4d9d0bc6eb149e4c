import type { IncomingHttpHeaders } from 'node:http';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, type Zlib } from 'node:zlib';
import type { Transform } from 'node:stream';
import { JubakoError } from '../errors.js';

// Bodies that come compressed. Who reads what a `Decompressor` gives counts it: a few KB can become gigabytes.

export type ContentCoding = 'gzip' | 'deflate' | 'br';

const CODINGS: Readonly<Record<string, ContentCoding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
};
/** zlib's own 16 KiB would mean four times the chunks. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Undefined: the body is as it is.
 * @throws {JubakoError} UNSUPPORTED_MEDIA - names what was sent and what is accepted. Several codings at once are refused too.
 */
export function codingOf(headers: IncomingHttpHeaders): ContentCoding | undefined {
  const given = headers['content-encoding'];
  if (given === undefined) return undefined;
  const name = given.trim().toLowerCase();
  if (name === 'identity' || name === '') return undefined;
  const coding = Object.hasOwn(CODINGS, name) ? CODINGS[name] : undefined;
  if (coding !== undefined) return coding;
  throw new JubakoError(
    'UNSUPPORTED_MEDIA',
    `Cannot read a body with Content-Encoding "${given}": wanted gzip, deflate, br or none`,
  );
}

export interface DecompressorEvents {
  readonly onData: (chunk: Buffer) => void;
  readonly onEnd: () => void;
  /** The bytes are not what the coding says, or stop too early. */
  readonly onError: (error: JubakoError) => void;
}

/** Takes compressed bytes in chunks; after `onEnd` or `onError`, and after `stop`, nothing follows. */
export class Decompressor {
  readonly #coding: ContentCoding;
  readonly #events: DecompressorEvents;
  /** Made when enough has come to tell zlib's format from the raw one, both of which clients call `deflate`. */
  #stream: (Transform & Zlib) | undefined;
  #first: Buffer = Buffer.alloc(0);

  constructor(coding: ContentCoding, events: DecompressorEvents) {
    this.#coding = coding;
    this.#events = events;
  }

  /** @param onDrain - called where this returns false, once more may come. */
  write(chunk: Buffer, onDrain: () => void): boolean {
    if (this.#stream === undefined) {
      this.#first = this.#first.byteLength === 0 ? chunk : Buffer.concat([this.#first, chunk]);
      if (this.#first.byteLength < 2) return true;
      return this.#pass(this.#open(), this.#first, onDrain);
    }
    return this.#pass(this.#stream, chunk, onDrain);
  }

  end(): void {
    if (this.#stream === undefined) this.#open().write(this.#first);
    this.#stream?.end();
  }

  stop(): void {
    this.#stream?.off('data', this.#events.onData).destroy();
  }

  #pass(stream: Transform, chunk: Buffer, onDrain: () => void): boolean {
    if (stream.writableEnded || stream.destroyed || stream.write(chunk)) return true;
    stream.once('drain', onDrain);
    return false;
  }

  #open(): Transform {
    const stream = createDecoder(this.#coding, this.#first);
    this.#stream = stream;
    stream.on('data', this.#events.onData);
    stream.on('end', this.#events.onEnd);
    stream.on('error', (cause: Error) => {
      const message = `Cannot decompress the body as ${this.#coding}: ${cause.message}`;
      this.#events.onError(new JubakoError('INVALID_INPUT', message, { cause }));
    });
    return stream;
  }
}

function createDecoder(coding: ContentCoding, first: Buffer): Transform & Zlib {
  const options = { chunkSize: CHUNK_BYTES };
  switch (coding) {
    case 'gzip':
      return createGunzip(options);
    case 'br':
      return createBrotliDecompress(options);
    case 'deflate':
      return hasZlibHead(first) ? createInflate(options) : createInflateRaw(options);
    default:
      return coding satisfies never;
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc1950#section-2.2 */
function hasZlibHead(bytes: Buffer): boolean {
  return bytes.byteLength >= 2 && ((bytes[0] as number) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;
}
