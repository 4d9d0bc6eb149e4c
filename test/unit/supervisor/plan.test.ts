import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig, type CommandName, type SettingOptions } from '#dist/config/load-config.js';
import type { Manifest, MethodManifest, MountManifest, RunnerManifest } from '#dist/ipc/manifest.js';
import type { Machine } from '#dist/supervisor/machine.js';
import { planLines } from '#dist/supervisor/plan-lines.js';
import { makePlan, type Plan, type PoolPlan } from '#dist/supervisor/plan.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

const METHOD: MethodManifest = methodManifest({
  name: 'm',
  input: { kind: 'json', schema: {} },
  output: { kind: 'json', schema: {} },
});
const RESOURCES = { cpus: null, devices: [], pinned: false, env: {} };
const MACHINE: Machine = {
  cpus: 3,
  allowedCpus: [0, 1, 2, 3],
  memoryLimitBytes: Number.POSITIVE_INFINITY,
  env: {},
};
const MODEL = { name: 'm', version: '1', isDefault: true };

function runner(name: string, given: Partial<RunnerManifest> = {}): RunnerManifest {
  return runnerManifest({ name, methods: [METHOD], ...given });
}

interface Given {
  readonly options?: SettingOptions;
  readonly runners?: readonly RunnerManifest[];
  readonly mounts?: readonly MountManifest[];
  readonly machine?: Partial<Machine>;
}

const TWO = [runner('a'), runner('b', { workers: 2 })];

async function plan(
  command: CommandName,
  { options = {}, runners = TWO, mounts = [], machine = {} }: Given = {},
): Promise<Plan> {
  const { config } = await loadConfig({ command, options, env: {} });
  const manifest: Manifest = { name: 'svc', version: '1', apis: [], runners, mounts, unavailable: [] };
  return makePlan({ command, config, manifest, machine: { ...MACHINE, ...machine } });
}

function poolOf({ pools }: Plan, name: string): PoolPlan {
  const pool = pools.find((candidate) => candidate.name === name);
  assert.ok(pool !== undefined, `no pool ${name}`);
  return pool;
}

function counts({ pools }: Plan): (readonly [name: string, workers: number])[] {
  return pools.map(({ name, workers }) => [name, workers.length]);
}

test('makePlan of serve gives every runner worker a socket of its own and one API worker per CPU', async () => {
  const made = await plan('serve', { options: { grpc: true, grpcWorkers: 1 } });
  assert.deepEqual(counts(made), [
    ['runner-a', 1],
    ['runner-b', 2],
    ['http', 3],
    ['grpc', 1],
  ]);
  assert.deepEqual(
    made.pools.map(({ hasSockets }) => hasSockets),
    [true, true, false, false],
  );
  assert.deepEqual(poolOf(made, 'http').calls, ['a', 'b']);
});

test('makePlan of serve starts no runner that the runner map places elsewhere', async () => {
  const made = await plan('serve', { options: { runnerMap: { b: ['tcp://10.0.0.1:7001'] } } });
  assert.deepEqual(
    made.pools.map(({ name }) => name),
    ['runner-a', 'http'],
  );
  assert.deepEqual(made.remoteRunners, { b: ['tcp://10.0.0.1:7001'] });
  assert.deepEqual(poolOf(made, 'http').calls, ['a', 'b']);
});

test('makePlan of serve lets runnerWorkers win over the service', async () => {
  const made = await plan('serve', { options: { runnerWorkers: 4, apiWorkers: 1 } });
  assert.deepEqual(counts(made), [
    ['runner-a', 4],
    ['runner-b', 4],
    ['http', 1],
  ]);
});

test('makePlan of an API tier names the runners that are required and given', async () => {
  await assert.rejects(plan('start-http-server', { options: { runnerMap: { a: ['tcp://h:1'] } } }), {
    code: 'CONFIG_INVALID',
    message: /"svc" requires runners a, b, but only a are provided/,
  });
});

test('makePlan of a runner tier lists the available runners for an unknown one', async () => {
  await assert.rejects(plan('start-runner-server', { options: { runnerName: 'nope' } }), {
    code: 'CONFIG_INVALID',
    message: /Runner "nope" not found in the service "svc", available runners: a, b/,
  });
});

test('makePlan shares the CPUs among all compute threads and tells OpenMP, MKL and OpenBLAS', async () => {
  const runners = [runner('a', { threads: 2 }), runner('b', { workers: 2 })];
  const made = await plan('serve', { runners, machine: { cpus: 9 } });
  assert.deepEqual(poolOf(made, 'runner-a').workers, [
    {
      env: { OMP_NUM_THREADS: '2', MKL_NUM_THREADS: '2', OPENBLAS_NUM_THREADS: '2' },
      cpus: 2,
      device: null,
      affinity: null,
    },
  ]);
  assert.equal(poolOf(made, 'runner-b').workers[1]?.cpus, 2);
});

