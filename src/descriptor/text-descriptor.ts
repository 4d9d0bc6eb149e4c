import { isAscii, isUtf8 } from 'node:buffer';
import { JubakoError } from '../errors.js';
import type { Media, MediaForm, SyncDescriptor, TextSpec } from './descriptor.js';
import { parseConcreteType, parseLimit, refuseCharset, refuseMediaType } from './media-type.js';
import { preview } from './preview.js';

export interface TextOptions {
  /** Of answers. Requests may have any `text/…`. Default `text/plain`. */
  readonly mediaType?: string;
  /** In UTF-16 units, as JavaScript counts. Default: only the limit of the body. */
  readonly maxLength?: number;
}

/** A text: as JSON a string, as a body its UTF-8 bytes. */
export function text(options: TextOptions = {}): SyncDescriptor<string, TextSpec> {
  return new TextDescriptor(options);
}

/** Takes away the byte order mark that some editors write. */
const UTF8 = new TextDecoder();

/** Bytes that one UTF-16 unit can take in UTF-8. */
const MAX_UNIT_BYTES = 3;

class TextDescriptor implements SyncDescriptor<string, TextSpec> {
  readonly spec: TextSpec;
  readonly media: MediaForm<string>;

  constructor({ mediaType: given = 'text/plain', maxLength }: TextOptions) {
    const mediaType = parseConcreteType('text', given);
    this.spec = { kind: 'text', mediaType, maxLength: parseLimit('a maxLength', maxLength) };
    this.media = {
      accepts: [mediaType, 'text/*'],
      gives: [mediaType],
      read: (media) => this.#read(media),
      write: (value) => ({ mediaType, bytes: Buffer.from(value), parameters: { charset: 'utf-8' } }),
    };
  }

  fromJson(json: unknown): string {
    return this.check(json);
  }

  toJson(value: string): string {
    return value;
  }

  check(value: unknown): string {
    if (typeof value !== 'string')
      throw new JubakoError('INVALID_INPUT', `Cannot accept ${preview(value)}: wanted a text`);
    const { maxLength } = this.spec;
    if (maxLength !== null && value.length > maxLength) throw tooLong(`${value.length} characters`, maxLength);
    return value;
  }

  #read(media: Media): string {
    const { mediaType, bytes, parameters } = media;
    if (mediaType !== '') refuseMediaType('a text', mediaType, this.media.accepts);
    refuseCharset(media);
    const { maxLength } = this.spec;
    if (maxLength !== null && bytes.byteLength > maxLength * MAX_UNIT_BYTES)
      throw tooLong(`${bytes.byteLength} bytes`, maxLength);
    if (!isUtf8(bytes)) throw new JubakoError('INVALID_INPUT', 'Cannot read the text: it is not UTF-8');
    if (parameters?.['charset']?.toLowerCase() === 'us-ascii' && !isAscii(bytes))
      throw new JubakoError('INVALID_INPUT', 'Cannot read the text: it is said to be us-ascii, and is not');
    return this.check(UTF8.decode(bytes));
  }
}

function tooLong(given: string, maxLength: number): JubakoError {
  return new JubakoError('TOO_LARGE', `Cannot accept a text of ${given}: wanted at most ${maxLength} characters`);
}
