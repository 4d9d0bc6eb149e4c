import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { DIGITS, IMAGES, checkProbabilities, classifyByHttp } from '../support/digits.js';
import { connectGrpc, type GrpcClient, type Message } from '../support/grpc-client.js';
import { errorOf, post } from '../support/http-client.js';
import { writeRepository } from '../support/model-repository.js';
import { addModel, identityModel, onnxFile, scaleModel } from '../support/onnx-models.js';
import { LIMIT, fixture, repositoryFile, startNode, startPrimary, tempFolder } from '../support/start-primary.js';

const EX_CONFIG = 78;
const MODEL = join(DIGITS, 'digits.onnx');

/** One row of FP32 to a version of a model; gives the response. */
function infer(
  client: GrpcClient,
  model: string,
  version: string,
  name: string,
  row: readonly number[],
): Promise<Message> {
  const input = { name, datatype: 'FP32', shape: [1, row.length], contents: { fp32_contents: row } };
  return client.call('ModelInfer', { model_name: model, model_version: version, inputs: [input] });
}

function firstOutput(response: Message): { readonly name: string; readonly numbers: readonly number[] } {
  const [output] = response['outputs'] as readonly [
    { readonly name: string; readonly contents: { readonly fp32_contents: readonly number[] } },
  ];
  return { name: output.name, numbers: output.contents.fp32_contents };
}

