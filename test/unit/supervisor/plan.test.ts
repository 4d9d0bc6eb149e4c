import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig, type CommandName, type SettingOptions } from '#dist/config/load-config.js';
import type { Manifest, MethodManifest, RunnerManifest } from '#dist/ipc/manifest.js';
import { makePlan, type Plan } from '#dist/supervisor/plan.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

const METHOD: MethodManifest = methodManifest({
  name: 'm',
  input: { kind: 'json', schema: {} },
  output: { kind: 'json', schema: {} },
});
const runner = (name: string, workers = 1): RunnerManifest => runnerManifest({ name, workers, methods: [METHOD] });
const MANIFEST: Manifest = { name: 'svc', version: '1', apis: [], runners: [runner('a'), runner('b', 2)] };

async function plan(command: CommandName, options: SettingOptions = {}): Promise<Plan> {
  const { config } = await loadConfig({ command, options, env: {} });
  return makePlan({ command, config, manifest: MANIFEST, cpus: 3, socketPath: (name) => `/run/${name}.sock` });
}

test('makePlan of serve gives every runner worker a socket of its own and one API worker per CPU', async () => {
  const { pools, runnerMap } = await plan('serve', { grpc: true, grpcWorkers: 1 });
  assert.deepEqual(
    pools.map(({ name, workers }) => [name, workers]),
    [
      ['runner-a', 1],
      ['runner-b', 2],
      ['http', 3],
      ['grpc', 1],
    ],
  );
  assert.deepEqual(runnerMap, { a: ['unix:///run/a.0.sock'], b: ['unix:///run/b.0.sock', 'unix:///run/b.1.sock'] });
});

test('makePlan of serve starts no runner that the runner map places elsewhere', async () => {
  const { pools, runnerMap } = await plan('serve', { runnerMap: { b: ['tcp://10.0.0.1:7001'] } });
  assert.deepEqual(
    pools.map(({ name }) => name),
    ['runner-a', 'http'],
  );
  assert.deepEqual(runnerMap['b'], ['tcp://10.0.0.1:7001']);
});

test('makePlan of serve lets runnerWorkers win over the service', async () => {
  const { pools } = await plan('serve', { runnerWorkers: 4, apiWorkers: 1 });
  assert.deepEqual(
    pools.map(({ workers }) => workers),
    [4, 4, 1],
  );
});

test('makePlan of an API tier names the runners that are required and given', async () => {
  await assert.rejects(plan('start-http-server', { runnerMap: { a: ['tcp://h:1'] } }), {
    code: 'CONFIG_INVALID',
    message: /requires runners a, b, but only a are provided/,
  });
});

test('makePlan of a runner tier lists the available runners for an unknown one', async () => {
  await assert.rejects(plan('start-runner-server', { runnerName: 'nope' }), {
    code: 'CONFIG_INVALID',
    message: /Runner "nope" not found in the service "svc", available runners: a, b/,
  });
});
