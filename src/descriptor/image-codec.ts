import type * as SharpModule from 'sharp';
import { JubakoError } from '../errors.js';
import { Tensor } from '../tensor/index.js';
import type { ImageSpec } from './descriptor.js';
import { DECODER_FORMATS, imageTypeOf, type ImageType } from './image-formats.js';
import { requireOptional } from './optional-package.js';

// Encoded images ↔ pixels, by sharp, on threads of its own.
// G1 Only formats that the descriptor names reach the decoder, and only with as many pixels as it allows: the header is read
//    first, and the decoder has the limit as well.
// G2 An image that is cut off or damaged is refused, where the decoder can tell.

type Sharp = typeof SharpModule.default;

let loaded: Sharp | undefined;

/** @throws {JubakoError} SERVICE_INVALID - it is not installed. */
export function loadSharp(): Sharp {
  loaded ??= requireOptional('sharp', 'image()') as Sharp;
  return loaded;
}

export async function decodeImage(bytes: Uint8Array, spec: ImageSpec): Promise<Tensor<'uint8'>> {
  const type = imageTypeOf(bytes);
  if (type === undefined || !spec.mediaTypes.includes(type)) throw unreadable(type, bytes, spec);
  await refuseManyPixels(bytes, type, spec);
  const { channels, maxPixels } = spec;
  // Upright, as the EXIF orientation says; without the profile and the alpha that the model would not expect.
  const upright = loadSharp()(bytes, { failOn: 'error', limitInputPixels: maxPixels }).rotate();
  const { data, info } = await decoding(type, () =>
    withChannels(upright, channels).raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
  );
  if (info.channels !== channels) throw new TypeError(`The decoder gave ${info.channels} channels, wanted ${channels}`);
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Tensor('uint8', [info.height, info.width, channels], pixels);
}

function withChannels(image: SharpModule.Sharp, channels: ImageSpec['channels']): SharpModule.Sharp {
  if (channels === 4) return image.ensureAlpha().toColourspace('srgb');
  if (channels === 3) return image.removeAlpha().toColourspace('srgb');
  return image.removeAlpha().greyscale().toColourspace('b-w');
}

async function refuseManyPixels(bytes: Uint8Array, type: ImageType, { maxPixels }: ImageSpec): Promise<void> {
  const { width, height, format } = await decoding(type, () =>
    loadSharp()(bytes, { failOn: 'error', limitInputPixels: false }).metadata(),
  );
  if (format !== DECODER_FORMATS[type])
    throw new JubakoError('INVALID_INPUT', `Cannot decode an image that begins as ${type} and goes on as ${format}`);
  if (width * height > maxPixels) throw tooManyPixels(width, height, maxPixels);
}

export function tooManyPixels(width: number, height: number, maxPixels: number): JubakoError {
  return new JubakoError(
    'TOO_LARGE',
    `Cannot accept an image of ${width} x ${height} pixels: wanted at most ${maxPixels} pixels`,
  );
}

async function decoding<T>(type: ImageType, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (thrown) {
    if (thrown instanceof JubakoError) throw thrown;
    const message = (thrown as Error).message.trim();
    throw new JubakoError('INVALID_INPUT', `Cannot decode the ${type}: ${message}`, { cause: thrown });
  }
}

function unreadable(type: ImageType | undefined, bytes: Uint8Array, { mediaTypes }: ImageSpec): JubakoError {
  const given = type ?? `${bytes.byteLength} bytes that begin like none of them`;
  return new JubakoError('UNSUPPORTED_MEDIA', `Cannot read an image of ${given}: wanted ${mediaTypes.join(' or ')}`);
}

/** Most pixels of a side in each format that has such a limit; PNG has none that anything else would not reach before. */
const MAX_SIDE: Readonly<Record<string, number>> = { 'image/webp': 16_383, 'image/jpeg': 65_500 };

/** A media type that can hold the image: `mediaType`, or PNG where that cannot. */
export function encodedAs({ shape: [height = 0, width = 0] }: Tensor<'uint8'>, mediaType: string): string {
  return Math.max(height, width) > (MAX_SIDE[mediaType] ?? Infinity) ? 'image/png' : mediaType;
}

/** @param mediaType - one that can hold it. */
export async function encodeImage(image: Tensor<'uint8'>, mediaType: string): Promise<Uint8Array> {
  const [height = 0, width = 0, channels = 0] = image.shape;
  const raw = { width, height, channels: channels as ImageSpec['channels'] };
  let encoder = loadSharp()(image.data, { raw, limitInputPixels: false });
  if (channels === 1) encoder = encoder.toColourspace('b-w');
  return encoder.toFormat(mediaType.slice('image/'.length) as keyof SharpModule.FormatEnum).toBuffer();
}
