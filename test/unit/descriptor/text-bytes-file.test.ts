import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Media } from '#dist/descriptor/descriptor.js';
import { bytes, file, text, type FileValue } from '#dist/service/index.js';

const UTF8 = { mediaType: 'text/plain', parameters: { charset: 'utf-8' } };

function media(content: string | Uint8Array, mediaType: string, more: Partial<Media> = {}): Media {
  return { mediaType, bytes: typeof content === 'string' ? Buffer.from(content) : content, ...more };
}

test('text() is a string in JSON and UTF-8 in a body', async () => {
  const described = text({ maxLength: 5 });
  assert.deepEqual(described.spec, { kind: 'text', mediaType: 'text/plain', maxLength: 5 });
  assert.equal(described.fromJson('grüß'), 'grüß');
  assert.equal(described.toJson('grüß'), 'grüß');
  assert.equal(await described.media?.read(media('grüß', 'text/plain', UTF8)), 'grüß');
  assert.deepEqual(await described.media?.write('grüß', 'text/plain'), { ...UTF8, bytes: Buffer.from('grüß') });
});

test('text() reads any kind of text, text of no stated kind, and text behind a byte order mark', async () => {
  const form = text({ mediaType: 'text/markdown' }).media;
  assert.deepEqual([form?.accepts, form?.gives], [['text/markdown', 'text/*'], ['text/markdown']]);
  for (const mediaType of ['text/markdown', 'text/html', ''])
    assert.equal(await form?.read(media('# a', mediaType)), '# a');
  assert.equal(await form?.read(media('\ufeffa', 'text/plain')), 'a');
  assert.equal(await form?.read(media('', 'text/plain')), '');
  for (const charset of ['UTF-8', 'utf8', 'us-ascii'])
    assert.equal(await form?.read(media('a', 'text/plain', { parameters: { charset } })), 'a');
});

for (const [what, given, code, message] of [
  ['bytes that are no UTF-8', media(Uint8Array.of(0xc3, 0x28), 'text/plain'), 'INVALID_INPUT', /it is not UTF-8/],
  [
    'another charset',
    media('a', 'text/plain', { parameters: { charset: 'iso-8859-1' } }),
    'UNSUPPORTED_MEDIA',
    /text\/plain of charset "iso-8859-1": wanted utf-8/,
  ],
  [
    'ASCII that is none',
    media('ü', 'text/plain', { parameters: { charset: 'us-ascii' } }),
    'INVALID_INPUT',
    /said to be us-ascii/,
  ],
  [
    'another media type',
    media('a', 'image/png'),
    'UNSUPPORTED_MEDIA',
    /of type "image\/png": wanted text\/plain or text\/\*/,
  ],
  ['a body that is too long', media('abcdef', 'text/plain'), 'TOO_LARGE', /a text of 6 characters: wanted at most 5/],
  [
    'a body that cannot but be too long',
    media('ab'.repeat(8), 'text/plain'),
    'TOO_LARGE',
    /16 bytes: wanted at most 5/,
  ],
] as const) {
  test(`text() refuses ${what}`, () => {
    assert.throws(() => text({ maxLength: 5 }).media?.read(given), { code, message });
  });
}

test('text() refuses JSON that is no text or too long', () => {
  for (const value of [5, null, ['a'], { text: 'a' }, undefined])
    assert.throws(() => text().fromJson(value), { code: 'INVALID_INPUT', message: /wanted a text/ });
  assert.throws(() => text({ maxLength: 5 }).check('abcdef'), { code: 'TOO_LARGE' });
});

test('bytes() is base64 in JSON and itself in a body of any type', async () => {
  const described = bytes({ mediaType: 'audio/wav', maxBytes: 4 });
  const value = Uint8Array.of(0, 1, 254, 255);
  assert.deepEqual(described.spec, { kind: 'bytes', mediaType: 'audio/wav', maxBytes: 4 });
  assert.equal(described.toJson(value), 'AAH+/w==');
  assert.deepEqual(new Uint8Array(described.fromJson('AAH+/w==')), value);
  assert.equal(await described.media?.read(media(value, 'video/mp4')), value);
  assert.deepEqual(await described.media?.write(value, 'audio/wav'), { mediaType: 'audio/wav', bytes: value });
  assert.equal(described.check(value.subarray(0, 0)).byteLength, 0);
});

test('bytes() refuses what is no bytes, no base64, or too large', () => {
  const described = bytes({ maxBytes: 4 });
  for (const value of ['AAAA', [1, 2], new Float32Array(1), null])
    assert.throws(() => described.check(value), { code: 'INVALID_INPUT', message: /wanted bytes \(a Uint8Array\)/ });
  for (const value of [5, null, [1], {}])
    assert.throws(() => described.fromJson(value), { code: 'INVALID_INPUT', message: /wanted bytes as base64 text/ });
  assert.throws(() => described.fromJson('AA-='), { code: 'INVALID_INPUT', message: /"-" at character 2/ });
  assert.throws(() => described.fromJson('AAAAAAA='), { code: 'TOO_LARGE', message: /5 bytes: wanted at most 4/ });
  assert.throws(() => described.fromJson('not base64, but far too long'), { code: 'TOO_LARGE' });
  assert.throws(() => described.media?.read(media('abcde', 'a/b')), { code: 'TOO_LARGE', message: /5 bytes/ });
});

