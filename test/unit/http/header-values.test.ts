import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { asUtf8, attachment, formData, parseDisposition } from '#dist/http/content-disposition.js';
import { formatParameters, parseMediaType } from '#dist/http/media-type.js';

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const quotable = fc.string({ unit: fc.constantFrom(...'ab"\\;=, \t/[]()%') });

void test('a media type is read in any case, with and without parameters', () => {
  for (const [text, type, parameters] of [
    ['text/plain', 'text/plain', {}],
    [' Text/Plain ', 'text/plain', {}],
    ['text/plain;charset=UTF-8', 'text/plain', { charset: 'UTF-8' }],
    ['text/plain ; Charset = "utf-8" ; x=', 'text/plain', { charset: 'utf-8', x: '' }],
    ['multipart/form-data; boundary=----=_Part_1/2?', 'multipart/form-data', { boundary: '----=_Part_1/2?' }],
    ['a/b; x="a;b\\"c"; y=1', 'a/b', { x: 'a;b"c', y: '1' }],
    ['a/b;;x=1;', 'a/b', { x: '1' }],
    ['a/b;x=1;x=2', 'a/b', { x: '1' }],
  ] as const) {
    assert.deepEqual(parseMediaType(text), { type, parameters }, text);
  }
});

void test('what is no media type is undefined', () => {
  for (const text of [
    '',
    'nonsense',
    'a/',
    '/b',
    'a/b/c',
    'a b/c',
    'a/b c',
    'a/b; x',
    'a/b; x="y',
    'a/b; x="y"z',
    'a/b; =1',
  ]) {
    assert.equal(parseMediaType(text), undefined, text);
  }
});

void test('parameters that are written are read again', () => {
  fc.assert(
    fc.property(token, token, fc.dictionary(token, quotable, { noNullPrototype: true }), (type, subtype, given) => {
      const parameters = Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]));
      const name = `${type}/${subtype}`.toLowerCase();
      assert.deepEqual(parseMediaType(`${name}${formatParameters(parameters)}`), { type: name, parameters });
    }),
  );
});

void test('any text is a media type or none, in time that grows with its length only', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'a/;="\\ \t,%*') }), (text) => {
      parseMediaType(text);
      parseDisposition(text);
    }),
  );
  for (const unit of [' ', ';', '"', '\\"', '; a="', '= ', ';a=b ']) {
    const text = `a/b;x=${unit.repeat(1_000_000)}`;
    parseMediaType(text); // would not come back where it is quadratic
    parseDisposition(`form-data;x=${unit.repeat(1_000_000)}`);
  }
});

void test('a disposition gives the name of the field and of the file, without folders', () => {
  for (const [text, name, fileName] of [
    ['form-data; name="a"', 'a', undefined],
    ['form-data; name=a; filename=b.txt', 'a', 'b.txt'],
    ['form-data; name="a%22b"; filename="c%0d%0ad"', 'a"b', 'cd'],
    ['form-data; name="a\\"b"; filename="C:\\dir\\x.png"', 'a"b', 'x.png'],
    ['attachment; filename="../../etc/passwd"', undefined, 'passwd'],
    ['attachment; filename=".."', undefined, undefined],
    ['attachment; filename="a/"', undefined, undefined],
    ['attachment; filename="x"; filename*=UTF-8\'\'na%C3%AFve%2Ftxt', undefined, 'txt'],
    ['attachment; filename="x"; filename*=ISO-8859-1\'\'%E4', undefined, 'x'],
    ['attachment; filename="x"; filename*=UTF-8\'\'%', undefined, 'x'],
    ['inline', undefined, undefined],
  ] as const) {
    const disposition = parseDisposition(text);
    assert.deepEqual([disposition?.name, disposition?.fileName], [name, fileName], text);
  }
  assert.equal(parseDisposition('form-data; name'), undefined);
  assert.equal(parseDisposition(''), undefined);
});

void test('the name of a file goes as ASCII and as UTF-8, and comes back', () => {
  assert.equal(attachment('a b.txt'), 'attachment; filename="a b.txt"');
  assert.equal(attachment('naïve".txt'), `attachment; filename="nave_.txt"; filename*=UTF-8''na%C3%AFve%22.txt`);
  assert.equal(attachment('日本'), `attachment; filename="file"; filename*=UTF-8''%E6%97%A5%E6%9C%AC`);
  const names = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((name) => !/[/\\\p{Cc}]/u.test(name) && !/^\.{1,2}$/.test(name));
  fc.assert(
    fc.property(names, (name) => {
      const header = attachment(name);
      assert.match(header, /^[\x20-\x7e]*$/);
      assert.equal(parseDisposition(header)?.fileName, name.replace(/%22/gi, '"'));
    }),
  );
});

void test('half of a pair of surrogates in a name does no harm', () => {
  assert.match(attachment('a\ud800'), /%EF%BF%BD/);
});

void test('the names in a form come back', () => {
  const names = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((name) => !/[\\\0-\x1f\x7f/]|%(?:22|0d|0a)|^\.{1,2}$/i.test(name)); // eslint-disable-line no-control-regex
  fc.assert(
    fc.property(names, names, (name, fileName) => {
      assert.deepEqual(parseDisposition(formData(name, fileName)), { kind: 'form-data', name, fileName });
    }),
  );
});

void test('a header that Node took for Latin-1 is UTF-8 where it can be', () => {
  assert.equal(asUtf8(Buffer.from('größe').toString('latin1')), 'größe');
  assert.equal(asUtf8('gr\u00f6\u00dfe'), 'größe');
});
