import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectGrpc, type Message } from '../support/grpc-client.js';
import { get, post, send } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, until } from '../support/start-primary.js';

const SERVICE = fixture('open-inference/service.ts');

function floats(rows: number): object {
  const data = Array.from({ length: rows * 2 }, (_, i) => i);
  return { inputs: [{ name: 'input', datatype: 'FP32', shape: [rows, 2], data }] };
}

interface Statistics {
  readonly inference_count: number;
  readonly execution_count: number;
  readonly last_inference: number;
  readonly inference_stats: Readonly<Record<string, { readonly count: number; readonly ns: number }>>;
}

test('statistics are those of all workers of both protocols, whichever is asked', LIMIT, async (t) => {
  const primary = startPrimary(t, ['serve', SERVICE, '--grpc', '--api-workers', '2']);
  const { http, grpc } = await primary.ready();
  const infer = `${http}/v2/models/echo.float32/infer`;
  const before = Date.now();
  // Each on a connection of its own: both workers get some.
  for (let i = 0; i < 10; i += 1) assert.equal((await post(infer, floats(3))).status, 200);
  const client = connectGrpc(t, grpc);
  for (let i = 0; i < 5; i += 1) await client.inferRow('echo.float32', [1, 2]);
  assert.equal((await post(infer, { inputs: [{ ...floats(1), name: 'input', datatype: 'INT8' }] })).status, 400);

  const read = async (): Promise<Statistics> => {
    const answer = await get(`${http}/v2/models/echo.float32/stats`);
    return (answer.json as { readonly model_stats: readonly [Statistics] }).model_stats[0];
  };
  await until(async () => (await read()).inference_count >= 35); // a worker without a moment to spare is not waited for
  for (let i = 0; i < 4; i += 1) {
    const { inference_count: rows, execution_count: runs, last_inference: last, inference_stats: stats } = await read();
    assert.deepEqual([rows, runs, stats['success']?.count], [35, 15, 15]);
    assert.ok(last >= before && last <= Date.now(), String(last));
    assert.ok(Number(stats['success']?.ns) > Number(stats['compute_infer']?.ns));
  }
  const { model_stats: overGrpc } = await client.call('ModelStatistics', { name: 'echo.float32' });
  const [one] = overGrpc as readonly [Message];
  assert.deepEqual([one['inference_count'], one['execution_count']], [35, 15]);
  assert.equal(await primary.stop(), 0);
});

test('a model is unloaded and loaded again for all workers', LIMIT, async (t) => {
  const primary = startPrimary(t, ['serve', SERVICE, '--grpc', '--api-workers', '2', '--model-control']);
  const { http, grpc } = await primary.ready();
  const client = connectGrpc(t, grpc);
  const statuses = async (): Promise<readonly number[]> => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => post(`${http}/v2/models/echo.float32/infer`, floats(1))),
    );
    return [...new Set(answers.map(({ status }) => status))];
  };
  assert.deepEqual(await statuses(), [200]);
  await client.call('RepositoryModelUnload', { model_name: 'echo' });
  assert.deepEqual(await statuses(), [404]);
  assert.equal((await get(`${http}/v2/health/ready`)).status, 200);
  assert.equal((await send(`${http}/v2/repository/models/echo/load`, '')).status, 200);
  assert.deepEqual(await statuses(), [200]);
  assert.equal(await primary.stop(), 0);
});
