import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Manifest } from '#dist/ipc/manifest.js';
import { loadService } from '#dist/service/load-service.js';
import { manifestOf } from '#dist/service/manifest-of.js';
import { compileModels, type ModelModule } from '#dist/target/model-module.js';
import { resolveTarget } from '#dist/target/resolve-target.js';
import { addModel, identityModel, onnxFile, scaleModel } from '../support/onnx-models.js';
import { writeRepository } from '../support/model-repository.js';
import { tempFolder, type Cleanup } from '../support/start-primary.js';

interface Compiled extends ModelModule {
  readonly manifest: Manifest;
}

/** What the describer does with models. */
async function compile(t: Cleanup, target: string, strict = false): Promise<Compiled> {
  const resolved = resolveTarget(target, '/', undefined);
  assert.ok(resolved.kind !== 'module', `${target} was taken for a module`);
  const module = await compileModels(resolved, tempFolder(t), strict);
  return { ...module, manifest: manifestOf(await loadService(module.entry)) };
}

function versionsOf({ manifest }: Compiled): unknown {
  return manifest.runners.map(({ name, model }) => [name, model?.name, model?.version, model?.isDefault]);
}

describe('compileModels of a file', () => {
  test('makes a service with one model, one API and one runner', async (t) => {
    const folder = writeRepository(t, { 'pair.onnx': identityModel('float32', ['batch', 2]) });
    const file = join(folder, 'pair.onnx');
    const { manifest, entry, warnings } = await compile(t, file);

    assert.equal(manifest.name, 'pair');
    assert.deepEqual(warnings, []);
    assert.deepEqual(entry.sources, [file]);
    const [api] = manifest.apis;
    assert.equal(manifest.apis.length, 1);
    assert.deepEqual([api?.name, api?.route, api?.example], ['pair', '/pair', [[0, 0]]]);
    const [runner] = manifest.runners;
    assert.deepEqual(runner?.model, { name: 'pair', version: '1', isDefault: true });
    const [method] = runner.methods;
    assert.deepEqual([method?.name, method?.idempotent, method?.batch?.maxSize], ['predict', true, 64]);
  });

  test('writes everything that was read into the module: the file may go away', async (t) => {
    const folder = writeRepository(t, { 'pair.onnx': identityModel('float32', ['batch', 2]) });
    const { entry } = await compile(t, join(folder, 'pair.onnx'));
    rmSync(folder, { recursive: true });
    const again = await loadService({ ...entry, url: `${entry.url}?again` });
    assert.equal(again.runners[0]?.name, 'pair');
    assert.doesNotMatch(readFileSync(fileURLToPath(entry.url), 'utf8'), /readFile|onnxruntime/);
  });

  test('gives an example only where lists can say it and people can read it', async (t) => {
    const models = { small: [null, 2], zero: [0, 3], large: ['n', 3, 224, 224] } as const;
    const files = Object.entries(models).map(([name, shape]) => [`${name}.onnx`, identityModel('bool', shape)]);
    const folder = writeRepository(t, Object.fromEntries(files) as Record<string, Uint8Array>);
    for (const [name, example] of [
      ['small', [[false, false]]],
      ['zero', undefined],
      ['large', undefined],
    ] as const) {
      const { manifest } = await compile(t, join(folder, `${name}.onnx`));
      assert.deepEqual(manifest.apis[0]?.example, example, name);
    }
  });

  test('refuses a file that cannot be read or whose name no service can have', async (t) => {
    const folder = writeRepository(t, { 'bad.onnx': 'nothing', 'a b.onnx': identityModel('float32', ['n']) });
    await assert.rejects(compile(t, join(folder, 'bad.onnx')), {
      code: 'SERVICE_INVALID',
      message: /Cannot read the model .*bad\.onnx/,
    });
    await assert.rejects(compile(t, join(folder, 'a b.onnx')), { code: 'SERVICE_INVALID', message: /"a b".*letters/ });
  });

  test('says why a model is not batched where it could perhaps be', async (t) => {
    const folder = writeRepository(t, { 'words.onnx': identityModel('int64', ['sequence']) });
    const { manifest, warnings } = await compile(t, join(folder, 'words.onnx'));
    assert.equal(manifest.runners[0]?.methods[0]?.batch, null);
    assert.match(warnings.join(), /^model "words" .* without batches: axis 0 is named "sequence", which is no batch; /);
  });
});