test('makePlan gives a compute thread at least one CPU', async () => {
  const made = await plan('serve', { runners: [runner('a', { workers: 8 })], machine: { cpus: 1 } });
  assert.deepEqual(new Set(poolOf(made, 'runner-a').workers.map(({ cpus }) => cpus)), new Set([1]));
});

test('makePlan lets the environment of the user win over what it works out, and the service over both', async () => {
  const env = { OMP_NUM_THREADS: '7', MKL_NUM_THREADS: '8' };
  const resources = { ...RESOURCES, cpus: 4, env: { MKL_NUM_THREADS: '9', HF_TOKEN: 'x' } };
  const made = await plan('serve', { runners: [runner('a', { resources })], machine: { env } });
  assert.deepEqual(poolOf(made, 'runner-a').workers[0], {
    env: { OPENBLAS_NUM_THREADS: '4', MKL_NUM_THREADS: '9', HF_TOKEN: 'x' },
    cpus: 4,
    device: null,
    affinity: null,
  });
});

test('makePlan deals the devices round', async () => {
  const resources = { ...RESOURCES, devices: ['0', '3'], env: { CUDA_VISIBLE_DEVICES: 'all' } };
  const made = await plan('serve', { runners: [runner('a', { workers: 3, resources })] });
  const { workers } = poolOf(made, 'runner-a');
  assert.deepEqual(
    workers.map(({ device, env }) => [device, env['CUDA_VISIBLE_DEVICES']]),
    [
      ['0', '0'],
      ['3', '3'],
      ['0', '0'],
    ],
  );
});

test('makePlan gives each worker of a pinned runner CPUs of its own, and the next runner those behind', async () => {
  const pinned = { ...RESOURCES, pinned: true };
  const runners = [
    runner('a', { workers: 2, resources: pinned }),
    runner('b', { workers: 2, threads: 2, resources: { ...pinned, cpus: 3 } }),
    runner('c', { workers: 3, resources: { ...pinned, cpus: 4 } }),
  ];
  const made = await plan('serve', { runners, machine: { cpus: 8, allowedCpus: [0, 1, 2, 3, 8, 9, 10] } });
  const sets = (name: string): (string | null)[] => poolOf(made, name).workers.map(({ affinity }) => affinity);
  assert.deepEqual(sets('runner-a'), ['0', '1']);
  assert.deepEqual(sets('runner-b'), ['2-3,8', '0,9-10']); // of 6 wanted, the half of 7
  assert.deepEqual(sets('runner-c'), ['1-2', '3,8', '9-10']);
  assert.equal(poolOf(made, 'runner-c').workers[0]?.cpus, 4); // what is said is said
});

test('makePlan counts for the arithmetic of a pinned worker no more CPUs than it has', async () => {
  const resources = { ...RESOURCES, pinned: true };
  const runners = [runner('a', { workers: 2, resources })];
  const made = await plan('serve', { runners, machine: { cpus: 8, allowedCpus: [0, 1] } });
  assert.equal(poolOf(made, 'runner-a').workers[0]?.cpus, 1);
});

test('makePlan refuses to pin more workers than there are CPUs, and where nobody knows the CPUs', async () => {
  const runners = [runner('a', { workers: 5, resources: { ...RESOURCES, pinned: true } })];
  await assert.rejects(plan('serve', { runners }), {
    code: 'CONFIG_INVALID',
    message: /runner "a".*5 workers.*4 CPUs \(0-3\)/,
  });
  await assert.rejects(plan('serve', { runners, machine: { allowedCpus: undefined } }), {
    code: 'CONFIG_INVALID',
    message: /only Linux/,
  });
});

test('makePlan puts an embedded runner into the API workers, and asks for it nowhere else', async () => {
  const runners = [runner('a'), runner('e', { placement: 'embedded', threads: 2 })];
  const served = await plan('serve', { runners, options: { apiWorkers: 2 }, machine: { cpus: 10 } });
  assert.deepEqual(counts(served), [
    ['runner-a', 1],
    ['http', 2],
  ]);
  assert.deepEqual(served.embedded, [{ name: 'e', threads: 2, cpus: 2 }]);
  assert.deepEqual(poolOf(served, 'http').calls, ['a']);
  assert.equal(poolOf(served, 'http').workers[1]?.env['OMP_NUM_THREADS'], '2');

  const tier = await plan('start-http-server', { runners, options: { runnerMap: { a: ['tcp://h:1'] } } });
  assert.deepEqual(
    tier.embedded.map(({ name }) => name),
    ['e'],
  );
});

