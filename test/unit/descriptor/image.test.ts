import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { image, type ImageOptions, type ImageTensor } from '#dist/service/index.js';
import { Tensor, tensorOf } from '#dist/tensor/index.js';

const RGB = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120];

/** 2 pixels wide. */
function pixels(values: readonly number[] | Uint16Array, channels: 1 | 2 | 3 | 4): Sharp {
  const data = values instanceof Uint16Array ? values : Uint8Array.from(values);
  return sharp(data, { raw: { width: 2, height: values.length / channels / 2, channels } });
}

async function read(bytes: Uint8Array, options?: ImageOptions, mediaType = ''): Promise<ImageTensor> {
  return (await image(options).media?.read({ mediaType, bytes })) as ImageTensor;
}

/** Shape and pixels. */
async function readPixels(bytes: Uint8Array, options?: ImageOptions): Promise<[readonly number[], number[]]> {
  const { shape, data } = await read(bytes, options);
  return [shape, [...data]];
}

test('image() gives the pixels of a PNG as they are, [height, width, channels]', async () => {
  const value = await read(await pixels(RGB, 3).png().toBuffer());
  assert.deepEqual(value, tensorOf('uint8', [2, 2, 3], RGB));
});

for (const [what, encoded, channels, shape, wanted] of [
  [
    'grey → RGB',
    pixels([0, 128, 255, 7], 1).toColourspace('b-w'),
    3,
    [2, 2, 3],
    [0, 0, 0, 128, 128, 128, 255, 255, 255, 7, 7, 7],
  ],
  ['grey → grey', pixels([0, 128, 255, 7], 1).toColourspace('b-w'), 1, [2, 2, 1], [0, 128, 255, 7]],
  ['grey and alpha → grey', pixels([9, 255, 128, 0], 2), 1, [1, 2, 1], [9, 128]],
  ['grey and alpha → RGBA', pixels([9, 255, 128, 0], 2), 4, [1, 2, 4], [9, 9, 9, 255, 128, 128, 128, 0]],
  ['RGBA → RGB: alpha is dropped', pixels([1, 2, 3, 0, 4, 5, 6, 255], 4), 3, [1, 2, 3], [1, 2, 3, 4, 5, 6]],
  ['RGB → RGBA', pixels([1, 2, 3, 4, 5, 6], 3), 4, [1, 2, 4], [1, 2, 3, 255, 4, 5, 6, 255]],
  ['RGB → grey', pixels([9, 9, 9, 200, 200, 200], 3), 1, [1, 2, 1], [9, 200]],
  ['a palette → RGB', pixels(RGB, 3).png({ palette: true }), 3, [2, 2, 3], RGB],
  ['16 bits of grey → 8', pixels(Uint16Array.of(0, 65535), 1).toColourspace('grey16'), 1, [1, 2, 1], [0, 255]],
  [
    '16 bits of RGB → 8',
    pixels(Uint16Array.of(0, 65535, 32768, 256 * 7, 256 * 8, 256 * 9), 3).toColourspace('rgb16'),
    3,
    [1, 2, 3],
    [0, 255, 128, 7, 8, 9],
  ],
] as const) {
  test(`image() converts ${what}`, async () => {
    assert.deepEqual(await readPixels(await encoded.png().toBuffer(), { channels }), [shape, wanted]);
  });
}

test('a PNG of 16 bits has them before image() reads it', async () => {
  const bytes = await pixels(Uint16Array.of(0, 65535), 1).toColourspace('grey16').png().toBuffer();
  assert.equal((await sharp(bytes).metadata()).depth, 'ushort');
});

test('image() turns an image upright, as its EXIF orientation says', async () => {
  const turned = pixels([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6], 3).withMetadata({ orientation: 6 });
  const upright = [5, 5, 5, 3, 3, 3, 1, 1, 1, 6, 6, 6, 4, 4, 4, 2, 2, 2];
  assert.deepEqual(await readPixels(await turned.png().toBuffer()), [[2, 3, 3], upright]);
});

