// Small pictures in the formats that are read, and files that say to be larger than anything.
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

/** `{ mediaType, pixels, bytes }` */
export const PICTURES = await makePictures();

async function makePictures() {
  const made = [];
  for (const [width, height] of [
    [1, 1],
    [7, 5],
    [64, 64],
  ]) {
    for (const format of ['png', 'jpeg', 'webp', 'tiff']) {
      const source = sharp({ create: { width, height, channels: 3, background: { r: 200, g: 10, b: 90 } } });
      made.push({
        mediaType: `image/${format}`,
        pixels: width * height,
        bytes: await source.toFormat(format).toBuffer(),
      });
    }
  }
  return made;
}

/** A PNG whose head says `width` x `height`, with `rows` rows of zeros behind it: small as a file, large as pixels. */
export function pngBomb(width, height, rows = height) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.alloc(1 + width * 3);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: rows }, () => row)), { level: 9 });
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type, data) {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length, 0);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(typed), 0);
  return Buffer.concat([length, typed, crc]);
}
