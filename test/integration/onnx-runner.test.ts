import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { RunContext, RunnerDefinition } from '#dist/service/define.js';
import { onnxRunner, type OnnxRunnerOptions, type OnnxValue } from '#dist/onnx/onnx-runner.js';
import { Tensor, allocateData, tensorOf, type DtypeData, type NumericDtype } from '#dist/tensor/index.js';
import { addModel, identityModel, matMulModel, onnxFile, type OnnxDimension } from '../support/onnx-models.js';
import { tempFolder, type Cleanup } from '../support/start-primary.js';

// Models in the real onnxruntime-node, in this process.

const PLACE = { worker: 0, thread: 0, cpus: 1, device: undefined };
const CONTEXT: RunContext = { signal: new AbortController().signal, requestIds: [], runners: {} };

function runnerOf(t: Cleanup, model: Uint8Array, options: OnnxRunnerOptions = {}): RunnerDefinition {
  const file = join(tempFolder(t), 'sample.onnx');
  writeFileSync(file, model);
  return onnxRunner(file, options);
}

/** Loads and warms up the model as a compute thread does; gives a function that checks and runs one input. */
async function load(runner: RunnerDefinition): Promise<(input: unknown) => Promise<unknown>> {
  const model = await runner.load(PLACE);
  await runner.warmup?.(model);
  const predict = runner.methods['predict'];
  assert.ok(predict !== undefined);
  return async (input) => predict.output.check(await predict.run(model, predict.input.check(input), CONTEXT));
}

const NUMBERS: Readonly<{ [D in NumericDtype]?: DtypeData[D] }> = {
  bool: Uint8Array.of(0, 1),
  uint8: Uint8Array.of(0, 255),
  uint16: Uint16Array.of(0, 65_535),
  uint32: Uint32Array.of(0, 4_294_967_295),
  uint64: BigUint64Array.of(0n, 2n ** 64n - 1n),
  int8: Int8Array.of(-128, 127),
  int16: Int16Array.of(-32_768, 32_767),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
  float16: Uint16Array.of(0x3c00, 0xc000),
  float32: Float32Array.of(-1.5, 3e38),
  float64: Float64Array.of(-1.5, 1e308),
};

