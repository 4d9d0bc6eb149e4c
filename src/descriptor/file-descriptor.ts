import { JubakoError } from '../errors.js';
import { decodeBase64, encodeBase64 } from './base64.js';
import { refuseLongBase64, refuseManyBytes } from './bytes-descriptor.js';
import type { BlobLike, FileSpec, Media, MediaForm, SyncDescriptor } from './descriptor.js';
import { isRecord, refuseKeys } from './json-object.js';
import { isMediaType, parseLimit, parseMediaType, refuseMediaType } from './media-type.js';
import { preview } from './preview.js';

export interface FileOptions {
  /** `['application/pdf', 'audio/*']`. Default: any. */
  readonly mediaTypes?: readonly string[];
  /** Default: only the limit of the body. */
  readonly maxBytes?: number;
}

/** A file with its name and type; handlers give plain objects like this. */
export interface FileValue {
  /** Without folders; `file` where the client did not say. */
  readonly name: string;
  /** In lower case, without parameters; `application/octet-stream` where the client did not say. */
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly '~client'?: FileInput;
}

/** What the typed client takes for a file. */
export type FileInput = BlobLike | (Partial<Pick<FileValue, 'name' | 'mediaType'>> & Pick<FileValue, 'bytes'>);

/** A file: as JSON `{ name?, mediaType?, data: base64 }`, as a body its bytes. */
export function file(options: FileOptions = {}): SyncDescriptor<FileValue, FileSpec> {
  return new FileDescriptor(options);
}

const DEFAULT_NAME = 'file';
const DEFAULT_TYPE = 'application/octet-stream';
/** What file systems allow. */
const MAX_NAME_LENGTH = 255;

class FileDescriptor implements SyncDescriptor<FileValue, FileSpec> {
  readonly spec: FileSpec;
  readonly media: MediaForm<FileValue>;

  constructor({ mediaTypes = [], maxBytes }: FileOptions) {
    const patterns = mediaTypes.map((type) => (type === '*/*' ? type : parseMediaType('a file', type)));
    this.spec = { kind: 'file', mediaTypes: patterns, maxBytes: parseLimit('maxBytes', maxBytes) };
    const types = patterns.length === 0 ? ['*/*'] : patterns;
    this.media = {
      accepts: types,
      gives: types,
      read: (media) => this.#read(media),
      write: ({ name, mediaType, bytes }) => ({ mediaType, bytes, fileName: name }),
    };
  }

  fromJson(json: unknown): FileValue {
    if (!isRecord(json)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept ${preview(json)}: wanted a file as { name?, mediaType?, data }, data being base64 text`,
      );
    }
    const { name, mediaType, data, ...others } = json;
    refuseKeys('a file', others, 'name, mediaType, data');
    if (typeof data !== 'string')
      throw new JubakoError('INVALID_INPUT', `Cannot accept a file: /data must be base64 text, got ${preview(data)}`);
    refuseLongBase64(data, this.spec.maxBytes);
    return this.#toFile(name, mediaType, decodeBase64(data, '/data'));
  }

  toJson({ name, mediaType, bytes }: FileValue): unknown {
    return { name, mediaType, data: encodeBase64(bytes) };
  }

  check(value: unknown): FileValue {
    if (!isRecord(value)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept ${preview(value)}: wanted a file as { name, mediaType, bytes }`,
      );
    }
    const { name, mediaType, bytes } = value;
    if (!(bytes instanceof Uint8Array))
      throw new JubakoError('INVALID_INPUT', `Cannot accept a file: /bytes must be bytes, got ${preview(bytes)}`);
    return this.#toFile(name, mediaType, bytes);
  }

  #read({ fileName = '', mediaType, bytes }: Media): FileValue {
    return this.#toFile(fileName === '' ? undefined : fileName, mediaType === '' ? undefined : mediaType, bytes);
  }

  #toFile(name: unknown, mediaType: unknown, bytes: Uint8Array): FileValue {
    const { mediaTypes, maxBytes } = this.spec;
    refuseManyBytes(bytes.byteLength, maxBytes);
    const type = mediaType === undefined ? DEFAULT_TYPE : toType(mediaType);
    if (mediaTypes.length > 0) refuseMediaType('a file', mediaType === undefined ? '' : type, mediaTypes);
    return { name: name === undefined ? DEFAULT_NAME : checkName(name), mediaType: type, bytes };
  }
}

/** A handler may use the name for a file of its own: one with folders in it would reach outside. */
function checkName(given: unknown): string {
  const name = textOf(given, '/name');
  const isWhole = name !== '' && name !== '.' && name !== '..' && name.length <= MAX_NAME_LENGTH;
  if (isWhole && !/[/\\\p{Cc}]/u.test(name)) return name;
  const wanted = `wanted 1 to ${MAX_NAME_LENGTH} characters without folders`;
  throw new JubakoError('INVALID_INPUT', `Cannot accept a file: /name is ${preview(name)}, ${wanted}`);
}

function toType(given: unknown): string {
  const [type = ''] = textOf(given, '/mediaType').toLowerCase().split(';');
  if (isMediaType(type.trim())) return type.trim();
  throw new JubakoError('INVALID_INPUT', `Cannot accept a file: /mediaType is ${preview(given)}, wanted a media type`);
}

function textOf(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  throw new JubakoError('INVALID_INPUT', `Cannot accept a file: ${path} must be a text, got ${preview(value)}`);
}
