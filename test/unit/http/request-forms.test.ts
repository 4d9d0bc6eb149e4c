import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import type { ApiInput } from '#dist/descriptor/api-input.js';
import type { Descriptor } from '#dist/descriptor/descriptor.js';
import { bytes, file, image, json, multipart, table, tensor, text } from '#dist/service/index.js';
import { JubakoError } from '#dist/errors.js';
import { Body } from '#dist/http/request-body.js';
import { RequestForms } from '#dist/http/request-forms.js';
import { encodeValue, tensorOf, type Tensor } from '#dist/tensor/index.js';
import { contentOf } from '../../support/api-input.js';

const isCode = (code: string, message: RegExp) => (thrown: unknown) =>
  thrown instanceof JubakoError && thrown.code === code && message.test(thrown.message);

function read(
  descriptor: unknown,
  type: string | undefined,
  body: string | Buffer,
  more: IncomingHttpHeaders = {},
): ApiInput {
  const headers = { ...(type !== undefined && { 'content-type': type }), ...more };
  return new RequestForms(descriptor as Descriptor).of(headers).read(Body.of(Buffer.from(body)));
}

/** `json`, `value`, `parts`, or the media type. */
function formOf(descriptor: unknown, type: string | undefined, more?: IncomingHttpHeaders): string {
  const body =
    type === 'application/vnd.jubako.value' ? valueBytes(1) : type === 'application/octet-stream' ? '12345678' : '1';
  const input = read(descriptor, type, body, more);
  return input.form === 'media' ? `media ${input.media.mediaType}` : input.form;
}

function valueBytes(value: unknown): Buffer {
  const { head, parts } = encodeValue(value);
  return Buffer.concat([head, ...parts]);
}

const BINARY = 'application/octet-stream';
const VALUE = 'application/vnd.jubako.value';
const CURL = 'application/x-www-form-urlencoded';

void test('the form of a body follows its content type, and the descriptor where that says nothing', () => {
  const numbers = tensor('float32', [-1]);
  for (const [descriptor, type, form] of [
    [json(), undefined, 'json'],
    [json(), 'application/json', 'json'],
    [json(), CURL, 'json'],
    [json(), BINARY, 'json'],
    [json(), VALUE, 'value'],
    [numbers, undefined, 'json'],
    [numbers, 'text/plain', 'json'],
    [numbers, 'application/vnd.api+json', 'json'],
    [numbers, BINARY, 'value'],
    [numbers, VALUE, 'value'],
    [text(), undefined, 'media '],
    [text(), 'text/plain', 'media text/plain'],
    [text(), 'text/html; charset=utf-8', 'media text/html'],
    [text(), CURL, 'media '],
    [text(), 'application/json', 'json'],
    [text(), VALUE, 'value'],
    [bytes(), undefined, 'media '],
    [bytes(), BINARY, `media ${BINARY}`],
    [bytes(), 'image/png', 'media image/png'],
    [bytes(), 'application/json', 'json'],
    [bytes({ mediaType: 'application/json' }), 'application/json', 'media application/json'],
    [file({ mediaTypes: ['image/*'] }), 'image/png', 'media image/png'],
    [file({ mediaTypes: ['image/*'] }), BINARY, 'media '],
    [image(), 'image/png', 'media image/png'],
    [image(), CURL, 'media '],
    [image(), 'application/json', 'json'],
    [table(), undefined, 'json'],
    [table(), 'application/json', 'json'],
    [table(), 'text/csv', 'media text/csv'],
    [multipart({ a: json() }), undefined, 'json'],
    [multipart({ a: json() }), 'application/json', 'json'],
    [multipart({ a: json() }), VALUE, 'value'],
  ] as const) {
    assert.equal(formOf(descriptor, type), form, `${(descriptor as Descriptor).spec.kind} ${type}`);
  }
});

