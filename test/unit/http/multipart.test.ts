import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import { parseMediaType, type MediaType } from '#dist/http/media-type.js';
import { boundaryOf, readMultipart, type FormPart } from '#dist/http/multipart-reader.js';
import { writeMultipart } from '#dist/http/multipart-writer.js';

const isCode = (code: string, message: RegExp) => (thrown: unknown) =>
  thrown instanceof JubakoError && thrown.code === code && message.test(thrown.message);

function parts(text: string, boundary = 'b'): FormPart[] {
  return [...readMultipart(Buffer.from(text), boundary)];
}

function simple({ name, fileName, type, bytes }: FormPart): unknown[] {
  return [name, fileName, type?.type, bytes.toString()];
}

const A = 'Content-Disposition: form-data; name="a"\r\n';

void test('a form is read as browsers, curl and Python write it', () => {
  const form =
    `--b\r\n${A}\r\none\r\n` +
    '--b\r\ncontent-type: image/png; x=1\r\ncontent-disposition: form-data; name="f"; filename="p.png"\r\n\r\n\r\n--c\r\n\r\n' +
    '--b--\r\n';
  assert.deepEqual(parts(form).map(simple), [
    ['a', undefined, undefined, 'one'],
    ['f', 'p.png', 'image/png', '\r\n--c\r\n'],
  ]);
  assert.deepEqual(parts(form)[1]?.type?.parameters, { x: '1' });
});

void test('a preamble, an epilogue, blanks behind a boundary and folded headers are no harm', () => {
  const form = `preamble\r\n--b \t\r\nContent-Disposition: form-data;\r\n name="a"\r\nX-Other: 1\r\n\r\none\r\n--b-- epilogue --b`;
  assert.deepEqual(parts(form).map(simple), [['a', undefined, undefined, 'one']]);
});

void test('a part may be empty, and a form may have no parts', () => {
  assert.deepEqual(parts(`--b\r\n${A}\r\n\r\n--b--`).map(simple), [['a', undefined, undefined, '']]);
  assert.deepEqual(parts(`--b\r\n${A}\r\n--b--`).map(simple), [['a', undefined, undefined, '']]);
  assert.deepEqual(parts('--b--\r\n'), []);
});

void test('a second disposition may only add the name of a file', () => {
  const form = `--b\r\n${A}content-disposition: attachment; filename="o.png"\r\n\r\none\r\n--b--`;
  assert.deepEqual(parts(form).map(simple), [['a', 'o.png', undefined, 'one']]);
});

void test('every form that is cut short is INVALID_INPUT', () => {
  const form = `--b\r\n${A}\r\none\r\n--b\r\n${A}Content-Type: text/plain\r\n\r\ntwo\r\n--b--`;
  for (let length = 0; length < form.length; length += 1) {
    assert.throws(
      () => parts(form.slice(0, length)),
      isCode('INVALID_INPUT', /^Cannot read the form: /),
      String(length),
    );
  }
});

void test('what is no form is refused with the place', () => {
  for (const [form, message] of [
    ['', /does not occur/],
    [`--c\r\n${A}\r\none\r\n--c--`, /does not occur/],
    [`--bx\r\n${A}\r\none\r\n--bx--`, /boundary is followed by something else/],
    ['--b\r\nContent-Disposition form-data\r\n\r\none\r\n--b--', /part 1 has a header without a colon/],
    ['--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b--', /part 1 has no Content-Disposition with a name/],
    ['--b\r\n\r\none\r\n--b--', /part 1 has no Content-Disposition with a name/],
    [
      '--b\r\nContent-Disposition: form-data; name=""\r\n\r\none\r\n--b--',
      /part 1 has no Content-Disposition with a name/,
    ],
    [
      '--b\r\nContent-Disposition: attachment; name="a"\r\n\r\none\r\n--b--',
      /part 1 has no Content-Disposition with a name/,
    ],
    [`--b\r\n${A}\r\none\r\n--b\r\n${A}Content-Type: png\r\n\r\n2\r\n--b--`, /part 2 has the content type "png"/],
    [`--b\r\n${A}Content-Transfer-Encoding: base64\r\n\r\none\r\n--b--`, /part 1 is in base64: wanted its bytes/],
    [`--b\n${A.replace('\r', '')}\none\n--b--`, /boundary is followed by something else/],
    [`--b\r\n${A}\r\none\r\n--b\r\n${A}X: 1\r\n--b--`, /it stops in part 2/],
  ] as const) {
    assert.throws(() => parts(form), isCode('INVALID_INPUT', message), form);
  }
  const long = `--b\r\n${A}X: ${'y'.repeat(9000)}\r\n\r\none\r\n--b--`;
  assert.throws(() => parts(long), isCode('TOO_LARGE', /headers of part 1 exceed 8192 bytes/));
});

void test('a content type without a boundary that can be used is refused', () => {
  const boundary = (text: string): string => boundaryOf(parseMediaType(text) as MediaType);
  assert.equal(boundary('multipart/form-data; boundary="a b"'), 'a b');
  assert.throws(() => boundary('multipart/form-data'), isCode('INVALID_INPUT', /names no boundary/));
  assert.throws(() => boundary('multipart/form-data; boundary='), isCode('INVALID_INPUT', /names no boundary/));
  assert.throws(
    () => boundary(`multipart/form-data; boundary=${'x'.repeat(201)}`),
    isCode('INVALID_INPUT', /longer than 200/),
  );
});

const mediaTypes = fc.constantFrom('text/plain', 'application/octet-stream', 'image/png');
const names = fc.stringMatching(/^[\wäß日 "\r\n]{1,12}$/u).filter((name) => name.trim() === name);
const media = fc.record(
  { mediaType: mediaTypes, bytes: fc.uint8Array({ maxLength: 60 }), fileName: fc.stringMatching(/^[\wäß]{1,9}$/u) },
  { requiredKeys: ['mediaType', 'bytes'], noNullPrototype: true },
);

void test('a form that is written is read again', () => {
  fc.assert(
    fc.property(fc.dictionary(names, media, { noNullPrototype: true }), (form) => {
      const { contentType, bytes } = writeMultipart(form);
      const read = [...readMultipart(bytes, boundaryOf(parseMediaType(contentType) as MediaType))];
      const back = read.map(({ name, fileName, type, bytes: data }) => [
        name,
        {
          mediaType: type?.type,
          bytes: new Uint8Array(data),
          ...(fileName !== undefined && { fileName }),
        },
      ]);
      assert.deepEqual(Object.fromEntries(back), form);
    }),
  );
});

void test('any bytes are parts or a refusal', () => {
  const pieces = fc.constantFrom('--b', '\r\n', '--', '\r\n--b', A, '\r\n\r\n', 'x', ':', '\0', 'é');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (list) => {
      try {
        parts(list.join(''));
      } catch (thrown) {
        assert.ok(thrown instanceof JubakoError, String(thrown));
      }
    }),
  );
});
