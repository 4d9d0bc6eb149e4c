import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { Readiness } from '#dist/service/protocol-server.js';
import { get } from '../support/http-client.js';
import { otherOptions } from '../support/protocol-options.js';
import type { Message } from './grpc-harness.js';
import { startInference } from './inference-harness.js';

describe('extensions of Triton that are not served', () => {
  test('tell that there is nothing, or are refused', async (t) => {
    const { http, grpc } = await startInference(t);
    const client = grpc.connect();
    for (const kind of ['System', 'Cuda']) {
      assert.deepEqual((await client.call(`${kind}SharedMemoryStatus`)).response, { regions: {} });
      const answer = await get(http.url(`/v2/${kind.toLowerCase()}sharedmemory/status`));
      assert.deepEqual([answer.status, answer.json], [200, []]);
      for (const action of ['Register', 'Unregister'])
        await assert.rejects(client.call(`${kind}SharedMemory${action}`, { name: 'x' }), {
          code: status.UNIMPLEMENTED,
          details: /Cannot use shared memory: this server has no such extension$/,
        });
    }
    for (const rpc of ['TraceSetting', 'LogSettings'])
      await assert.rejects(client.call(rpc), { code: status.UNIMPLEMENTED });
  });
});

test('ModelConfig says how a model is batched, and whether it streams', async (t) => {
  const { http, grpc } = await startInference(t);
  const client = grpc.connect();
  const tensor = { name: 'input', data_type: 'TYPE_FP32', dims: [-1] };
  const config = {
    name: 'echo.float32',
    platform: 'jubako',
    backend: 'jubako',
    max_batch_size: 8,
    input: [tensor],
    output: [{ ...tensor, name: 'output' }],
    dynamic_batching: {},
    model_transaction_policy: { decoupled: false },
  };
  assert.deepEqual((await get(http.url('/v2/models/echo.float32/config'))).json, config);
  const { response } = await client.call('ModelConfig', { name: 'echo.float32' });
  const given = response['config'] as Message;
  assert.equal(given['max_batch_size'], 8);
  assert.deepEqual(given['input'], [{ ...tensor, dims: ['-1'] }]);
  assert.deepEqual([given['dynamic_batching'], given['scheduling_choice']], [{}, 'dynamic_batching']);
  const tokens = (await get(http.url('/v2/models/tokens/config'))).json as typeof config;
  assert.deepEqual(tokens.model_transaction_policy, { decoupled: true });
  assert.deepEqual(
    [tokens.max_batch_size, tokens.input],
    [0, [{ name: 'input', data_type: 'TYPE_STRING', dims: [-1] }]],
  );
});

test('health tells what is not ready, over HTTP', async (t) => {
  const gone = { ready: false, reason: 'runner "words" is not connected' } as const;
  const readinessOf = (runner: string): Promise<Readiness> =>
    Promise.resolve(runner === 'words' ? gone : { ready: true });
  const { http } = await startInference(t, {
    others: { models: { ...otherOptions().models, readinessOf }, readiness: () => Promise.resolve(gone) },
  });
  const ask = async (path: string): Promise<readonly unknown[]> => {
    const { status: given, json } = await get(http.url(path));
    return [given, json];
  };
  assert.deepEqual(await ask('/v2/health/live'), [200, { live: true }]);
  assert.deepEqual(await ask('/v2/health/ready'), [503, { error: 'Not ready: runner "words" is not connected' }]);
  assert.deepEqual(await ask('/v2/models/words/ready'), [503, { error: 'Not ready: runner "words" is not connected' }]);
  assert.deepEqual(await ask('/v2/models/net/versions/1/ready'), [200, { name: 'net', ready: true }]);
  assert.equal((await get(http.url('/v2/models/nope/ready'))).status, 404);
});
