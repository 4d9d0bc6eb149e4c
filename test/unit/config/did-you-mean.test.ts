import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, editDistance, nearest } from '#dist/config/did-you-mean.js';

test('editDistance counts letters to insert, delete, replace and swap', () => {
  const pairs = [
    ['', ''],
    ['a', ''],
    ['port', 'prot'],
    ['port', 'ports'],
    ['host', 'port'],
    ['kitten', 'sitting'],
  ] as const;
  assert.deepEqual(
    pairs.map(([a, b]) => editDistance(a, b)),
    [0, 1, 1, 1, 2, 3],
  );
});

test('nearest gives the closest word, whatever its case, or nothing where none is close', () => {
  const words = ['port', 'grpcPort', 'host'];
  assert.equal(nearest('prot', words), 'port');
  assert.equal(nearest('grpcport', words), 'grpcPort');
  assert.equal(nearest('certificate', words), undefined);
});

test('didYouMean ends a message, or adds nothing', () => {
  assert.equal(didYouMean('hots', ['host']), '; did you mean "host"?');
  assert.equal(didYouMean('xyzzy', ['host']), '');
});
