import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import type { ModelControl } from '#dist/service/model-control.js';
import { tensorOf } from '#dist/tensor/index.js';
import { get, send } from '../support/http-client.js';
import type { Message } from './grpc-harness.js';
import { binaryRequest, postInfer } from './inference-calls.js';
import { ECHO, startInference, type InferenceServers } from './inference-harness.js';

function control(): ModelControl & { readonly unloaded: Set<string>; readonly log: string[] } {
  const unloaded = new Set<string>();
  const log: string[] = [];
  return {
    unloaded,
    log,
    readinessOf: (runner) =>
      Promise.resolve(
        unloaded.has(runner)
          ? { ready: false, reason: 'unloaded' }
          : runner === 'words'
            ? { ready: false, reason: 'runner "words" is not connected' }
            : { ready: true },
      ),
    isUnloaded: (runner) => unloaded.has(runner),
    load: (runners) => {
      log.push(`load ${runners.join(' ')}`);
      for (const runner of runners) unloaded.delete(runner);
      return Promise.resolve();
    },
    unload: (runners) => {
      log.push(`unload ${runners.join(' ')}`);
      for (const runner of runners) unloaded.add(runner);
      return Promise.resolve();
    },
  };
}

const ROW = tensorOf('float32', [1, 2], [1, 2]);

describe('repository', () => {
  test('the index lists every version with its state, over both protocols', async (t) => {
    const models = control();
    models.unloaded.add('embed');
    const { http, grpc } = await startInference(t, { others: { models } });
    const rows = (await get(http.url('/v2/repository/index'))).json as readonly Message[];
    const row = (name: string, version: string): Message | undefined =>
      rows.find((one) => one['name'] === name && one['version'] === version);
    assert.deepEqual(row('net', '3'), { name: 'net', version: '3', state: 'READY', reason: '' });
    assert.deepEqual(row('net', '2'), {
      name: 'net',
      version: '2',
      state: 'UNAVAILABLE',
      reason: 'the file is broken',
    });
    assert.equal(row('words', '7')?.['reason'], 'runner "words" is not connected');
    assert.equal(row('embed', '7')?.['reason'], 'unloaded');
    assert.equal(new Set(rows.map((one) => `${String(one['name'])}:${String(one['version'])}`)).size, rows.length);

    const posted = await send(http.url('/v2/repository/index'), '');
    assert.deepEqual(posted.json, rows);
    const ready = await send(http.url('/v2/repository/index'), '{"ready":true}');
    assert.deepEqual(
      ready.json,
      rows.filter((one) => one['state'] === 'READY'),
    );
    const client = grpc.connect();
    assert.deepEqual((await client.call('RepositoryIndex')).response['models'], rows);
    assert.deepEqual((await client.call('RepositoryIndex', { ready: true })).response['models'], ready.json);
    await assert.rejects(client.call('RepositoryIndex', { repository_name: 'x' }), { code: status.INVALID_ARGUMENT });
    assert.equal((await send(http.url('/v2/repository/index'), '{"ready":1}')).status, 400);
  });

  test('a model is loaded and unloaded with all its versions, and is NOT_FOUND meanwhile', async (t) => {
    const models = control();
    const { http, grpc } = await startInference(t, { others: { models } });
    const client = grpc.connect();
    const infer = async (): Promise<number> => {
      const { body, headers } = binaryRequest({ pixels: ROW });
      return (await postInfer({ url: http.url('/v2/models/net/infer'), body, headers })).status;
    };
    const isReady = async (): Promise<readonly unknown[]> => [
      (await get(http.url('/v2/models/net/ready'))).status,
      (await client.call('ModelReady', { name: 'net' })).response['ready'],
    ];
    assert.deepEqual([await infer(), ...(await isReady())], [200, 200, true]);
    const unloaded = await send(
      http.url('/v2/repository/models/net/unload'),
      '{"parameters":{"unload_dependents":false}}',
    );
    assert.deepEqual([unloaded.status, unloaded.json], [200, { name: 'net', unload: true }]);
    assert.deepEqual([await infer(), ...(await isReady())], [404, 503, false]);
    assert.equal((await get(http.url('/v2/models/net'))).status, 404);
    assert.equal((await get(http.url('/v2/models/net/versions/1/config'))).status, 404);

    await client.call('RepositoryModelLoad', { model_name: 'net' });
    assert.deepEqual([await infer(), ...(await isReady())], [200, 200, true]);
    await client.call('RepositoryModelUnload', { model_name: 'pair' });
    await send(http.url('/v2/repository/models/pair/load'), '');
    assert.deepEqual(models.log, ['unload net net.v1', 'load net net.v1', 'unload pair', 'load pair']);
  });

  test('what cannot be done is refused, over both protocols', async (t) => {
    const forbidden = (): Promise<never> =>
      Promise.reject(new JubakoError('FORBIDDEN', 'Cannot load: modelControl is off'));
    const models = { ...control(), load: forbidden };
    const { http, grpc } = await startInference(t, { others: { models } });
    const client = grpc.connect();
    const refused = async (action: 'load' | 'unload', name: string, parameters: Message): Promise<unknown> => {
      const body = JSON.stringify({ parameters: Object.fromEntries(Object.entries(parameters).map(plain)) });
      const answer = await send(http.url(`/v2/repository/models/${name}/${action}`), body);
      const rpc = action === 'load' ? 'RepositoryModelLoad' : 'RepositoryModelUnload';
      await assert.rejects(client.call(rpc, { model_name: name, parameters }), (thrown) => {
        const { metadata } = thrown as { metadata: { get(name: string): unknown } };
        assert.deepEqual(metadata.get('x-error-code'), [answer.headers['x-error-code']]);
        return true;
      });
      return answer.headers['x-error-code'];
    };
    assert.equal(await refused('load', 'net', {}), 'FORBIDDEN');
    assert.equal(await refused('load', 'nope', {}), 'NOT_FOUND');
    assert.equal(await refused('unload', 'nope', {}), 'NOT_FOUND');
    assert.equal(await refused('unload', 'pair.other', {}), 'INVALID_INPUT');
    assert.equal(await refused('load', 'net', { config: { string_param: '{}' } }), 'INVALID_INPUT');
    assert.equal(await refused('load', 'net', { 'file:1/model.onnx': { string_param: 'AAAA' } }), 'INVALID_INPUT');
    assert.equal(await refused('unload', 'net', { unload_dependents: { bool_param: true } }), 'INVALID_INPUT');
    assert.equal((await send(http.url('/v2/repository/models/net/load'), '[]')).status, 400);
    assert.equal((await send(http.url('/v2/repository/models/net/load'), ' '.repeat(70_000))).status, 413);
  });
});

