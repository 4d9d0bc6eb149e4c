import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseCoding, chooseOffer } from '#dist/http/negotiate.js';

const offers = (...types: string[]): { readonly type: string }[] => types.map((type) => ({ type }));
const pick = (accept: string | undefined, ...types: string[]): string => chooseOffer(accept, offers(...types)).type;

void test('the form is the one that the client likes best', () => {
  const forms = ['image/png', 'image/jpeg', 'application/json'];
  for (const [accept, wanted] of [
    [undefined, 'image/png'],
    ['*/*', 'image/png'],
    ['application/json', 'application/json'],
    ['image/jpeg', 'image/jpeg'],
    ['IMAGE/JPEG', 'image/jpeg'],
    ['image/*', 'image/png'],
    ['image/*, application/json;q=0.9', 'image/png'],
    ['image/png;q=0.2, application/json;q=0.9', 'application/json'],
    ['image/png;q=0, image/*', 'image/jpeg'],
    ['*/*;q=0.1, image/jpeg;q=0.2', 'image/jpeg'],
    ['application/json, */*', 'application/json'],
    ['text/html, */*', 'image/png'],
    ['application/json;charset=utf-8', 'application/json'],
    ['image/jpeg, application/json', 'image/jpeg'],
    ['application/json, image/jpeg', 'application/json'],
    ['image/jpeg;q=1.000 , application/json;q=0.999', 'image/jpeg'],
  ] as const) {
    assert.equal(pick(accept, ...forms), wanted, accept);
  }
});

void test('where nothing fits, or nothing can be read, the usual form is given', () => {
  for (const accept of ['text/html', 'image/png;q=0', '', ',', 'nonsense', 'application/json;q=2', '*/*;q=0', '*']) {
    assert.equal(pick(accept, 'image/png', 'application/json'), 'image/png', accept);
  }
});

void test('an offer with a * is met by what it stands for, but not before one that is named', () => {
  assert.equal(pick('application/pdf', 'application/json', '*/*'), '*/*');
  assert.equal(pick('application/json', '*/*', 'application/json'), 'application/json');
  assert.equal(pick('audio/wav', 'application/json', 'audio/*'), 'audio/*');
  assert.equal(pick('video/mp4', 'application/json', 'audio/*'), 'application/json');
});

void test('any header gives one of the offers', () => {
  const parts = fc.constantFrom('image/png', 'image/*', '*/*', ';q=0.5', ';q=', ',', ' ', '"', ';', 'x');
  fc.assert(
    fc.property(fc.array(parts), (pieces) => {
      assert.ok(['image/png', 'application/json'].includes(pick(pieces.join(''), 'image/png', 'application/json')));
    }),
  );
});

void test('the coding is the one that the client likes best, the first of ours where it has no choice', () => {
  const codings = ['br', 'gzip', 'deflate'];
  for (const [header, wanted] of [
    ['gzip', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['GZIP', 'gzip'],
    ['gzip;q=1.0, br;q=0.5', 'gzip'],
    ['gzip;q=0', undefined],
    ['br;q=0, *', 'gzip'],
    ['*', 'br'],
    ['*;q=0', undefined],
    ['identity', undefined],
    ['identity;q=0, gzip;q=0.1', 'gzip'],
    ['identity, gzip;q=0.5', undefined],
    ['identity;q=0.5, gzip', 'gzip'],
    ['', undefined],
    ['zstd', undefined],
    ['gzip;q=7', undefined],
  ] as const) {
    assert.equal(chooseCoding(header, codings), wanted, header);
  }
});