describe('serve a model file', { concurrency: 2 }, () => {
  test('answers JSON, binary bodies and the Open Inference Protocol by what the file says', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', MODEL, '--grpc']);
    const { http, grpc } = await primary.ready();

    const answers = await Promise.all(IMAGES.map(({ pixels }) => post(`${http}/digits`, [pixels])));
    for (const [index, answer] of answers.entries()) {
      assert.equal(answer.status, 200, answer.text);
      checkProbabilities(index, (answer.json as readonly (readonly number[])[])[0] ?? []);
    }

    const binary = await fetch(`${http}/digits`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', accept: 'application/octet-stream' },
      body: Float32Array.from(IMAGES.flatMap(({ pixels }) => pixels)),
    });
    assert.equal(binary.status, 200);
    const rows = new Float32Array(await binary.arrayBuffer());
    for (const index of IMAGES.keys()) checkProbabilities(index, [...rows.subarray(index * 10, index * 10 + 10)]);

    const client = connectGrpc(t, grpc);
    const all = await Promise.all(IMAGES.map(({ pixels }) => infer(client, 'digits', '1', 'pixels', pixels)));
    for (const [index, response] of all.entries()) {
      assert.equal(firstOutput(response).name, 'probabilities');
      checkProbabilities(index, firstOutput(response).numbers);
    }
    const metadata = await client.call('ModelMetadata', { name: 'digits' });
    assert.deepEqual(metadata['inputs'], [{ name: 'pixels', datatype: 'FP32', shape: [-1, 64] }]);
    assert.deepEqual(metadata['outputs'], [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }]);
    assert.equal(await primary.stop(), 0);
  });

  test(
    'answers INVALID_INPUT for what does not fit the file, and for sizes that onnxruntime refuses',
    LIMIT,
    async (t) => {
      const folder = writeRepository(t, { 'add.onnx': addModel(['n', null], ['n', null], ['n', null]) });
      const primary = startPrimary(t, ['serve', join(folder, 'add.onnx')]);
      const { http } = await primary.ready();
      const wrongRank = await post(`${http}/add`, { a: [1], b: [[1]] });
      assert.deepEqual([wrongRank.status, errorOf(wrongRank).code], [400, 'INVALID_INPUT']);
      const apart = await post(`${http}/add`, { a: [[1, 2, 3]], b: [[1, 2]] });
      assert.deepEqual([apart.status, errorOf(apart).code], [400, 'INVALID_INPUT'], apart.text);
      assert.match(errorOf(apart).message, /^Cannot run the model on this input: Add: Attempting to broadcast/);
      assert.deepEqual((await post(`${http}/add`, { a: [[1, 2]], b: [[3, 4]] })).json, [[4, 6]]);
      assert.doesNotMatch(primary.stderr, /onnxruntime/, 'onnxruntime does not write into the log by itself');
    },
  );

  test('is served by tiers apart', LIMIT, async (t) => {
    const runner = startPrimary(t, ['start-runner-server', MODEL, '--runner-name', 'digits']);
    const address = (await runner.ready()).runner;
    const primary = startPrimary(t, ['start-http-server', MODEL, '--remote-runner', `digits=${address}`]);
    const { http } = await primary.ready();
    const answer = await post(`${http}/digits`, [IMAGES[0]?.pixels]);
    checkProbabilities(0, (answer.json as readonly (readonly number[])[])[0] ?? []);
  });

  test('serves a model without a batch axis call by call', LIMIT, async (t) => {
    const folder = writeRepository(t, { 'fixed.onnx': identityModel('float32', [1, 2]) });
    const primary = startPrimary(t, ['serve', join(folder, 'fixed.onnx')]);
    const { http } = await primary.ready();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => post(`${http}/fixed`, [[i, -i]])));
    assert.deepEqual(
      answers.map(({ json }) => json),
      Array.from({ length: 20 }, (_, i) => [[i, i === 0 ? 0 : -i]]),
    );
    assert.equal(
      (
        await post(`${http}/fixed`, [
          [1, 2],
          [3, 4],
        ])
      ).status,
      400,
    );
  });

  test('ends with EX_CONFIG and names the file where it is no model', LIMIT, async (t) => {
    const folder = writeRepository(t, { 'bad.onnx': 'no model' });
    const primary = startPrimary(t, ['serve', join(folder, 'bad.onnx')]);
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(primary.stderr, /^SERVICE_INVALID: Cannot read the model .*bad\.onnx: it is damaged or no ONNX file/);
    await primary.vanished();
  });

  test('says how to install onnxruntime-node where it is missing', LIMIT, async (t) => {
    // The package as it is installed, without its optional peer.
    const installed = tempFolder(t);
    cpSync(repositoryFile('dist'), join(installed, 'dist'), { recursive: true });
    cpSync(repositoryFile('config'), join(installed, 'config'), { recursive: true });
    cpSync(repositoryFile('package.json'), join(installed, 'package.json'));
    mkdirSync(join(installed, 'node_modules'));
    for (const name of readdirSync(repositoryFile('node_modules'))) {
      if (name === 'onnxruntime-node' || name.startsWith('.')) continue;
      symlinkSync(repositoryFile(`node_modules/${name}`), join(installed, 'node_modules', name));
    }
    const primary = startNode(t, [join(installed, 'dist/primary.js'), 'serve', MODEL], { cwd: installed });
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(
      primary.stderr,
      /^SERVICE_INVALID: .*onnxruntime-node is not installed.*`npm install onnxruntime-node`/,
    );
    assert.match(primary.stderr, /onnxruntime-node-install=skip/);

    // It is also found in the working folder.
    const working = tempFolder(t);
    mkdirSync(join(working, 'node_modules'));
    for (const name of ['onnxruntime-node', 'onnxruntime-common'])
      symlinkSync(repositoryFile(`node_modules/${name}`), join(working, 'node_modules', name));
    const found = startNode(t, [join(installed, 'dist/primary.js'), 'serve', MODEL], { cwd: working });
    const { http } = await found.ready();
    assert.equal((await post(`${http}/digits`, [IMAGES[0]?.pixels])).status, 200);
  });

  test('onnxRunner serves the same file inside a service', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('onnx')]);
    const { http } = await primary.ready();
    await classifyByHttp(http);
  });
});

