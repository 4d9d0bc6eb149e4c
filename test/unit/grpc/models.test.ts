import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Models } from '#dist/grpc/models.js';
import { defineService } from '#dist/service/define.js';
import type { Manifest, MethodManifest } from '#dist/service/manifest.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

const NO_CODE = defineService({ name: 'empty', apis: {} });

function method(name: string): MethodManifest {
  const spec = { kind: 'tensor', dtype: 'float32', shape: [-1], allowNonFinite: false } as const;
  return methodManifest({ name, input: spec, output: spec });
}

function models(runners: Readonly<Record<string, readonly string[]>>): Models {
  const manifest: Manifest = {
    name: 'sample',
    version: '2',
    apis: [],
    runners: Object.entries(runners).map(([name, methods]) => runnerManifest({ name, methods: methods.map(method) })),
  };
  return new Models(manifest, NO_CODE);
}

describe('Models.find', () => {
  test('takes a runner for its only method, for predict, or for its first', () => {
    const found = models({ one: ['embed'], two: ['embed', 'predict'], three: ['b', 'a'] });
    assert.equal(found.find('one', '').method, 'embed');
    assert.equal(found.find('two', '2').method, 'predict');
    assert.equal(found.find('three', '').method, 'b');
    assert.equal(found.find('three.a', '').method, 'a');
  });

  test('prefers a runner over a method of the same full name', () => {
    const found = models({ 'a.b': ['run'], a: ['b'] });
    assert.equal(found.find('a.b', '').runner, 'a.b');
    assert.equal(found.find('a', '').runner, 'a');
  });

  test('names what there is when there is no such model or version', () => {
    const found = models({ one: ['embed'] });
    assert.throws(() => found.find('x', ''), { code: 'NOT_FOUND', message: /"x": the models are one\.embed, one$/ });
    assert.throws(() => found.find('one', '3'), { code: 'NOT_FOUND', message: /version "3".*the version is "2"$/ });
    assert.throws(() => models({}).find('x', ''), { message: /the models are \(none\)$/ });
  });
});