describe('onnxRunner', () => {
  for (const [name, data] of Object.entries(NUMBERS)) {
    const dtype = name as NumericDtype;
    test(`carries ${dtype} through a model bit for bit`, async (t) => {
      const run = await load(runnerOf(t, identityModel(dtype, ['batch', 2])));
      const input = new Tensor(dtype, [1, 2], data);
      assert.deepEqual(await run(input), input);
    });
  }

  test('carries texts through a model', async (t) => {
    const run = await load(runnerOf(t, identityModel('string', ['batch', 2])));
    const input = new Tensor('string', [2, 2], ['a', '', 'für', '重箱']);
    assert.deepEqual(await run(input), input);
  });

  test('carries scalars and empty tensors where a model has them', async (t) => {
    const scalar = await load(runnerOf(t, identityModel('float32', [])));
    assert.deepEqual(await scalar(tensorOf('float32', [], [3])), tensorOf('float32', [], [3]));
    const empty = await load(runnerOf(t, identityModel('float32', [null, 0])));
    assert.deepEqual(await empty(tensorOf('float32', [3, 0], [])), tensorOf('float32', [3, 0], []));
  });

  test('runs rows together as it runs them alone', async (t) => {
    const run = await load(runnerOf(t, matMulModel(3, 2, [1, 2, 3, 4, 5, 6])));
    const rows = tensorOf('float32', [2, 3], [1, 0, 0, 1, 1, 1]);
    assert.deepEqual(await run(rows), tensorOf('float32', [2, 2], [1, 2, 9, 12]));
  });

  test('gives and takes tensors by name where a model has several', async (t) => {
    const model = onnxFile({
      inputs: [
        { name: 'a', shape: ['n', 2] },
        { name: 'b', shape: ['n', 2] },
      ],
      outputs: [
        { name: 'sum', shape: ['n', 2] },
        { name: 'product', shape: ['n', 2] },
      ],
      nodes: [
        { op: 'Add', inputs: ['a', 'b'], outputs: ['sum'] },
        { op: 'Mul', inputs: ['a', 'b'], outputs: ['product'] },
      ],
    });
    const run = await load(runnerOf(t, model));
    const row = (...values: number[]): Tensor => tensorOf('float32', [1, 2], values);
    assert.deepEqual(await run({ a: row(1, 2), b: row(3, 5) }), { sum: row(4, 7), product: row(3, 10) });
    await assert.rejects(run({ a: row(1, 2), b: tensorOf('float32', [2, 2], [1, 2, 3, 4]) }), {
      code: 'INVALID_INPUT',
      message: /"b" has 2 rows, "a" has 1/,
    });
  });

  test('leaves rows alone where a model has no batch axis', async (t) => {
    const runner = runnerOf(t, addModel([1, 2], [3, 2], [3, 2]));
    assert.equal(runner.methods['predict']?.batch, undefined);
    const run = await load(runner);
    const sum = await run({
      a: tensorOf('float32', [1, 2], [1, 2]),
      b: tensorOf('float32', [3, 2], [1, 1, 2, 2, 3, 3]),
    });
    assert.deepEqual(sum, tensorOf('float32', [3, 2], [2, 3, 3, 4, 4, 5]));
  });

  test('reads name, shapes and batching from the file, and options win', (t) => {
    const model = identityModel('float32', ['batch', 2], { input: 'pixels', output: 'classes' });
    const plain = runnerOf(t, model);
    assert.equal(plain.name, 'sample');
    const predict = plain.methods['predict'];
    assert.deepEqual(predict?.batch, {});
    assert.equal(predict.idempotent, true);
    const spec = { kind: 'tensor', dtype: 'float32', shape: [-1, 2], allowNonFinite: false };
    assert.deepEqual(predict.input.spec, { ...spec, name: 'pixels' });
    assert.deepEqual(predict.output.spec, { ...spec, name: 'classes' });

    const resources = { cpus: 2 };
    const options = { name: 'other', workers: 2, threads: 3, resources, allowNonFinite: true, warmup: false } as const;
    const given = runnerOf(t, model, { ...options, batch: { maxSize: 8 } });
    assert.deepEqual([given.name, given.workers, given.threads, given.resources], ['other', 2, 3, resources]);
    assert.equal(given.warmup, undefined);
    assert.deepEqual(given.methods['predict']?.batch, { maxSize: 8 });
    assert.deepEqual(given.methods['predict'].input.spec, { ...spec, name: 'pixels', allowNonFinite: true });
    assert.equal(runnerOf(t, model, { batch: false }).methods['predict']?.batch, undefined);
  });

  test('takes a URL, and a path relative to the working folder', (t) => {
    const file = join(tempFolder(t), 'by-url.onnx');
    writeFileSync(file, identityModel('float32', ['batch']));
    assert.equal(onnxRunner(pathToFileURL(file)).name, 'by-url');
    const typed: RunnerDefinition<'named', { readonly predict: OnnxValue }, { readonly predict: OnnxValue }> =
      onnxRunner(file, { name: 'named' });
    assert.equal(typed.name, 'named');
    assert.equal(onnxRunner('examples/digits/digits.onnx').name, 'digits');
  });

  test('batches along an unclear axis 0 only where it is told to, and along a fixed one never', (t) => {
    const unclear = identityModel('float32', ['sequence', 2]);
    assert.equal(runnerOf(t, unclear).methods['predict']?.batch, undefined);
    assert.deepEqual(runnerOf(t, unclear, { batch: {} }).methods['predict']?.batch, {});
    assert.throws(() => runnerOf(t, identityModel('float32', [1, 2]), { batch: {} }), {
      code: 'SERVICE_INVALID',
      message: /^Cannot batch the model .*sample\.onnx: axis 0 of its input "x" always has 1 rows; wanted/,
    });
  });

  test('lets NaN and infinity through only where it is told to', async (t) => {
    const model = identityModel('float32', ['batch']);
    const nan = tensorOf('float32', [2], [NaN, Infinity]);
    await assert.rejects((await load(runnerOf(t, model)))(nan), { code: 'INVALID_INPUT', message: /NaN or infinity/ });
    assert.deepEqual(await (await load(runnerOf(t, model, { allowNonFinite: true })))(nan), nan);
  });
});

