import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { defineRunner, defineService, type RunnerDefinition } from '#dist/service/define.js';
import { tensor } from '#dist/service/index.js';
import type { RunnerCall } from '#dist/service/invoke.js';
import { startGrpc } from './grpc-harness.js';

function version(number: string, isDefault: boolean): RunnerDefinition {
  const runner = defineRunner({
    name: isDefault ? 'net' : `net.v${number}`,
    load: () => null,
    methods: {
      predict: {
        input: tensor('float32', [-1, 2], { name: 'pixels' }),
        output: tensor('float32', [-1, 2], { name: 'classes' }),
        run: (_model, input) => input,
      },
    },
  });
  return { ...runner, model: { name: 'net', version: number, isDefault } };
}

const service = defineService({ name: 'models', runners: [version('3', true), version('1', false)], apis: {} });
const PIXELS = { name: 'pixels', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } };

describe('models with versions over gRPC', () => {
  test('metadata lists every version, with the names of the tensors', async (t) => {
    const client = (await startGrpc(t, { service })).connect();
    const { response } = await client.call('ModelMetadata', { name: 'net' });
    assert.deepEqual(response['versions'], ['3', '1']);
    assert.deepEqual(response['inputs'], [{ name: 'pixels', datatype: 'FP32', shape: ['-1', '2'] }]);
    assert.deepEqual(response['outputs'], [{ name: 'classes', datatype: 'FP32', shape: ['-1', '2'] }]);
    assert.equal((await client.call('ModelReady', { name: 'net', version: '1' })).response['ready'], true);
  });

  test('a request reaches the version that it names, else the default one, and is told which', async (t) => {
    const calls: RunnerCall[] = [];
    const callRunner = (call: RunnerCall): Promise<unknown> => {
      calls.push(call);
      return Promise.resolve(call.input);
    };
    const client = (await startGrpc(t, { service, callRunner })).connect();
    const one = await client.infer({ model_name: 'net', model_version: '1', inputs: [PIXELS] });
    const none = await client.infer({ model_name: 'net', inputs: [PIXELS] });
    assert.deepEqual(
      calls.map(({ runner, method }) => `${runner}.${method}`),
      ['net.v1.predict', 'net.predict'],
    );
    assert.deepEqual([one.response['model_version'], none.response['model_version']], ['1', '3']);
    assert.equal((one.response['outputs'] as readonly { name: string }[])[0]?.name, 'classes');
  });

  test('an unknown version is NOT_FOUND and names those that there are', async (t) => {
    const client = (await startGrpc(t, { service })).connect();
    const wanted = { code: status.NOT_FOUND, details: /version "2" of the model "net": the versions are "3", "1"$/ };
    await assert.rejects(client.infer({ model_name: 'net', model_version: '2', inputs: [PIXELS] }), wanted);
    await assert.rejects(client.call('ModelMetadata', { name: 'net', version: '2' }), wanted);
    await assert.rejects(client.call('ModelReady', { name: 'net', version: '2' }), wanted);
  });

  test('the name that a lone tensor has elsewhere is not its name here', async (t) => {
    const client = (await startGrpc(t, { service })).connect();
    await assert.rejects(client.infer({ model_name: 'net', inputs: [{ ...PIXELS, name: 'input' }] }), {
      code: status.INVALID_ARGUMENT,
      details: /Cannot use the input "input": wanted "pixels"$/,
    });
  });

  test('the parameter priority becomes the priority of the call', async (t) => {
    const priorities: string[] = [];
    const callRunner = (call: RunnerCall): Promise<unknown> => {
      priorities.push(call.priority);
      return Promise.resolve(call.input);
    };
    const client = (await startGrpc(t, { service, callRunner })).connect();
    for (const priority of [undefined, { int64_param: 1 }, { uint64_param: 5 }]) {
      const parameters = priority === undefined ? {} : { priority };
      await client.infer({ model_name: 'net', inputs: [PIXELS], parameters });
    }
    assert.deepEqual(priorities, ['normal', 'high', 'low']);
    await assert.rejects(
      client.infer({ model_name: 'net', inputs: [PIXELS], parameters: { priority: { string_param: 'high' } } }),
      { code: status.INVALID_ARGUMENT, details: /parameter "priority"/ },
    );
  });
});