test('makePlan refuses an embedded runner alone, from elsewhere, and called from a process of its own', async () => {
  const embedded = runner('e', { placement: 'embedded' });
  const runners = [runner('a'), embedded];
  await assert.rejects(plan('start-runner-server', { runners, options: { runnerName: 'e' } }), {
    code: 'CONFIG_INVALID',
    message: /runner "e" alone: it is embedded in the API workers of "svc"; .*: a$/,
  });
  await assert.rejects(plan('serve', { runners, options: { runnerMap: { e: ['tcp://h:1'] } } }), {
    code: 'CONFIG_INVALID',
    message: /runner "e" from the runner map: it is embedded/,
  });
  await assert.rejects(plan('serve', { runners: [runner('a', { runners: ['e'] }), embedded] }), {
    code: 'SERVICE_INVALID',
    message: /runner "a" .* calls "e", which is embedded/,
  });
});

test('makePlan of a runner tier requires the runners that this one calls', async () => {
  const runners = [runner('a', { runners: ['b'] }), runner('b'), runner('c')];
  const options = { runnerName: 'a' };
  await assert.rejects(plan('start-runner-server', { runners, options }), {
    code: 'CONFIG_INVALID',
    message: /Runner "a" of "svc" requires runners b, but only none are provided/,
  });
  const made = await plan('start-runner-server', { runners, options: { ...options, runnerMap: { b: ['tcp://h:1'] } } });
  assert.deepEqual(
    made.pools.map(({ name, calls, hasSockets }) => ({ name, calls, hasSockets })),
    [{ name: 'runner-a', calls: ['b'], hasSockets: false }],
  );
});

test('makePlan lets the model of a repository fail, unless strictModels is set or it is all that is started', async () => {
  const runners = [runner('a', { model: MODEL }), runner('b')];
  const mayFail = ({ pools }: Plan): boolean[] => pools.map((pool) => pool.mayFail);
  assert.deepEqual(mayFail(await plan('serve', { runners })), [true, false, false]);
  assert.deepEqual(mayFail(await plan('serve', { runners, options: { strictModels: true } })), [false, false, false]);
  assert.deepEqual(mayFail(await plan('start-runner-server', { runners, options: { runnerName: 'a' } })), [false]);
});

test('planLines say in one line for each pool what it gets', async () => {
  const runners = [
    runner('a', {
      workers: 2,
      runners: ['b'],
      resources: { cpus: 2, devices: ['0', '1'], pinned: true, env: { HF_TOKEN: 's3cret' } },
    }),
    runner('b'),
    runner('e', { placement: 'embedded' }),
  ];
  const options = { apiWorkers: 1, runnerMap: { b: ['tcp://h:1'] }, maxWorkerMemoryBytes: 3 * 2 ** 29 };
  const made = await plan('serve', { runners, options, machine: { env: { MKL_NUM_THREADS: '1' } } });
  assert.deepEqual(
    planLines(made).map(({ text }) => text),
    [
      'runner a: 2 workers x 1 thread, 2 CPUs each, OMP/OPENBLAS_NUM_THREADS=2, sets HF_TOKEN, on device 0 | 1, pinned to CPUs 0-1 | 2-3, calls b',
      'http: 1 worker, with runner e embedded: 1 thread, 1 CPU each, OMP/OPENBLAS_NUM_THREADS=1',
      'runner b: elsewhere, at tcp://h:1',
      'a worker that holds more than 1.5 GiB is replaced',
    ],
  );
});

test('makePlan starts mounts with an HTTP server and nowhere else', async () => {
  const command = { argv: ['python3', 'app.py', '{port}'], cwd: '.', env: {}, readyPath: '/healthz' };
  const mounts: MountManifest[] = [
    { path: '/old', upstream: null, command, stripPath: true },
    { path: '/far', upstream: 'http://10.0.0.5:9000', command: null, stripPath: false },
  ];
  const runners: RunnerManifest[] = [];
  for (const start of ['serve', 'start-http-server'] as const) {
    const made = await plan(start, { runners, mounts });
    assert.deepEqual(made.mounts, mounts);
    assert.deepEqual(
      planLines(made)
        .map(({ text }) => text)
        .slice(-2),
      [
        'mount /old: "python3 app.py {port}" on a loopback port of its own',
        'mount /far: elsewhere, at http://10.0.0.5:9000, with /far in its paths',
      ],
    );
  }
  assert.deepEqual((await plan('start-grpc-server', { runners, mounts })).mounts, []);
});