const PDF: FileValue = { name: 'a.pdf', mediaType: 'application/pdf', bytes: Buffer.from('%PDF') };

test('file() is an object in JSON, and in a body its bytes with name and type', async () => {
  const described = file();
  const json = { name: 'a.pdf', mediaType: 'application/pdf', data: 'JVBERg==' };
  assert.deepEqual(described.toJson(PDF), json);
  assert.deepEqual(described.fromJson(json), PDF);
  assert.deepEqual(described.check(PDF), PDF);
  assert.deepEqual(await described.media?.read(media('%PDF', 'application/pdf', { fileName: 'a.pdf' })), PDF);
  assert.deepEqual(await described.media?.write(PDF, '*/*'), media('%PDF', 'application/pdf', { fileName: 'a.pdf' }));
});

test('file() names and types what came without', async () => {
  const plain = { name: 'file', mediaType: 'application/octet-stream', bytes: Buffer.from('%PDF') };
  assert.deepEqual(file().fromJson({ data: 'JVBERg==' }), plain);
  assert.deepEqual(await file().media?.read(media('%PDF', '', { fileName: '' })), plain);
  assert.equal(file().fromJson({ data: '', mediaType: 'Text/CSV; charset=utf-8' }).mediaType, 'text/csv');
});

test('file() takes only the types that it was told to', async () => {
  const described = file({ mediaTypes: ['application/pdf', 'Audio/*'] });
  assert.deepEqual(described.media?.accepts, ['application/pdf', 'audio/*']);
  assert.deepEqual(described.media.gives, ['application/pdf', 'audio/*']);
  for (const mediaType of ['application/pdf', 'audio/wav'])
    assert.equal((await described.media.read(media('', mediaType))).mediaType, mediaType);
  for (const [mediaType, message] of [
    ['image/png', /a file of type "image\/png": wanted application\/pdf or audio\/\*/],
    ['audiobook/x', /audiobook/],
    ['', /a file without a media type/],
  ] as const) {
    assert.throws(() => described.media?.read(media('', mediaType)), { code: 'UNSUPPORTED_MEDIA', message });
  }
  assert.throws(() => described.fromJson({ data: '' }), { code: 'UNSUPPORTED_MEDIA' });
  assert.throws(() => described.check({ ...PDF, mediaType: 'image/png' }), { code: 'UNSUPPORTED_MEDIA' });
});

for (const name of ['../a', 'a/b', 'c:\\d', '', '.', '..', 'a\r\nb', 'a\0', 'x'.repeat(256), 5]) {
  test(`file() refuses the name ${JSON.stringify(name)}, wherever it comes from`, () => {
    assert.throws(() => file().fromJson({ name, data: '' }), { code: 'INVALID_INPUT', message: /\/name/ });
    assert.throws(() => file().check({ ...PDF, name }), { code: 'INVALID_INPUT', message: /\/name/ });
  });
}

for (const [what, json, code, message] of [
  ['a text', 'AAAA', 'INVALID_INPUT', /wanted a file as \{ name\?, mediaType\?, data \}/],
  ['no data', { name: 'a' }, 'INVALID_INPUT', /\/data must be base64 text, got undefined/],
  ['bad base64', { data: 'A' }, 'INVALID_INPUT', /\/data has 1 characters/],
  ['an unknown key', { data: '', filename: 'a' }, 'INVALID_INPUT', /the key "filename": the keys are name, mediaType/],
  ['no media type', { data: '', mediaType: 'pdf' }, 'INVALID_INPUT', /\/mediaType is "pdf", wanted a media type/],
  ['a header in the type', { data: '', mediaType: 'a/b\r\nx: y' }, 'INVALID_INPUT', /wanted a media type/],
  ['a pattern as type', { data: '', mediaType: 'image/*' }, 'INVALID_INPUT', /wanted a media type/],
  ['too much data', { data: 'AAAAAAA=' }, 'TOO_LARGE', /5 bytes: wanted at most 4/],
] as const) {
  test(`file() refuses ${what}`, () => {
    assert.throws(() => file({ maxBytes: 4 }).fromJson(json), { code, message });
  });
}

test('file() refuses a value without bytes', () => {
  assert.throws(() => file().check({ ...PDF, bytes: 'a' }), {
    code: 'INVALID_INPUT',
    message: /\/bytes must be bytes/,
  });
  assert.throws(() => file().check(PDF.bytes.toString()), { code: 'INVALID_INPUT', message: /wanted a file as/ });
});

for (const [what, describe] of [
  ['a limit of 0', () => text({ maxLength: 0 })],
  ['half a byte', () => bytes({ maxBytes: 1.5 })],
  ['a media type that is none', () => bytes({ mediaType: 'wav' })],
  ['a media type with parameters', () => text({ mediaType: 'text/plain; charset=utf-8' })],
  ['a pattern to write', () => bytes({ mediaType: 'audio/*' })],
  ['a pattern that is none', () => file({ mediaTypes: ['*'] })],
] as const) {
  test(`descriptors refuse ${what} in their options`, () => {
    assert.throws(describe, { code: 'SERVICE_INVALID' });
  });
}
