import { JubakoError } from '../errors.js';
import type { Media } from '../descriptor/descriptor.js';
import type { File } from './bento-messages.js';

// Files of BentoML's API. Its versions differ in how the type of a file is said: by a media type, or by an enum that has
// names for few of them.

export interface FileKinds {
  /**
   * Empty: not said.
   * @throws {JubakoError} INVALID_INPUT - there is no such kind.
   */
  mediaTypeOf(what: string, kind: File['kind']): string;
  /** Undefined: it has no name. */
  kindOf(mediaType: string): string | undefined;
}

/** Clients say this where they know nothing; BentoML's misspell it. */
const UNTOLD = new Set(['application/octet-stream', 'appliction/octet-stream']);

export const KINDS_V1: FileKinds = {
  mediaTypeOf(_what, kind = '') {
    const [mediaType = ''] = String(kind).split(';');
    const plain = mediaType.trim().toLowerCase();
    return UNTOLD.has(plain) ? '' : plain;
  },
  kindOf: (mediaType) => mediaType,
};

const MEDIA_TYPES: ReadonlyMap<string | number, string> = new Map([
  ['FILE_TYPE_UNSPECIFIED', ''],
  ['FILE_TYPE_CSV', 'text/csv'],
  ['FILE_TYPE_PLAINTEXT', 'text/plain'],
  ['FILE_TYPE_JSON', 'application/json'],
  ['FILE_TYPE_BYTES', ''],
  ['FILE_TYPE_PDF', 'application/pdf'],
  ['FILE_TYPE_PNG', 'image/png'],
  ['FILE_TYPE_JPEG', 'image/jpeg'],
  ['FILE_TYPE_GIF', 'image/gif'],
  ['FILE_TYPE_BMP', 'image/bmp'],
  ['FILE_TYPE_TIFF', 'image/tiff'],
  ['FILE_TYPE_WEBP', 'image/webp'],
  ['FILE_TYPE_SVG', 'image/svg+xml'],
]);
const NAMES: ReadonlyMap<string, string> = new Map([
  ...[...MEDIA_TYPES].map(([name, mediaType]) => [mediaType, String(name)] as const),
  ['application/octet-stream', 'FILE_TYPE_BYTES'],
]);

export const KINDS_V1ALPHA1: FileKinds = {
  mediaTypeOf(what, kind = 'FILE_TYPE_UNSPECIFIED') {
    const mediaType = MEDIA_TYPES.get(kind);
    if (mediaType !== undefined) return mediaType;
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot read ${what}: its kind is ${kind}; wanted ${[...MEDIA_TYPES.keys()].join(', ')}`,
    );
  },
  kindOf: (mediaType) => NAMES.get(mediaType),
};

const NO_BYTES = Buffer.alloc(0);

/** @throws {JubakoError} INVALID_INPUT - its kind is none. */
export function readFile(what: string, { content = NO_BYTES, kind }: File, kinds: FileKinds): Media {
  return { mediaType: kinds.mediaTypeOf(what, kind), bytes: content };
}

export function toFile({ mediaType, bytes }: Media, kinds: FileKinds): File {
  const kind = kinds.kindOf(mediaType);
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { content, ...(kind !== undefined && { kind }) };
}
