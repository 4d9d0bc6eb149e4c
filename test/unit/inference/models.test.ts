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

  test('knows which models stream; the default method is predict, or else one that gives one value', () => {
    const { input } = method('any');
    const streaming = (name: string): MethodManifest =>
      methodManifest({ name, input, output: { kind: 'stream', of: input } });
    const found = modelsOf([
      runnerManifest({ name: 'llm', methods: [streaming('predict'), method('embed')] }),
      runnerManifest({ name: 'chat', methods: [streaming('generate'), method('embed')] }),
      runnerManifest({ name: 'only', methods: [streaming('generate')] }),
    ]);
    assert.deepEqual([found.find('llm', '').method, found.find('llm', '').isStream], ['predict', true]);
    assert.deepEqual([found.find('chat', '').method, found.find('chat', '').isStream], ['embed', false]);
    assert.deepEqual([found.find('only', '').method, found.find('only.generate', '').isStream], ['generate', true]);
    assert.deepEqual(found.find('only', '').outputs.list, [
      { name: 'output', dtype: 'float32', datatype: 'FP32', shape: [-1] },
    ]);
  });

  test('lists each model once, by the name that a client can use', () => {
    const found = modelsOf([
      runnerManifest({ name: 'a', methods: [method('b'), method('predict')] }),
      runnerManifest({ name: 'a.b', methods: [method('run')] }),
      versioned('net', '3', true),
      versioned('net', '10', false),
    ]);
    assert.deepEqual(
      found.list.map(({ name, version, runner, method: called }) => [name, version, `${runner}.${called}`]),
      [
        ['a', '2', 'a.predict'],
        ['a.b', '2', 'a.b.run'],
        ['net', '3', 'net.predict'],
        ['net', '10', 'net.v10.predict'],
      ],
    );
  });

  test('says why a version of the repository is not there', () => {
    const manifest: Manifest = {
      name: 'sample',
      version: '2',
      apis: [],
      runners: [versioned('net', '3', true)],
      mounts: [],
      unavailable: [
        { name: 'net', version: '4', reason: 'its file is broken' },
        { name: 'lost', version: '1', reason: 'it has no file' },
      ],
    };
    const found = new Models(manifest, NO_CODE);
    const wanted = (message: RegExp): object => ({ code: 'NOT_READY', message });
    assert.throws(() => found.find('net', '4'), wanted(/version "4" of the model "net".*: its file is broken$/));
    assert.throws(() => found.find('lost', ''), wanted(/version "1" of the model "lost".*: it has no file$/));
    assert.equal(found.find('net', '').version, '3');
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