void test('JSON that has the name of a file is a file', () => {
  const named = { 'content-disposition': 'attachment; filename="C:\\data\\a.json"' };
  const input = read(file(), 'application/json', '[1]', named);
  assert.deepEqual(input, {
    form: 'media',
    media: { mediaType: 'application/json', bytes: Buffer.from('[1]'), parameters: {}, fileName: 'a.json' },
  });
});

void test('a content type that does not fit is UNSUPPORTED_MEDIA with those that do', () => {
  for (const [descriptor, type, message] of [
    [
      tensor('float32', [-1]),
      CURL,
      /"application\/x-www-form-urlencoded": this API accepts application\/json or application\/octet-stream or/,
    ],
    [tensor('string', [-1]), BINARY, /accepts application\/json or application\/vnd\.jubako\.value$/],
    [tensor('float32', [-1]), 'nonsense', /"nonsense"/],
    [json(), 'multipart/form-data; boundary=b', /"multipart\/form-data; boundary=b"/],
    [json(), 'application/json; charset=latin1', /must be UTF-8/],
    [text(), 'image/png', /accepts text\/plain or text\/\* or application\/json/],
    [image(), 'text/plain', /accepts image\/png/],
    [multipart({ a: json() }), 'image/png', /application\/json or multipart\/form-data/],
  ] as const) {
    assert.throws(() => read(descriptor, type, ''), isCode('UNSUPPORTED_MEDIA', message), `${type}`);
  }
});

void test('the value of a body is read under the rules of JSON', () => {
  const tree = { a: [tensorOf('float32', [1], [2])], b: 'x' };
  assert.deepEqual(contentOf(read(json(), VALUE, valueBytes(tree))), tree);
  assert.deepEqual(contentOf(read(json(), VALUE, valueBytes(tree.a[0]))), tree.a[0]);
  const proto = JSON.parse('{"__proto__":{"a":1}}') as object;
  const deep = (levels: number, inner: unknown): unknown => (levels === 0 ? inner : [deep(levels - 1, inner)]);
  const bits = new Uint8Array(3);
  assert.doesNotThrow(() => read(json(), VALUE, valueBytes(deep(127, bits))));
  for (const [body, message] of [
    [Buffer.alloc(0), /empty/],
    [Buffer.of(9), /form 9 is unknown/],
    [valueBytes(tree).subarray(0, -1), /^Cannot read a value: /],
    [valueBytes(proto), /__proto__/],
    [valueBytes({ proto, bits }), /__proto__/],
    [valueBytes(deep(200, 1)), /nested/],
    [valueBytes(deep(200, bits)), /nested/],
  ] as const) {
    assert.throws(() => read(json(), VALUE, body), isCode('INVALID_INPUT', message), String(message));
  }
});

const FORM = 'multipart/form-data; boundary=b';

type Part = readonly [disposition: string, type: string | undefined, body: string | Buffer];

function form(...parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(([disposition, type, body]) => [
    Buffer.from(`--b\r\nContent-Disposition: form-data; ${disposition}\r\n`),
    Buffer.from(type === undefined ? '\r\n' : `Content-Type: ${type}\r\n\r\n`),
    Buffer.from(body),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from('--b--\r\n')]);
}

const everything = multipart({
  json: json(),
  numbers: tensor('float32', [-1, 2]),
  words: text(),
  picture: image(),
  any: file(),
  rows: table(),
});

