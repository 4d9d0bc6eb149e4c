import sharp from 'sharp';
import { Tensor } from '#dist/tensor/index.js';
import type { Body, Form } from './forms.js';
import type { Message } from './protobuf-values.js';

// Texts, bytes, files and images.

const TEXT_TYPE = 'text/plain';
const BYTES_TYPE = 'application/octet-stream';
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function bodyOf(type: string, content: string | Uint8Array, more: Readonly<Record<string, string>> = {}): Body {
  return { headers: { 'content-type': type, ...more }, bytes: Buffer.from(content as string) };
}

export const textForm: Form<string> = {
  same: (value) => value,
  toJson: (value) => value,
  sameOfJson: (json) => json,
  toPlain: (value) => value,
  sameOfPlain: (plain) => plain,
  toContent: (value) => ({ text: { value } }),
  sameOfContent: ({ text }) => (text as Message)['value'] ?? '',
  media: {
    accept: TEXT_TYPE,
    toBody: (value) => bodyOf(`${TEXT_TYPE}; charset=utf-8`, value),
    sameOfBody: ({ bytes }) => bytes.toString('utf8'),
  },
};

export const bytesForm: Form<Uint8Array> = {
  same: base64,
  toJson: base64,
  sameOfJson: (json) => json,
  toPlain: (value) => value,
  sameOfPlain: (plain) => base64(plain as Uint8Array),
  toContent: (value) => ({ serialized_bytes: value }),
  sameOfContent: (content) => base64(content['serialized_bytes'] as Buffer),
  media: {
    accept: BYTES_TYPE,
    toBody: (value) => bodyOf(BYTES_TYPE, value),
    sameOfBody: ({ bytes }) => base64(bytes),
  },
};

export interface FileGiven {
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** BentoML's File has no name: there it is what a file without one is called. */
export const UNNAMED = 'file';

export const fileForm: Form<FileGiven> = {
  same: (value) => ({ name: value.name, mediaType: value.mediaType, data: base64(value.bytes) }),
  toJson: (value) => fileForm.same(value),
  sameOfJson: (json) => json,
  toPlain: (value) => value,
  sameOfPlain: (plain) => fileForm.same(plain as FileGiven),
  toContent: ({ mediaType, bytes }) => ({ file: { kind: mediaType, content: bytes } }),
  sameOfContent: ({ file }) => {
    const { kind, content } = file as { readonly kind: string; readonly content: Buffer };
    return fileForm.same({ name: UNNAMED, mediaType: kind, bytes: content });
  },
  media: {
    accept: '*/*',
    toBody: ({ name, mediaType, bytes }) =>
      bodyOf(mediaType, bytes, { 'content-disposition': `attachment; filename="${name}"` }),
    sameOfBody: ({ headers, bytes }) => {
      const [, name = ''] = /filename="([^"]*)"/.exec(headers['content-disposition'] ?? '') ?? [];
      return fileForm.same({ name, mediaType: headers['content-type'] ?? '', bytes });
    },
  },
};

/** What a client sends, and the pixels that are in it. */
export interface ImageGiven {
  readonly png: Buffer;
  readonly shape: readonly number[];
  readonly pixels: Uint8Array;
}

const PNG_TYPE = 'image/png';

async function samePixels(encoded: Uint8Array): Promise<unknown> {
  const { data, info } = await sharp(encoded).raw().toBuffer({ resolveWithObject: true });
  return { shape: [info.height, info.width, info.channels], pixels: base64(data) };
}

export const imageForm: Form<ImageGiven> = {
  same: ({ shape, pixels }) => ({ shape, pixels: base64(pixels) }),
  toJson: ({ png }) => ({ mediaType: PNG_TYPE, data: base64(png) }),
  sameOfJson: (json) => samePixels(Buffer.from((json as { readonly data: string }).data, 'base64')),
  // Pixels are what a handler gets; who sends them so has decoded the image.
  toPlain: ({ shape, pixels }) => new Tensor('uint8', shape, pixels),
  sameOfPlain: (plain) => {
    const { shape, data } = plain as { readonly shape: readonly number[]; readonly data: Uint8Array };
    return { shape, pixels: base64(data) };
  },
  toContent: ({ png }) => ({ file: { kind: PNG_TYPE, content: png } }),
  sameOfContent: ({ file }) => samePixels((file as { readonly content: Buffer }).content),
  media: {
    accept: PNG_TYPE,
    toBody: ({ png }) => bodyOf(PNG_TYPE, png),
    sameOfBody: ({ bytes }) => samePixels(bytes),
  },
};
