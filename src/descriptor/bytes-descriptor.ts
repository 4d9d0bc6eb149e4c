import { JubakoError } from '../errors.js';
import { decodeBase64, encodeBase64 } from './base64.js';
import type { BlobLike, BytesSpec, ClientAs, MediaForm, SyncDescriptor } from './descriptor.js';
import { parseConcreteType, parseLimit } from './media-type.js';
import { preview } from './preview.js';

export interface BytesOptions {
  /** Of answers; requests may have any. Default `application/octet-stream`. */
  readonly mediaType?: string;
  /** Default: only the limit of the body. */
  readonly maxBytes?: number;
}

export type BytesValue = ClientAs<Uint8Array, Uint8Array | BlobLike>;

/** Bytes of any kind: as JSON a base64 text, as a body themselves. */
export function bytes(options: BytesOptions = {}): SyncDescriptor<BytesValue, BytesSpec> {
  return new BytesDescriptor(options);
}

class BytesDescriptor implements SyncDescriptor<BytesValue, BytesSpec> {
  readonly spec: BytesSpec;
  readonly media: MediaForm<BytesValue>;

  constructor({ mediaType: given = 'application/octet-stream', maxBytes }: BytesOptions) {
    const mediaType = parseConcreteType('bytes', given);
    this.spec = { kind: 'bytes', mediaType, maxBytes: parseLimit('maxBytes', maxBytes) };
    this.media = {
      accepts: [mediaType, '*/*'],
      gives: [mediaType],
      read: (media) => this.check(media.bytes),
      write: (value) => ({ mediaType, bytes: value }),
    };
  }

  fromJson(json: unknown): BytesValue {
    if (typeof json !== 'string')
      throw new JubakoError('INVALID_INPUT', `Cannot accept ${preview(json)}: wanted bytes as base64 text`);
    refuseLongBase64(json, this.spec.maxBytes);
    return this.check(decodeBase64(json, '/'));
  }

  toJson(value: BytesValue): string {
    return encodeBase64(value);
  }

  check(value: unknown): BytesValue {
    if (!(value instanceof Uint8Array))
      throw new JubakoError('INVALID_INPUT', `Cannot accept ${preview(value)}: wanted bytes (a Uint8Array)`);
    refuseManyBytes(value.byteLength, this.spec.maxBytes);
    return value;
  }
}

/** @throws {JubakoError} TOO_LARGE */
export function refuseManyBytes(byteLength: number, maxBytes: number | null): void {
  if (maxBytes !== null && byteLength > maxBytes)
    throw new JubakoError('TOO_LARGE', `Cannot accept ${byteLength} bytes: wanted at most ${maxBytes}`);
}

/** Before it is decoded. @throws {JubakoError} TOO_LARGE */
export function refuseLongBase64(base64: string, maxBytes: number | null): void {
  const atLeast = Math.floor(base64.length / 4) * 3 - 2; // two of the last three may be padding
  refuseManyBytes(atLeast, maxBytes);
}