void test('the parts of a form are read as their fields say', () => {
  const numbers = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
  const input = read(
    everything,
    FORM,
    form(
      ['name="json"', undefined, '{"a":1}'],
      ['name="numbers"', 'application/octet-stream; dtype=float32; shape="2,2"', numbers],
      ['name="words"', undefined, 'größe'],
      ['name="picture"; filename="p.png"', 'image/png', 'PNG'],
      ['name="any"; filename="d.json"', 'application/json', '[1]'],
      ['name="rows"; filename="r.csv"', 'text/csv', 'a\n1'],
    ),
  );
  assert.ok(input.form === 'parts');
  const { json: first, numbers: second, words, picture, any, rows } = input.parts;
  assert.deepEqual(first, { form: 'json', json: { a: 1 } });
  assert.ok(second?.form === 'value');
  assert.deepEqual((second.value as Tensor).shape, [2, 2]);
  assert.deepEqual((second.value as Tensor).data, Float32Array.of(1, 2, 3, 4));
  assert.ok(words?.form === 'media' && picture?.form === 'media' && any?.form === 'media' && rows?.form === 'media');
  assert.equal(Buffer.from(words.media.bytes).toString(), 'größe');
  assert.deepEqual([picture.media.mediaType, picture.media.fileName], ['image/png', 'p.png']);
  assert.deepEqual([any.media.mediaType, any.media.fileName], ['application/json', 'd.json']);
  assert.equal(rows.media.mediaType, 'text/csv');
});

void test('parts may be JSON, values, and tensors whose shape their descriptor completes', () => {
  const parts = (...given: readonly Part[]): unknown => {
    const input = read(everything, FORM, form(...given));
    assert.ok(input.form === 'parts');
    return Object.values(input.parts).map(contentOf);
  };
  assert.deepEqual(parts(['name="numbers"', 'application/json', '[[1,2]]']), [[[1, 2]]]);
  assert.deepEqual(parts(['name="numbers"', undefined, '[[1,2]]']), [[[1, 2]]]);
  assert.deepEqual(parts(['name="words"', 'application/json', '"a"']), ['a']);
  assert.deepEqual(parts(['name="json"', VALUE, valueBytes([1])]), [[1]]);
  const [tensorPart] = parts(['name="numbers"', BINARY, Buffer.alloc(16)]) as [Tensor];
  assert.deepEqual(tensorPart.shape, [2, 2]);
});

void test('a form that does not fit is refused with the part', () => {
  for (const [code, message, ...parts] of [
    ['INVALID_INPUT', /it has the part "other", the parts are json, numbers/, ['name="other"', undefined, '1']],
    ['INVALID_INPUT', /the part "json" twice/, ['name="json"', undefined, '1'], ['name="json"', undefined, '1']],
    ['INVALID_INPUT', /^Part "json": Cannot read the body as JSON/, ['name="json"', undefined, '{']],
    ['UNSUPPORTED_MEDIA', /^Part "picture": .*"text\/html": wanted image\/png/, ['name="picture"', 'text/html', '']],
    ['UNSUPPORTED_MEDIA', /^Part "json": .*must be UTF-8/, ['name="json"', 'text/plain; charset=latin1', '1']],
    ['INVALID_INPUT', /^Part "numbers": .*parameter shape "x"/, ['name="numbers"', `${BINARY}; shape=x`, '']],
    ['INVALID_INPUT', /^Part "numbers": .*parameter dtype "x"/, ['name="numbers"', `${BINARY}; dtype=x`, '']],
    ['INVALID_INPUT', /^Part "numbers": .*no multiple of 8/, ['name="numbers"', BINARY, '123']],
  ] as const) {
    assert.throws(() => read(everything, FORM, form(...parts)), isCode(code, message), String(message));
  }
  assert.throws(() => read(everything, 'multipart/form-data', ''), isCode('INVALID_INPUT', /names no boundary/));
});

void test('an API that takes one media value takes a form with one part, whatever its name', () => {
  const input = read(image(), FORM, form(['name="upload"; filename="p.png"', 'image/png', 'PNG']));
  assert.ok(input.form === 'media');
  assert.deepEqual([input.media.mediaType, input.media.fileName], ['image/png', 'p.png']);
  const two = form(['name="a"', 'image/png', ''], ['name="b"', 'image/png', '']);
  assert.throws(() => read(image(), FORM, two), isCode('INVALID_INPUT', /several parts, this API takes one/));
  assert.throws(() => read(image(), FORM, form()), isCode('INVALID_INPUT', /no parts/));
});