describe('serve a repository of models', { concurrency: 2 }, () => {
  const ROW = [1, 2];

  test('serves every model and version by its own name, and names those that it cannot serve', LIMIT, async (t) => {
    const folder = writeRepository(t, {
      'scale/1/model.onnx': scaleModel(1),
      'scale/2/model.onnx': scaleModel(2),
      'scale/3/model.onnx': scaleModel(3),
      'scale/config.yaml': 'versionPolicy: { specific: [1, 3] }\nbatching: { maxSize: 4, maxLatencyMs: 50 }\n',
      'digits/7/model.onnx': readFileSync(MODEL),
      'damaged/1/model.onnx': 'not a model',
      'typo/1/model.onnx': scaleModel(1),
      'typo/config.yaml': 'instnces: 2\n',
      'unloadable/1/model.onnx': onnxFile({
        inputs: [{ name: 'x', shape: ['n'] }],
        outputs: [{ name: 'y', shape: ['n'] }],
        nodes: [{ op: 'NoSuchThing', inputs: ['x'], outputs: ['y'] }],
      }),
    });
    const primary = startPrimary(t, ['serve', folder, '--grpc']);
    const { http, grpc } = await primary.ready();

    const said = primary.logs.map(({ msg }) => String(msg)).join('\n');
    assert.match(said, /model "damaged" version 1: Cannot read the model/);
    assert.match(said, /model "typo": .*unknown key "instnces"; did you mean "instances"\?/);
    assert.match(said, /"unloadable" is not served: Cannot load the model .*NoSuchThing/);

    for (const [route, factor] of [
      ['scale', 3],
      ['scale/versions/3', 3],
      ['scale/versions/1', 1],
    ] as const) {
      const answer = await post(`${http}/${route}`, [ROW]);
      assert.deepEqual(answer.json, [ROW.map((value) => value * factor)], `${route}: ${answer.text}`);
    }
    assert.equal((await post(`${http}/scale/versions/2`, [ROW])).status, 404);
    assert.equal((await post(`${http}/damaged`, [ROW])).status, 404);

    const client = connectGrpc(t, grpc);
    for (const [version, factor] of [
      ['', 3],
      ['3', 3],
      ['1', 1],
    ] as const) {
      const response = await infer(client, 'scale', version, 'x', ROW);
      assert.deepEqual(
        firstOutput(response).numbers,
        ROW.map((value) => value * factor),
      );
      assert.equal(response['model_version'], version === '' ? '3' : version);
    }
    assert.deepEqual((await client.call('ModelMetadata', { name: 'scale' }))['versions'], ['3', '1']);
    await assert.rejects(infer(client, 'scale', '2', 'x', ROW), {
      code: status.NOT_FOUND,
      details: /version "2" of the model "scale": the versions are "3", "1"$/,
    });
    const [image] = IMAGES;
    assert.ok(image !== undefined);
    checkProbabilities(0, firstOutput(await infer(client, 'digits', '7', 'pixels', image.pixels)).numbers);
    assert.equal(await primary.stop(), 0);
    await primary.vanished();
  });

  test('uses the settings of a jubako.yaml in the folder', LIMIT, async (t) => {
    const folder = writeRepository(t, { 'scale/1/model.onnx': scaleModel(2), 'jubako.yaml': 'grpc: true\n' });
    const primary = startPrimary(t, ['serve', '.'], { cwd: folder });
    const { grpc } = await primary.ready();
    assert.deepEqual(firstOutput(await infer(connectGrpc(t, grpc), 'scale', '1', 'x', ROW)).numbers, [2, 4]);
  });

  test('ends with EX_CONFIG for one bad model with --strict-models, or where none is left', LIMIT, async (t) => {
    const folder = writeRepository(t, { 'scale/1/model.onnx': scaleModel(1), 'bad/1/model.onnx': 'no model' });
    const strict = startPrimary(t, ['serve', folder, '--strict-models']);
    assert.equal((await strict.refused()).code, EX_CONFIG);
    assert.match(strict.stderr, /^SERVICE_INVALID: Cannot serve all models of .*: model "bad" version 1: Cannot read/);

    writeFileSync(join(folder, 'scale/1/model.onnx'), 'no model either');
    const none = startPrimary(t, ['serve', folder]);
    assert.equal((await none.refused()).code, EX_CONFIG);
    assert.match(none.stderr, /Cannot serve any model of .*model "bad" version 1: .*; model "scale" version 1: /);
  });

  test('check says what would be served, batched or not, and what would be left out', LIMIT, async (t) => {
    const folder = writeRepository(t, {
      'batched/1/model.onnx': identityModel('float32', ['batch', 2]),
      'single/1/model.onnx': identityModel('float32', [1, 2]),
      'bad/1/model.onnx': 'no model',
    });
    const primary = startPrimary(t, ['check', folder]);
    assert.equal((await primary.exited).code, 0, primary.stderr);
    assert.match(primary.stdout, /batched: POST \/batched, float32\[\?, 2\] → float32\[\?, 2\]/);
    assert.match(primary.stdout, /predict: float32\[\?, 2\] → float32\[\?, 2\], batches of up to 64 rows/);
    assert.match(primary.stdout, /predict: float32\[1, 2\] → float32\[1, 2\], not batched/);
    assert.match(primary.stderr, /model "bad" version 1: Cannot read the model/);
  });

  test('serves the example', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', repositoryFile('examples/models')]);
    const { http } = await primary.ready();
    const answer = await post(`${http}/digits`, [IMAGES[0]?.pixels]);
    checkProbabilities(0, (answer.json as readonly (readonly number[])[])[0] ?? []);
  });
});
