// What an image is, told from its first bytes. Nothing else is handed to the decoder: it knows many more formats, some of
// which (SVG, PDF) are programs rather than pictures.

export const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/avif', 'image/tiff'] as const;

export type ImageType = (typeof IMAGE_TYPES)[number];

/** What the decoder calls them. */
export const DECODER_FORMATS: Readonly<Record<ImageType, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'image/avif': 'heif',
  'image/tiff': 'tiff',
};

export function isImageType(mediaType: string): mediaType is ImageType {
  return (IMAGE_TYPES as readonly string[]).includes(mediaType);
}

/** Undefined: none of those that can be read. */
export function imageTypeOf(bytes: Uint8Array): ImageType | undefined {
  const starts = (at: number, signature: string): boolean => {
    for (let i = 0; i < signature.length; i += 1) if (bytes[at + i] !== signature.charCodeAt(i)) return false;
    return true;
  };
  if (starts(0, '\x89PNG\r\n\x1a\n')) return 'image/png';
  if (starts(0, '\xff\xd8\xff')) return 'image/jpeg';
  if (starts(0, 'RIFF') && starts(8, 'WEBP')) return 'image/webp';
  if (starts(0, 'GIF87a') || starts(0, 'GIF89a')) return 'image/gif';
  if (starts(4, 'ftyp') && (starts(8, 'avif') || starts(8, 'avis'))) return 'image/avif';
  if (starts(0, 'II*\0') || starts(0, 'MM\0*')) return 'image/tiff';
  return undefined;
}