describe('compileModels of a folder', () => {
  test('serves each model and version by a runner of its own, by default the latest', async (t) => {
    const folder = writeRepository(t, {
      'scale/1/model.onnx': scaleModel(1),
      'scale/2/model.onnx': scaleModel(2),
      'scale/10/model.onnx': scaleModel(10),
      'scale/config.yaml': 'versionPolicy: all\n',
      'pair/3/model.onnx': addModel(['n', 1], ['n', 1], ['n', 1]),
      'pair/2/model.onnx': 'not even read',
      'README.md': 'read by people',
      '.git/1/model.onnx': 'hidden',
    });
    const compiled = await compile(t, folder);
    assert.equal(compiled.manifest.name, 'shelf');
    assert.deepEqual(versionsOf(compiled), [
      ['pair', 'pair', '3', true],
      ['scale', 'scale', '10', true],
      ['scale.v2', 'scale', '2', false],
      ['scale.v1', 'scale', '1', false],
    ]);
    assert.deepEqual(
      compiled.manifest.apis.map(({ route }) => route),
      [...['/pair', '/pair/versions/3'], ...['/scale', '/scale/versions/10', '/scale/versions/2', '/scale/versions/1']],
    );
    assert.deepEqual(compiled.warnings, []);
    assert.deepEqual(
      compiled.entry.sources,
      ['pair/3/model.onnx', 'scale/config.yaml', 'scale/10/model.onnx', 'scale/2/model.onnx', 'scale/1/model.onnx'].map(
        (path) => join(folder, path),
      ),
    );
  });

  test('takes its settings from config.yaml', async (t) => {
    const config =
      'instances: 2\nthreads: 3\ncpus: 4\ndevices: [0, 1]\nbatching: { maxSize: 8, maxLatencyMs: 5, maxQueueSize: 9 }\n';
    const folder = writeRepository(t, {
      'a/1/model.onnx': identityModel('float32', ['sequence', 2]),
      'a/config.yaml': config,
      'b/1/model.onnx': identityModel('float32', ['batch', 2]),
      'b/config.yaml': 'batching: false\nallowNonFinite: true\n',
    });
    const { manifest, warnings } = await compile(t, folder);
    const [a, b] = manifest.runners;
    assert.deepEqual([a?.workers, a?.threads], [2, 3]);
    assert.deepEqual(a?.resources, { cpus: 4, devices: ['0', '1'], pinned: false, env: {} });
    assert.deepEqual(a.methods[0]?.batch, { maxSize: 8, maxLatencyMs: 5, maxQueueSize: 9 });
    assert.equal(b?.methods[0]?.batch, null);
    assert.equal((b.methods[0].input as { allowNonFinite: boolean }).allowNonFinite, true);
    assert.deepEqual(warnings, [], 'batching was asked for, so nothing is unclear');
  });

  test('leaves out what cannot be served, tells it by name, and serves the rest', async (t) => {
    const folder = writeRepository(t, {
      'good/1/model.onnx': scaleModel(1),
      'versions/1/model.onnx': scaleModel(1),
      'versions/2/model.onnx': 'garbage',
      'versions/config.yaml': 'versionPolicy: { specific: [1, 2, 7] }\n',
      'garbage/1/model.onnx': 'garbage',
      'typo/1/model.onnx': scaleModel(1),
      'typo/config.yaml': 'instnces: 2\n',
      'sequence/1/model.onnx': onnxFile({
        inputs: [{ name: 'list', shape: [1], kind: 'sequence' }],
        outputs: [{ name: 'y', shape: [1] }],
        nodes: [],
      }),
      'fixed/1/model.onnx': identityModel('float32', [1, 2]),
      'fixed/config.yaml': 'batching: { maxSize: 4 }\n',
      'metrics/1/model.onnx': scaleModel(1),
      'bad name/1/model.onnx': scaleModel(1),
      'flat/model.onnx': scaleModel(1),
      'zero/01/model.onnx': scaleModel(1),
      'zero/config.yaml': '',
      'noted/1/model.onnx': scaleModel(1),
      'noted/config.pbtxt': 'max_batch_size: 8',
      'loose.onnx': scaleModel(1),
      'empty/1/weights.bin': '',
      'good.v1/1/model.onnx': scaleModel(1),
      'photos/jan/a.jpg': '',
    });
    const compiled = await compile(t, folder);
    assert.deepEqual(versionsOf(compiled), [
      ['good', 'good', '1', true],
      ['noted', 'noted', '1', true],
      ['versions', 'versions', '1', true],
    ]);
    const wanted = [
      /loose\.onnx is not served; put it into .*shelf\/loose\/1\/model\.onnx$/,
      /^model "bad name" version 1: .*"bad name" must be 1 to 63 letters/,
      /^model "empty" version 1: Cannot read the model .*empty\/1\/model\.onnx: ENOENT/,
      /^model "fixed" version 1: Cannot batch the model .*: axis 0 of its input "x" always has 1 rows/,
      /^model "flat": it has no version; wanted .*shelf\/flat\/1\/model\.onnx$/,
      /^model "garbage" version 1: Cannot read the model .*garbage\/1\/model\.onnx: it is damaged/,
      /^model "good\.v1": another model already serves the name "good\.v1"$/,
      /^model "metrics" version 1: .*"\/metrics".*reserved$/,
      /^model "sequence" version 1: .*its input "list" is a sequence; wanted a tensor$/,
      /^model "typo": Cannot use .*typo\/config\.yaml: unknown key "instnces"; did you mean "instances"\?/,
      /^model "versions" version 7: config\.yaml asks for it, and there is only 1, 2$/,
      /^model "versions" version 2: Cannot read the model/,
      /^model "zero": it has no version; wanted .*zero\/1\/model\.onnx$/,
      /^model "noted": its config\.pbtxt is not read; settings go into config\.yaml$/,
    ];
    assert.equal(compiled.warnings.length, wanted.length, compiled.warnings.join('\n'));
    for (const [i, says] of wanted.entries()) assert.match(compiled.warnings[i] ?? '', says);
    assert.deepEqual(
      compiled.unavailable.map(({ name, version }) => [name, version]),
      [
        ['bad name', '1'],
        ['empty', '1'],
        ['fixed', '1'],
        ['flat', ''],
        ['garbage', '1'],
        ['good.v1', ''],
        ['metrics', '1'],
        ['sequence', '1'],
        ['typo', ''],
        ['versions', '7'],
        ['versions', '2'],
        ['zero', ''],
      ],
    );
    assert.match(compiled.unavailable.at(-2)?.reason ?? '', /^Cannot read the model .*versions\/2/);
  });

  test('refuses everything for one model that cannot be served where it is strict', async (t) => {
    const folder = writeRepository(t, {
      'good/1/model.onnx': scaleModel(1),
      'bad/1/model.onnx': 'garbage',
      'good/config.pbtxt': 'this alone is no reason',
    });
    await assert.rejects(compile(t, folder, true), {
      code: 'SERVICE_INVALID',
      message: /^Cannot serve all models of .*shelf: model "bad" version 1: Cannot read/,
    });
    rmSync(join(folder, 'bad'), { recursive: true });
    assert.equal((await compile(t, folder, true)).warnings.length, 1);
  });

  test('refuses a folder of which no model is left, and says why for each', async (t) => {
    const folder = writeRepository(t, { 'a/1/model.onnx': 'garbage', 'b/1/model.onnx': '' });
    await assert.rejects(compile(t, folder), {
      code: 'SERVICE_INVALID',
      message: /^Cannot serve any model of .*: model "a" version 1: .*; model "b" version 1: .*no graph/,
    });
  });

  test('follows links to models and versions', async (t) => {
    const store = writeRepository(t, { 'scale/1/model.onnx': scaleModel(1) });
    const folder = tempFolder(t);
    mkdirSync(join(folder, 'linked'));
    symlinkSync(join(store, 'scale/1'), join(folder, 'linked/4'));
    symlinkSync(join(store, 'scale'), join(folder, 'whole'));
    symlinkSync(join(store, 'gone'), join(folder, 'dangling'));
    assert.deepEqual(versionsOf(await compile(t, folder)), [
      ['linked', 'linked', '4', true],
      ['whole', 'whole', '1', true],
    ]);
  });
});

