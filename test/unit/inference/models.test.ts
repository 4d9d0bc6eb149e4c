import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Models } from '#dist/inference/models.js';
import { defineService } from '#dist/service/define.js';
import type { Manifest, MethodManifest, RunnerManifest } from '#dist/service/manifest.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

const NO_CODE = defineService({ name: 'empty', apis: {} });

function method(name: string): MethodManifest {
  const spec = { kind: 'tensor', dtype: 'float32', shape: [-1], allowNonFinite: false } as const;
  return methodManifest({ name, input: spec, output: spec });
}

function models(runners: Readonly<Record<string, readonly string[]>>): Models {
  return modelsOf(
    Object.entries(runners).map(([name, methods]) => runnerManifest({ name, methods: methods.map(method) })),
  );
}

function modelsOf(runners: readonly RunnerManifest[]): Models {
  const manifest: Manifest = { name: 'sample', version: '2', apis: [], runners, mounts: [], unavailable: [] };
  return new Models(manifest, NO_CODE);
}

function versioned(name: string, version: string, isDefault: boolean): RunnerManifest {
  const runner = isDefault ? name : `${name}.v${version}`;
  return runnerManifest({ name: runner, methods: [method('predict')], model: { name, version, isDefault } });
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

  test('finds a version of a model, or its default version where none is named', () => {
    const found = modelsOf([versioned('net', '3', true), versioned('net', '10', false), versioned('other', '1', true)]);
    assert.deepEqual([found.find('net', '').runner, found.find('net', '').version], ['net', '3']);
    assert.equal(found.find('net', '3').runner, 'net');
    assert.equal(found.find('net', '10').runner, 'net.v10');
    assert.deepEqual(found.versions('net'), ['3', '10']);
    assert.deepEqual(found.versions('other'), ['1']);
    assert.throws(() => found.find('net', '4'), {
      code: 'NOT_FOUND',
      message: 'Cannot find version "4" of the model "net": the versions are "3", "10"',
    });
    assert.throws(() => found.find('net.v10', ''), { code: 'NOT_FOUND', message: /the models are net, other$/ });
    assert.throws(() => found.find('net.predict', ''), { code: 'NOT_FOUND' });
    assert.throws(() => found.versions('x'), { code: 'NOT_FOUND' });
  });

  test('finds the default version wherever it stands in the list', () => {
    const found = modelsOf([versioned('net', '10', false), versioned('net', '3', true)]);
    assert.equal(found.find('net', '').version, '3');
    assert.deepEqual(found.versions('net'), ['3', '10']);
  });

  test('offers no method that streams', () => {
    const { input } = method('any');
    const tokens: MethodManifest = methodManifest({ name: 'predict', input, output: { kind: 'stream', of: input } });
    const found = modelsOf([
      runnerManifest({ name: 'llm', methods: [tokens, method('embed')] }),
      runnerManifest({ name: 'only', methods: [tokens] }),
    ]);
    assert.equal(found.find('llm', '').method, 'embed');
    assert.throws(() => found.find('llm.predict', ''), { code: 'NOT_FOUND' });
    assert.throws(() => found.find('only', ''), { message: /the models are llm\.embed, llm$/ });
  });

  test('calls a lone tensor by its own name, else input or output', () => {
    const named = { kind: 'tensor', dtype: 'float32', shape: [-1], allowNonFinite: false, name: 'pixels' } as const;
    const { input } = method('any');
    const found = modelsOf([
      runnerManifest({ name: 'net', methods: [methodManifest({ name: 'predict', input: named, output: input })] }),
    ]).find('net', '');
    assert.deepEqual([found.inputs.names, found.outputs.names], ['"pixels"', '"output"']);
    assert.ok(found.inputs.byName.has('pixels'));
  });
});
