import { JubakoError } from '../errors.js';
import { formatShape, isTensor, type Tensor } from '../tensor/index.js';
import { decodeBase64, encodeBase64 } from './base64.js';
import type { BlobLike, ClientAs, Descriptor, ImageSpec, Media, MediaForm } from './descriptor.js';
import { decodeImage, encodedAs, encodeImage, loadSharp, tooManyPixels } from './image-codec.js';
import { IMAGE_TYPES, isImageType } from './image-formats.js';
import { isRecord, refuseKeys } from './json-object.js';
import { parseLimit, refuseMediaType } from './media-type.js';
import { preview } from './preview.js';

export interface ImageOptions {
  /** What the pixels are made: 1: grey, 3: RGB, 4: RGB and alpha. Alpha that is not wanted is dropped, not blended. Default 3. */
  readonly channels?: 1 | 3 | 4;
  /** What is read: of `image/png`, `image/jpeg`, `image/webp`, `image/gif`, `image/avif`, `image/tiff`. Default: the first three. */
  readonly mediaTypes?: readonly string[];
  /**
   * What is written where the client has no wish: `image/png`, `image/jpeg` or `image/webp`. Default `image/png`, which also
   * stands in for the others where an image is too long for them: 65,500 pixels a side, 16,383 in WebP.
   */
  readonly mediaType?: string;
  /** Width times height; more is refused before it is decoded. Default 33,554,432, which take 96 MiB as RGB. */
  readonly maxPixels?: number;
}

/** A uint8 tensor [height, width, channels]; the typed client takes an encoded image. */
export type ImageTensor = ClientAs<Tensor<'uint8'>, BlobLike | Uint8Array | Tensor<'uint8'>>;

/**
 * An image: the handler is given its pixels, upright, 8 bits a channel in sRGB; of an animation the first frame. As a body it
 * is an encoded image; as JSON such an image as base64 text, or `{ mediaType?, data: base64 }`, which is what is written. What
 * an image is, its bytes say. Needs the package `sharp`.
 */
export function image(options: ImageOptions = {}): Descriptor<ImageTensor, ImageSpec> {
  return new ImageDescriptor(options);
}

const DEFAULT_READ: readonly string[] = ['image/png', 'image/jpeg', 'image/webp'];
const DEFAULT_MAX_PIXELS = 2 ** 25;
/** What clients say who do not look at what they send, and a name for JPEG that is none and is common. */
const READ_AS_WELL = ['application/octet-stream', 'image/jpg'];
const WRITTEN = ['image/png', 'image/jpeg', 'image/webp'];
/** JPEG has no alpha. */
const WRITTEN_WITH_ALPHA = ['image/png', 'image/webp'];

class ImageDescriptor implements Descriptor<ImageTensor, ImageSpec> {
  readonly spec: ImageSpec;
  readonly media: MediaForm<ImageTensor>;

  constructor({ channels = 3, mediaTypes = DEFAULT_READ, mediaType = 'image/png', maxPixels }: ImageOptions) {
    if (![1, 3, 4].includes(channels))
      throw new JubakoError(
        'SERVICE_INVALID',
        `Cannot describe an image of ${preview(channels)} channels: wanted 1, 3 or 4`,
      );
    const written = channels === 4 ? WRITTEN_WITH_ALPHA : WRITTEN;
    if (!written.includes(mediaType)) {
      const wanted = `wanted ${written.join(' or ')}`;
      throw new JubakoError(
        'SERVICE_INVALID',
        `Cannot write an image of ${channels} channels as "${mediaType}": ${wanted}`,
      );
    }
    const limit = parseLimit('maxPixels', maxPixels) ?? DEFAULT_MAX_PIXELS;
    this.spec = { kind: 'image', channels, mediaTypes: checkTypes(mediaTypes), mediaType, maxPixels: limit };
    this.media = {
      accepts: [...mediaTypes, ...READ_AS_WELL],
      gives: [mediaType, ...written.filter((other) => other !== mediaType)],
      read: (media) => this.#read(media),
      write: (value, as) => this.#write(value, as),
    };
  }

  /** Loads sharp, which takes 50 ms. @throws {JubakoError} SERVICE_INVALID - it is not installed. */
  prepare(): void {
    loadSharp();
  }

  async fromJson(json: unknown): Promise<ImageTensor> {
    if (typeof json === 'string') return decodeImage(decodeBase64(json, '/'), this.spec);
    if (!isRecord(json)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept ${preview(json)}: wanted an image as base64 text, or as { mediaType?, data }`,
      );
    }
    const { mediaType = '', data, ...others } = json;
    refuseKeys('an image', others, 'mediaType, data');
    if (typeof data !== 'string' || typeof mediaType !== 'string') {
      const [path, wrong] = typeof data === 'string' ? ['/mediaType', mediaType] : ['/data', data];
      throw new JubakoError('INVALID_INPUT', `Cannot accept an image: ${path} must be a text, got ${preview(wrong)}`);
    }
    return this.#read({ mediaType: mediaType.toLowerCase(), bytes: decodeBase64(data, '/data') });
  }

  async toJson(value: ImageTensor): Promise<unknown> {
    const mediaType = encodedAs(value, this.spec.mediaType);
    return { mediaType, data: encodeBase64(await encodeImage(value, mediaType)) };
  }

  /** Pixels; encoded images are read by `media` and `fromJson`. */
  check(value: unknown): ImageTensor {
    const { channels, maxPixels } = this.spec;
    const wanted = `wanted a uint8 tensor of shape [height, width, ${channels}]`;
    if (!isTensor(value)) throw new JubakoError('INVALID_INPUT', `Cannot accept ${preview(value)}: ${wanted}`);
    const [height = 0, width = 0, depth] = value.shape;
    if (value.dtype !== 'uint8' || value.shape.length !== 3 || depth !== channels || width < 1 || height < 1) {
      const given = `a ${value.dtype} tensor of shape ${formatShape(value.shape)}`;
      throw new JubakoError('INVALID_INPUT', `Cannot accept ${given}: ${wanted}`);
    }
    if (width * height > maxPixels) throw tooManyPixels(width, height, maxPixels);
    return value as ImageTensor;
  }

  async #read({ mediaType, bytes }: Media): Promise<ImageTensor> {
    if (mediaType !== '') refuseMediaType('an image', mediaType, this.media.accepts);
    return decodeImage(bytes, this.spec);
  }

  async #write(value: ImageTensor, wanted: string): Promise<Media> {
    const mediaType = encodedAs(value, wanted);
    return { mediaType, bytes: await encodeImage(value, mediaType) };
  }
}

function checkTypes(mediaTypes: readonly string[]): readonly string[] {
  const unknown = mediaTypes.find((type) => !isImageType(type));
  if (unknown === undefined && mediaTypes.length > 0) return [...mediaTypes];
  const given = unknown === undefined ? 'no media type' : `"${unknown}"`;
  throw new JubakoError('SERVICE_INVALID', `Cannot read images of ${given}: wanted of ${IMAGE_TYPES.join(', ')}`);
}