test('image() reads JPEG, of grey and of CMYK too, and WebP', async () => {
  const grey = [50, 50, 50, 50];
  for (const bytes of [
    await pixels(grey, 1).toColourspace('b-w').jpeg().toBuffer(),
    await pixels(RGB, 3).toColourspace('cmyk').jpeg().toBuffer(),
    await pixels(RGB, 3).webp({ lossless: true }).toBuffer(),
  ]) {
    assert.deepEqual((await read(bytes)).shape, [2, 2, 3]);
  }
  assert.deepEqual(await readPixels(await pixels(RGB, 3).webp({ lossless: true }).toBuffer()), [[2, 2, 3], RGB]);
});

for (const [mediaType, encoded] of [
  ['image/gif', pixels(RGB, 3).gif()],
  ['image/tiff', pixels(RGB, 3).tiff({ compression: 'none' })],
  ['image/avif', pixels(RGB, 3).avif({ lossless: true })],
] as const) {
  test(`image() reads ${mediaType} where it is asked to, and only there`, async () => {
    const bytes = await encoded.toBuffer();
    assert.deepEqual(await readPixels(bytes, { mediaTypes: [mediaType] }), [[2, 2, 3], RGB]);
    await assert.rejects(read(bytes), {
      code: 'UNSUPPORTED_MEDIA',
      message: `Cannot read an image of ${mediaType}: wanted image/png or image/jpeg or image/webp`,
    });
  });
}

test('image() gives the first frame of an animation', async () => {
  const frames = sharp(Uint8Array.of(...RGB, ...RGB.toReversed()), {
    raw: { width: 2, height: 4, channels: 3, pageHeight: 2 },
  });
  const bytes = await frames.webp({ lossless: true, loop: 0, delay: [100, 100] }).toBuffer();
  assert.equal((await sharp(bytes).metadata()).pages, 2);
  assert.deepEqual(await readPixels(bytes), [[2, 2, 3], RGB]);
});

const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"><rect width="2" height="2"/></svg>';

for (const [what, bytes] of [
  ['SVG', Buffer.from(SVG)],
  ['PDF', Buffer.from('%PDF-1.4 ')],
  ['text', Buffer.from('no image at all')],
  ['nothing', Buffer.alloc(0)],
] as const) {
  test(`image() does not hand ${what} to the decoder`, async () => {
    await assert.rejects(read(bytes), {
      code: 'UNSUPPORTED_MEDIA',
      message: /bytes that begin like none of them: wanted image\/png/,
    });
  });
}

test('image() goes by the bytes, whatever an image is said to be', async () => {
  const png = await pixels(RGB, 3).png().toBuffer();
  for (const mediaType of ['image/jpeg', 'image/png', 'image/jpg', 'application/octet-stream', ''])
    assert.deepEqual((await read(png, {}, mediaType)).shape, [2, 2, 3]);
  for (const mediaType of ['text/plain', 'image/svg+xml', 'image/gif'])
    await assert.rejects(read(png, {}, mediaType), { code: 'UNSUPPORTED_MEDIA', message: /an image of type/ });
});

test('image() is base64 in JSON, alone or with its type, and written with it', async () => {
  const described = image();
  const data = (await pixels(RGB, 3).png().toBuffer()).toString('base64');
  const wanted = tensorOf('uint8', [2, 2, 3], RGB);
  assert.deepEqual(await described.fromJson(data), wanted);
  assert.deepEqual(await described.fromJson({ data }), wanted);
  assert.deepEqual(await described.fromJson({ mediaType: 'IMAGE/PNG', data }), wanted);
  const written = (await described.toJson(wanted)) as { mediaType: string };
  assert.equal(written.mediaType, 'image/png');
  assert.deepEqual(await described.fromJson(written), wanted);
});