function plain([name, value]: readonly [string, unknown]): readonly [string, unknown] {
  return [name, Object.values(value as object)[0]];
}

describe('statistics', () => {
  test('add up what both protocols did, by model and version', async (t) => {
    const { http, grpc } = await startInference(t, {
      invoker: {
        callRunner: (call) => (call.input === 'bad' ? Promise.reject(new JubakoError('USER_CODE', 'x')) : ECHO(call)),
      },
    });
    const client = grpc.connect();
    const before = Date.now();
    const url = http.url('/v2/models/echo.float32/infer');
    const two = tensorOf('float32', [2, 2], [1, 2, 3, 4]);
    await postInfer({ url, ...binaryRequest({ input: two }) });
    await postInfer({ url, ...binaryRequest({ input: two }) });
    const input = { name: 'input', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } };
    await client.infer({ model_name: 'echo.float32', model_version: '7', inputs: [input] });
    await postInfer({ url, ...binaryRequest({ input: two }, {}, { datatype: 'INT8' }) });

    const [http32] = await statisticsOverHttp({ http, grpc }, '/v2/models/echo.float32/stats');
    assert.deepEqual([http32?.['name'], http32?.['version']], ['echo.float32', '7']);
    assert.equal(http32?.['inference_count'], 5);
    assert.equal(http32['execution_count'], 3); // 2 of 2 rows, 2 of 2 rows, 1 of 2 rows: two and a half
    const durations = http32['inference_stats'] as Readonly<Record<string, { count: number; ns: number }>>;
    assert.deepEqual(
      Object.entries(durations).map(([name, { count }]) => [name, count]),
      [
        ['success', 3],
        ['fail', 1],
        ['queue', 3],
        ['compute_input', 3],
        ['compute_infer', 3],
        ['compute_output', 3],
      ],
    );
    assert.deepEqual([durations['queue']?.ns, durations['compute_infer']?.ns], [6_000_000, 9_000_000]);
    assert.ok(Number(durations['success']?.ns) > 0 && Number(durations['fail']?.ns) > 0);
    assert.ok(Number(http32['last_inference']) >= before && Number(http32['last_inference']) <= Date.now());

    const { response } = await client.call('ModelStatistics', { name: 'echo.float32' });
    const [grpc32] = response['model_stats'] as readonly Message[];
    assert.deepEqual([grpc32?.['inference_count'], grpc32?.['execution_count']], ['5', '3']);
    assert.deepEqual((grpc32?.['inference_stats'] as Message)['queue'], { count: '3', ns: '6000000' });
  });

  test('of all models, of all versions of one, of one version', async (t) => {
    const servers = await startInference(t);
    const { body, headers } = binaryRequest({ pixels: ROW });
    await postInfer({ url: servers.http.url('/v2/models/net/versions/1/infer'), body, headers });
    const counts = async (path: string): Promise<unknown> =>
      (await statisticsOverHttp(servers, path)).map((one) => [one['name'], one['version'], one['inference_count']]);
    assert.deepEqual(await counts('/v2/models/net/stats'), [
      ['net', '3', 0],
      ['net', '1', 1],
    ]);
    assert.deepEqual(await counts('/v2/models/net/versions/1/stats'), [['net', '1', 1]]);
    const all = (await counts('/v2/models/stats')) as unknown[];
    const { response } = await servers.grpc.connect().call('ModelStatistics');
    assert.equal((response['model_stats'] as unknown[]).length, all.length);
    assert.equal((await get(servers.http.url('/v2/models/nope/stats'))).status, 404);
    assert.equal((await get(servers.http.url('/v2/models/net/versions/9/stats'))).status, 404);
  });

  test('count a document of a JSON model as one, and the request of a model that streams as one', async (t) => {
    const servers = await startInference(t);
    const client = servers.grpc.connect();
    const contents = { bytes_contents: [Buffer.from('1'), Buffer.from('2'), Buffer.from('3')] };
    const input = { name: 'input', datatype: 'BYTES', shape: [3], contents };
    await client.infer({ model_name: 'words', inputs: [input] });
    const [words] = await statisticsOverHttp(servers, '/v2/models/words/stats');
    assert.deepEqual([words?.['inference_count'], words?.['execution_count']], [3, 3]);
  });
});

async function statisticsOverHttp({ http }: InferenceServers, path: string): Promise<readonly Message[]> {
  const answer = await get(http.url(path));
  assert.equal(answer.status, 200, answer.text);
  return (answer.json as { readonly model_stats: readonly Message[] }).model_stats;
}
