import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { readInput } from '#dist/descriptor/api-input.js';
import type { Descriptor } from '#dist/descriptor/descriptor.js';
import { bytes, file, image, json, multipart, stream, table, tensor, text } from '#dist/service/index.js';
import { tensorOf } from '#dist/tensor/index.js';

const FORM = multipart(
  { scores: tensor('float32', [-1]), note: text({ maxLength: 5 }), options: json<{ top: number }>() },
  { optional: ['note', 'options'] },
);

test('multipart() reads and writes an object with the JSON of each part', async () => {
  const value = await FORM.fromJson({ scores: [1, 2], note: 'hi', options: { top: 3 } });
  assert.deepEqual(value, { scores: tensorOf('float32', [2], [1, 2]), note: 'hi', options: { top: 3 } });
  assert.deepEqual(await FORM.toJson(value), { scores: [1, 2], note: 'hi', options: { top: 3 } });
  assert.deepEqual(FORM.check(value), value);
  assert.deepEqual(FORM.fromParts?.(value), value);
  assert.deepEqual(Object.keys(FORM.parts ?? {}), ['scores', 'note', 'options']);
});

test('multipart() leaves out what is optional and missing', async () => {
  const scores = tensorOf('float32', [1], [1]);
  assert.deepEqual(await FORM.fromJson({ scores: [1] }), { scores });
  assert.deepEqual(FORM.check({ scores, note: undefined }), { scores });
  assert.deepEqual(await FORM.toJson({ scores }), { scores: [1] });
});

test('multipart() decodes and encodes an image within', async () => {
  const form = multipart({ photo: image({ channels: 1 }) });
  const png = await sharp(Uint8Array.of(7, 8), { raw: { width: 2, height: 1, channels: 1 } })
    .png()
    .toBuffer();
  const value = await form.fromJson({ photo: png.toString('base64') });
  assert.deepEqual(
    [value.photo.shape, [...value.photo.data]],
    [
      [1, 2, 1],
      [7, 8],
    ],
  );
  const again = await form.fromJson(await form.toJson(value));
  assert.deepEqual([...again.photo.data], [7, 8]);
});

for (const [what, json, code, message] of [
  ['a part that is missing', { note: 'a' }, 'INVALID_INPUT', /"scores" is missing/],
  ['a part that is null', { scores: null }, 'INVALID_INPUT', /Part "scores": .*must be a list, got null/],
  [
    'a part too many',
    { scores: [1], more: 1 },
    'INVALID_INPUT',
    /the part "more": the parts are scores, note, options/,
  ],
  ['a part that does not fit', { scores: [1], note: 'abcdef' }, 'TOO_LARGE', /Part "note": Cannot accept a text of 6/],
  ['a list', [1], 'INVALID_INPUT', /a list of 1: wanted an object with scores, note, options/],
  ['null', null, 'INVALID_INPUT', /null: wanted an object/],
  ['a name from the prototype', { scores: [1], toString: 1 }, 'INVALID_INPUT', /the part "toString"/],
] as const) {
  test(`multipart() refuses ${what}`, async () => {
    await assert.rejects(async () => FORM.fromJson(json), { code, message });
  });
}

test('multipart() checks each part of a value', () => {
  assert.throws(() => FORM.check({ scores: [1] }), {
    code: 'INVALID_INPUT',
    message: /Part "scores": Cannot accept a list/,
  });
  assert.throws(() => FORM.check({}), { code: 'INVALID_INPUT', message: /"scores" is missing/ });
});

test('readInput reads the parts of a form, each in its own form', async () => {
  const form = multipart({ table: table(), raw: bytes(), doc: file(), note: text() }, { optional: ['note'] });
  const media = (
    content: string,
    mediaType: string,
  ): { form: 'media'; media: { mediaType: string; bytes: Buffer } } => ({
    form: 'media',
    media: { mediaType, bytes: Buffer.from(content) },
  });
  const read = readInput(form, {
    form: 'parts',
    parts: {
      table: media('a\n1\n', 'text/csv'),
      raw: media('raw', ''),
      doc: { form: 'json', json: { data: '' } },
      note: { form: 'value', value: 'hi' },
    },
  });
  const value = await read;
  assert.deepEqual(value.table.toRows(), [{ a: '1' }]);
  assert.equal(Buffer.from(value.raw).toString(), 'raw');
  assert.deepEqual([value.doc.name, value.note], ['file', 'hi']);
});

test('multipart() refuses forms in forms, streams, and an optional field that it has not', () => {
  const stray = (field: unknown): void => void multipart({ field: field as Descriptor<unknown, never> });
  assert.throws(() => stray(FORM), { code: 'SERVICE_INVALID', message: /its field "field" is a multipart\(\)/ });
  assert.throws(() => stray(stream(text())), { code: 'SERVICE_INVALID', message: /its field "field" is a stream\(\)/ });
  assert.throws(() => multipart({ a: text() }, { optional: ['b' as 'a'] }), {
    code: 'SERVICE_INVALID',
    message: /no field "b"/,
  });
});