for (const [what, json, code, message] of [
  ['a number', 5, 'INVALID_INPUT', /wanted an image as base64 text, or as \{ mediaType\?, data \}/],
  ['bad base64', 'AA=A', 'INVALID_INPUT', /\/ has "=" at character 2/],
  ['no data', { mediaType: 'image/png' }, 'INVALID_INPUT', /\/data must be a text, got undefined/],
  ['a media type that is none', { mediaType: 5, data: '' }, 'INVALID_INPUT', /\/mediaType must be a text, got 5/],
  ['another media type', { mediaType: 'image/gif', data: '' }, 'UNSUPPORTED_MEDIA', /of type "image\/gif"/],
  ['a key too many', { data: '', name: 'a' }, 'INVALID_INPUT', /the key "name": the keys are mediaType, data/],
  ['base64 of no image', 'AAAA', 'UNSUPPORTED_MEDIA', /3 bytes that begin like none of them/],
] as const) {
  test(`image() refuses JSON of ${what}`, async () => {
    await assert.rejects(async () => image().fromJson(json), { code, message });
  });
}

for (const channels of [1, 3, 4] as const) {
  test(`image() of ${channels} channels writes what it gives, and PNG exactly`, async () => {
    const described = image({ channels });
    const value = tensorOf(
      'uint8',
      [2, 3, channels],
      Array.from({ length: 6 * channels }, (_, i) => 255 - i * 9),
    );
    assert.deepEqual(described.media?.gives.includes('image/jpeg'), channels !== 4);
    for (const mediaType of described.media?.gives ?? []) {
      const media = await described.media?.write(value, mediaType);
      assert.equal(media?.mediaType, mediaType);
      const again = await described.media?.read(media);
      assert.deepEqual(again.shape, value.shape);
      if (mediaType === 'image/png') assert.deepEqual(again, value);
    }
  });
}

for (const [mediaType, longest] of [
  ['image/webp', 16_383],
  ['image/jpeg', 65_500],
] as const) {
  test(`image() writes PNG where an image is too long for ${mediaType}`, async () => {
    const described = image({ channels: 3, mediaType });
    const ofLength = (length: number): ImageTensor => new Tensor('uint8', [1, length, 3], new Uint8Array(3 * length));
    const fits = ofLength(longest);
    const tooLong = ofLength(longest + 1);
    assert.equal((await described.media?.write(fits, mediaType))?.mediaType, mediaType);
    const media = await described.media?.write(tooLong, mediaType);
    assert.equal(media?.mediaType, 'image/png');
    assert.deepEqual(await described.media?.read(media), tooLong);
    assert.deepEqual(await described.fromJson(await described.toJson(tooLong)), tooLong);
  });
}

for (const [what, value] of [
  ['bytes', new Uint8Array(12)],
  ['floats', tensorOf('float32', [2, 2, 3], RGB)],
  ['other channels', tensorOf('uint8', [2, 3, 2], RGB)],
  ['a matrix', tensorOf('uint8', [4, 3], RGB)],
  ['no pixels', new Tensor('uint8', [0, 2, 3], new Uint8Array(0))],
] as const) {
  test(`image() does not accept ${what} as a value`, () => {
    assert.throws(() => image().check(value), {
      code: 'INVALID_INPUT',
      message: /wanted a uint8 tensor of shape \[height, width, 3\]/,
    });
  });
}

test('image() does not accept more pixels than it was told as a value', () => {
  const value = tensorOf('uint8', [2, 2, 3], RGB);
  assert.equal(image().check(value), value);
  assert.throws(() => image({ maxPixels: 3 }).check(value), { code: 'TOO_LARGE', message: /2 x 2 pixels/ });
});

for (const [what, options, message] of [
  ['two channels', { channels: 2 as 3 }, /2 channels: wanted 1, 3 or 4/],
  [
    'JPEG with alpha',
    { channels: 4, mediaType: 'image/jpeg' },
    /4 channels as "image\/jpeg": wanted image\/png or image\/webp/,
  ],
  ['a type that is not written', { mediaType: 'image/gif' }, /as "image\/gif"/],
  ['a type that is not read', { mediaTypes: ['image/svg+xml'] }, /images of "image\/svg\+xml": wanted of image\/png/],
  ['a pattern', { mediaTypes: ['image/*'] }, /images of "image\/\*"/],
  ['nothing to read', { mediaTypes: [] }, /images of no media type/],
  ['no pixels', { maxPixels: 0 }, /maxPixels of 0/],
] as const) {
  test(`image() refuses options with ${what}`, () => {
    assert.throws(() => image(options), { code: 'SERVICE_INVALID', message });
  });
}