describe('resolveTarget', () => {
  test('takes a folder that has a service for a service, whatever models it has', (t) => {
    const folder = writeRepository(t, { 'a/1/model.onnx': scaleModel(1) });
    assert.deepEqual(resolveTarget('shelf', join(folder, '..'), undefined), { kind: 'repository', path: folder });
    writeFileSync(join(folder, 'jubako.yaml'), 'grpc: true\n');
    assert.equal(resolveTarget(folder, '/', undefined).kind, 'repository', 'settings alone are no service');
    writeFileSync(join(folder, 'other.ts'), '');
    assert.equal(resolveTarget(folder, '/', 'other.ts').kind, 'module');
    writeFileSync(join(folder, 'service.js'), '');
    assert.equal(resolveTarget(folder, '/', undefined).kind, 'module');
  });

  test('takes a model that jubako.yaml names as the service', (t) => {
    const folder = writeRepository(t, { 'net.onnx': scaleModel(1) });
    const path = join(folder, 'net.onnx');
    assert.deepEqual(resolveTarget(folder, '/', 'net.onnx'), { kind: 'model', path });
  });

  test('names models among what it looked for in a folder', (t) => {
    const folder = writeRepository(t, { 'photos/2023/a.jpg': '', 'k8s/config.yaml': '', 'app/config.json': '{}' });
    assert.throws(() => resolveTarget(folder, '/', undefined), {
      code: 'SERVICE_INVALID',
      message: /neither a jubako\.yaml .* nor a service\.ts .* no models as <name>\/<version>\/model\.onnx$/,
    });
  });
});