describe('a session of onnxRunner', () => {
  const free = [null, null] as const;
  const a = tensorOf('float32', [1, 3], [1, 2, 3]);
  const b = tensorOf('float32', [1, 2], [1, 2]);

  test('blames the caller for sizes that do not go together, in words for a caller', async (t) => {
    const run = await load(runnerOf(t, addModel(free, free, free)));
    await assert.rejects(run({ a, b }), {
      code: 'INVALID_INPUT',
      message:
        'Cannot run the model on this input: Add: Attempting to broadcast an axis by a dimension other than 1. 2 by 3',
    });
    assert.deepEqual(await run({ a, b: a }), tensorOf('float32', [1, 3], [2, 4, 6]), 'it goes on');
  });

  test('blames the caller for an index that is in no table', async (t) => {
    const embedding = onnxFile({
      inputs: [{ name: 'ids', type: 'int64', shape: ['batch'] }],
      outputs: [{ name: 'y', shape: ['batch', 2] }],
      nodes: [{ op: 'Gather', inputs: ['W', 'ids'], outputs: ['y'], attributes: { axis: 0 } }],
      initializers: [{ name: 'W', type: 'float32', dims: [2, 2], data: new Uint8Array(16) }],
    });
    const run = await load(runnerOf(t, embedding));
    await assert.rejects(run(tensorOf('int64', [1], BigInt64Array.of(5n))), {
      code: 'INVALID_INPUT',
      message: /Gather: indices element out of data bounds, idx=5/,
    });
  });

  test('blames the model where the caller had no choice', async (t) => {
    const shape = new Uint8Array(BigInt64Array.of(1n, 2n).buffer);
    const baked = onnxFile({
      inputs: [{ name: 'x', shape: ['batch', 2] }],
      outputs: [{ name: 'y', shape: ['batch', 2] }],
      nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
      initializers: [{ name: 'shape', type: 'int64', dims: [2], data: shape }],
    });
    const run = await load(runnerOf(t, baked));
    const two = tensorOf('float32', [2, 2], [1, 2, 3, 4]);
    await assert.rejects(run(two), { code: 'USER_CODE', message: /Reshape node.*cannot be reshaped/s });
    const unbatched = await load(runnerOf(t, baked, { batch: false }));
    await assert.rejects(unbatched(two), { code: 'INVALID_INPUT', message: /Reshape: The input tensor cannot be/ });
  });

  test('refuses to load what onnxruntime cannot load, and names the file', async (t) => {
    const unknown = onnxFile({
      inputs: [{ name: 'x', shape: ['n'] }],
      outputs: [{ name: 'y', shape: ['n'] }],
      nodes: [{ op: 'NoSuchThing', inputs: ['x'], outputs: ['y'] }],
    });
    await assert.rejects(load(runnerOf(t, unknown)), {
      code: 'SERVICE_INVALID',
      message: /^Cannot load the model .*sample\.onnx: .*NoSuchThing/,
    });
  });

  test('refuses to load a file that has another model in it by now', async (t) => {
    const file = join(tempFolder(t), 'model.onnx');
    writeFileSync(file, identityModel('float32', ['n']));
    const runner = onnxRunner(file);
    await load(runner);
    writeFileSync(file, identityModel('float32', ['n'], { input: 'other' }));
    await assert.rejects(load(runner), { code: 'SERVICE_INVALID', message: /inputs or outputs are others than when/ });
  });

  test('passes sessionOptions on', async (t) => {
    const runner = runnerOf(t, identityModel('float32', ['n']), { sessionOptions: { intraOpNumThreads: -1 } });
    await assert.rejects(load(runner), { code: 'SERVICE_INVALID', message: /intraOpNumThreads/ });
  });

  test('forgives a warm-up only for sizes that were made up', async (t) => {
    // One number cannot become a [2, n]: where axes are free that is our doing, else the model is broken.
    const reshape = (x: readonly OnnxDimension[]): Uint8Array =>
      onnxFile({
        inputs: [{ name: 'x', shape: x }],
        outputs: [{ name: 'y', shape: [null, null] }],
        nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
        initializers: [
          { name: 'shape', type: 'int64', dims: [2], data: new Uint8Array(BigInt64Array.of(2n, -1n).buffer) },
        ],
      });
    const run = await load(runnerOf(t, reshape([null]), { batch: false }));
    assert.deepEqual(await run(tensorOf('float32', [4], [1, 2, 3, 4])), tensorOf('float32', [2, 2], [1, 2, 3, 4]));
    const broken = reshape([null, 1]);
    await assert.rejects(load(runnerOf(t, broken)), {
      code: 'SERVICE_INVALID',
      message: /^Cannot warm up the model .*sample\.onnx with one row of zeros: .*Reshape/,
    });
    await runnerOf(t, broken, { warmup: false }).load(PLACE);
  });

  test('keeps what it was given: neither input nor earlier output changes', async (t) => {
    const run = await load(runnerOf(t, matMulModel(1, 1, [2])));
    const data = allocateData('float32', 1);
    data[0] = 21;
    const input = new Tensor('float32', [1, 1], data);
    const first = await run(input);
    await run(tensorOf('float32', [1, 1], [5]));
    assert.deepEqual([first, data[0]], [tensorOf('float32', [1, 1], [42]), 21]);
  });
});
