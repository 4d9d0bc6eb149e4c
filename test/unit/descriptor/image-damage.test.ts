import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { image, type ImageOptions, type ImageTensor } from '#dist/service/index.js';

async function read(bytes: Uint8Array, options?: ImageOptions): Promise<ImageTensor> {
  return (await image(options).media?.read({ mediaType: '', bytes })) as ImageTensor;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from(type), data]);
  const head = Buffer.alloc(4);
  const tail = Buffer.alloc(4);
  head.writeUInt32BE(data.byteLength);
  tail.writeUInt32BE(crc32(typed));
  return Buffer.concat([head, typed, tail]);
}

/** A few bytes that claim a size. */
function pngOf(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const data = deflateSync(Buffer.alloc(1000));
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

test('image() refuses more pixels than it was told before it decodes them', async () => {
  await assert.rejects(read(pngOf(60_000, 60_000)), {
    code: 'TOO_LARGE',
    message: 'Cannot accept an image of 60000 x 60000 pixels: wanted at most 33554432 pixels',
  });
  const png = await sharp(new Uint8Array(12), { raw: { width: 2, height: 2, channels: 3 } })
    .png()
    .toBuffer();
  await assert.rejects(read(png, { maxPixels: 3 }), { code: 'TOO_LARGE', message: /2 x 2 pixels: wanted at most 3/ });
  assert.deepEqual((await read(png, { maxPixels: 4 })).shape, [2, 2, 3]);
});

test('image() refuses sizes that no image has', async () => {
  for (const [width, height] of [
    [0, 5],
    [0x7fff_ffff, 0x7fff_ffff],
    [0xffff_ffff, 1],
  ] as const)
    await assert.rejects(read(pngOf(width, height)), {
      code: 'INVALID_INPUT',
      message: /Cannot decode the image\/png/,
    });
});

async function noise(format: 'png' | 'jpeg' | 'webp'): Promise<Buffer> {
  const create = {
    width: 64,
    height: 64,
    channels: 3,
    background: 'red',
    noise: { type: 'gaussian', mean: 128, sigma: 30 },
  } as const;
  return sharp({ create }).toFormat(format).toBuffer();
}

for (const format of ['png', 'jpeg', 'webp'] as const) {
  test(`image() refuses ${format} that is cut off`, async () => {
    const whole = await noise(format);
    for (const part of [0.03, 0.5, 0.9]) {
      const bytes = whole.subarray(0, Math.max(16, whole.length * part));
      await assert.rejects(read(bytes), {
        code: 'INVALID_INPUT',
        message: new RegExp(`Cannot decode the image/${format}: \\w`),
      });
    }
  });

  test(`${format} with bytes changed is an image or INVALID_INPUT`, async () => {
    const whole = await noise(format);
    for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 60)) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      await read(bytes).then(
        ({ shape }) => {
          assert.equal(shape.length, 3);
        },
        (error: unknown) => {
          assert.match((error as { code: string }).code, /^(?:INVALID_INPUT|UNSUPPORTED_MEDIA|TOO_LARGE)$/);
        },
      );
    }
  });
}

test('image() refuses what only begins like an image', async () => {
  const fake = Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
  ]);
  await assert.rejects(read(fake), { code: 'INVALID_INPUT', message: /Cannot decode the image\/png/ });
});
