import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import { codingOf, type ContentCoding } from '#dist/http/decompress.js';
import { Body, readBody } from '#dist/http/request-body.js';

const isCode = (code: string, message: RegExp) => (thrown: unknown) =>
  thrown instanceof JubakoError && thrown.code === code && message.test(thrown.message);

/** A request whose body comes in chunks of `size`. */
function requestOf(bytes: Uint8Array, size: number): IncomingMessage {
  const count = Math.ceil(bytes.byteLength / size);
  const chunks = Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
  return Readable.from(chunks.map((chunk) => Buffer.from(chunk))) as unknown as IncomingMessage;
}

const CODERS: readonly (readonly [ContentCoding | undefined, (bytes: Uint8Array) => Uint8Array])[] = [
  [undefined, (bytes) => bytes],
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
];

void test('a body is the same in every coding, wherever it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 500 }),
      fc.constantFrom(...CODERS),
      fc.integer({ min: 1, max: 60 }),
      async (bytes, [coding, encode], size) => {
        const body = await readBody(requestOf(encode(bytes), size), 500, coding);
        assert.equal(body.byteLength, bytes.byteLength);
        assert.deepEqual(new Uint8Array(body.bytes()), bytes);
      },
    ),
  );
});

void test('a body at the limit is read, one byte more is TOO_LARGE', async () => {
  const bytes = Buffer.alloc(3000, 'ab');
  for (const [coding, encode] of CODERS) {
    const coded = encode(bytes);
    assert.equal((await readBody(requestOf(coded, 7), 3000, coding)).byteLength, 3000);
    await assert.rejects(
      readBody(requestOf(coded, 7), 2999, coding),
      isCode('TOO_LARGE', /2999 bytes \(maxBodyBytes\)/),
    );
  }
});

void test('a compressed body that is longer than the limit as it comes is TOO_LARGE, whatever is in it', async () => {
  const empty = Buffer.concat(Array.from({ length: 200 }, () => gzipSync(Buffer.alloc(0))));
  await assert.rejects(readBody(requestOf(empty, 100), 1000, 'gzip'), isCode('TOO_LARGE', /1000 bytes/));
});

void test('a bomb is refused when it has given as much as the limit', async () => {
  const bomb = gzipSync(Buffer.alloc(200_000_000));
  const before = process.memoryUsage().arrayBuffers;
  await assert.rejects(readBody(requestOf(bomb, 16_384), 1_000_000, 'gzip'), isCode('TOO_LARGE', /1000000 bytes/));
  assert.ok(process.memoryUsage().arrayBuffers - before < 20_000_000);
});

void test('a compressed body that is corrupt or cut is INVALID_INPUT', async () => {
  const bytes = Buffer.from('some text, some text, some text');
  for (const [coding, encode] of CODERS) {
    if (coding === undefined) continue;
    const coded = encode(bytes);
    for (const bad of [Buffer.alloc(0), Buffer.of(1), coded.subarray(0, -3), Buffer.from('this is not compressed')]) {
      await assert.rejects(
        readBody(requestOf(bad, 5), 1000, coding),
        isCode('INVALID_INPUT', new RegExp(`^Cannot decompress the body as ${coding}: `)),
        `${coding} ${bad.toString('hex')}`,
      );
    }
  }
  const flipped = gzipSync(bytes);
  flipped[flipped.length - 6] = (flipped.at(-6) as number) ^ 1; // in the check sum
  await assert.rejects(readBody(requestOf(flipped, 5), 1000, 'gzip'), isCode('INVALID_INPUT', /incorrect data check/));
});

void test('a request that breaks off, or has broken off before, is INVALID_INPUT', async () => {
  for (const coding of [undefined, 'gzip'] as const) {
    const stream = new PassThrough();
    const reading = readBody(stream as unknown as IncomingMessage, 1000, coding);
    stream.write(gzipSync('x').subarray(0, 12));
    stream.destroy(new Error('aborted'));
    await assert.rejects(reading, isCode('INVALID_INPUT', /^Cannot read the request: aborted$/));
    await assert.rejects(
      readBody(stream as unknown as IncomingMessage, 1000, coding),
      isCode('INVALID_INPUT', /has closed/),
    );
  }
});

void test('small chunks are joined on the way, large ones are left as they came', () => {
  const small = new Body();
  for (let i = 0; i < 100_000; i += 1) small.add(Buffer.of(i));
  small.complete();
  assert.ok(small.chunks.length <= 100_000 / 256 + 1);
  assert.equal(small.byteLength, 100_000);
  assert.deepEqual(small.bytes(), Buffer.from(Uint8Array.from({ length: 100_000 }, (_, i) => i)));
  const large = new Body();
  const chunks = Array.from({ length: 300 }, (_, i) => Buffer.alloc(20_000, i));
  for (const chunk of chunks) large.add(chunk);
  large.complete();
  assert.deepEqual(large.chunks, chunks);
  assert.equal(large.chunks[299]?.buffer, chunks[299]?.buffer);
});

void test('a Content-Encoding is known, none, or UNSUPPORTED_MEDIA', () => {
  const of = (text: string): ContentCoding | undefined => codingOf({ 'content-encoding': text });
  assert.deepEqual(['gzip', 'X-GZIP', 'Deflate', ' br ', 'identity', ''].map(of), [
    'gzip',
    'gzip',
    'deflate',
    'br',
    undefined,
    undefined,
  ]);
  assert.equal(codingOf({}), undefined);
  for (const bad of ['zstd', 'gzip, br', 'gzip,', 'constructor']) {
    assert.throws(() => of(bad), isCode('UNSUPPORTED_MEDIA', /wanted gzip, deflate, br or none$/), bad);
  }
});
