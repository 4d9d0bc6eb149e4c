import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CliIo, RunningServer, StartOptions, TargetDescription } from '#dist/cli/command.js';
import { COMMANDS } from '#dist/cli/commands.js';
import { runCli } from '#dist/cli/run-cli.js';
import { flagsOf } from '#dist/config/flags.js';
import { COMMAND_NAMES, SETTINGS } from '#dist/config/schema.js';
import { JubakoError } from '#dist/errors.js';
import type { Manifest } from '#dist/service/manifest.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

const MANIFEST: Manifest = {
  name: 'digits',
  version: '1.2.0',
  apis: [
    {
      name: 'classify',
      route: '/classify',
      input: { kind: 'json', schema: {} },
      output: {
        kind: 'tensors',
        fields: { scores: { kind: 'tensor', dtype: 'float32', shape: [-1, 10], allowNonFinite: false } },
      },
    },
  ],
  mounts: [],
  unavailable: [],
  runners: [
    runnerManifest({
      name: 'digits',
      methods: [
        methodManifest({
          name: 'predict',
          input: { kind: 'tensor', dtype: 'float32', shape: [-1, 64], allowNonFinite: false },
          output: { kind: 'tensor', dtype: 'float32', shape: [-1, 10], allowNonFinite: false },
          batch: { maxSize: 64, maxQueueSize: 1024, maxLatencyMs: null },
        }),
      ],
    }),
  ],
};

/** A promise in the hands of the test; Node 20 has no Promise.withResolvers. */
class Deferred<T> {
  resolve!: (value: T) => void;
  reject!: (reason: Error) => void;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** A server in the hands of the test. */
class FakeServer implements RunningServer {
  readonly #ready = new Deferred<void>();
  readonly #closed = new Deferred<number>();
  readonly ready = this.#ready.promise;
  readonly closed = this.#closed.promise;
  readonly calls: string[] = [];

  async close(): Promise<void> {
    this.calls.push('close');
  }

  kill(): void {
    this.calls.push('kill');
    this.end(137);
  }

  becomeReady(): void {
    this.#ready.resolve();
  }

  refuse(error: JubakoError): void {
    this.#ready.reject(error);
  }

  end(exitCode: number): void {
    this.#closed.resolve(exitCode);
  }
}

class FakeIo implements CliIo {
  readonly server = new FakeServer();
  readonly started: StartOptions[] = [];
  readonly described: string[] = [];
  clockMs = 0;
  out = '';
  err = '';
  #stopListeners: ((signal: NodeJS.Signals) => void)[] = [];
  readonly #startCalled = new Deferred<void>();
  readonly startCalled = this.#startCalled.promise;

  print(text: string): void {
    this.out += `${text}\n`;
  }

  printError(text: string): void {
    this.err += `${text}\n`;
  }

  onStopSignal(listener: (signal: NodeJS.Signals) => void): () => void {
    this.#stopListeners.push(listener);
    return () => {
      this.#stopListeners = this.#stopListeners.filter((candidate) => candidate !== listener);
    };
  }

  signal(signal: NodeJS.Signals): void {
    for (const listener of this.#stopListeners) listener(signal);
  }

  get listens(): boolean {
    return this.#stopListeners.length > 0;
  }

  nowMs(): number {
    return this.clockMs;
  }

  async startServer(options: StartOptions): Promise<RunningServer> {
    this.started.push(options);
    this.#startCalled.resolve();
    return this.server;
  }

  async describeTarget(target: string): Promise<TargetDescription> {
    this.described.push(target);
    return { manifest: MANIFEST, warnings: ['the model "broken" has no input'], plan: ['http: 2 workers'] };
  }
}

async function run(...argv: string[]): Promise<{ readonly exit: number; readonly io: FakeIo }> {
  const io = new FakeIo();
  return { exit: await runCli(argv, {}, io), io };
}

/** Runs a command whose server ends at once. */
async function serveOnce(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<StartOptions | undefined> {
  const io = new FakeIo();
  io.server.becomeReady();
  io.server.end(0);
  assert.equal(await runCli(argv, env, io), 0, io.err);
  return io.started[0];
}

test('runCli prints the version of the package', async () => {
  const { exit, io } = await run('--version');
  assert.equal(exit, 0);
  assert.match(io.out, /^\d+\.\d+\.\d+/);
});

test('runCli lists every command in help', async () => {
  for (const argv of [['help'], ['--help'], ['-h']]) {
    const { exit, io } = await run(...argv);
    assert.equal(exit, 0);
    for (const name of COMMANDS.keys()) assert.match(io.out, new RegExp(`^  jubako ${name}\\b`, 'm'));
  }
});

test('runCli prints every flag of a server command with its variable and default', async () => {
  for (const command of COMMAND_NAMES) {
    const { exit, io } = await run('help', command);
    assert.equal(exit, 0);
    assert.equal((await run(command, 'x', '--help')).io.out, io.out);
    const lines = new Set(io.out.split('\n').map((line) => line.trim().split(' ')[0]?.replace('[no-]', '')));
    for (const flag of flagsOf(command)) assert.ok(lines.has(`--${flag.name}`), `${command} --${flag.name}`);
    for (const { env, commands } of SETTINGS)
      assert.equal(io.out.includes(`${env};`) || io.out.includes(`${env},`), commands.includes(command), env);
    assert.ok(io.out.split('\n').every((line) => !line.startsWith('      ') || line.length <= 100));
  }
  const { io } = await run('help', 'serve');
  assert.match(io.out, /--port PORT\n {6}TCP port .*\n {6}JUBAKO_PORT; default: 3000\n/);
  assert.doesNotMatch(io.out, /--ssl-keyfile-password /);
});

test('runCli refuses a command that it does not know, with the nearest one', async () => {
  const { exit, io } = await run('srve');
  assert.equal(exit, 64);
  assert.match(io.err, /^Unknown command "srve"; did you mean "serve"\?/);
  assert.equal((await run('help', 'chek')).exit, 64);
});

test('runCli serves a target that is named without a command', async () => {
  assert.deepEqual(pick(await serveOnce(['./app', '--port', '80'])), ['serve', './app', 80]);
  assert.deepEqual(pick(await serveOnce(['--port', '81'])), ['serve', '.', 81]);
  assert.deepEqual(pick(await serveOnce([])), ['serve', '.', 3000]);
  assert.deepEqual(pick(await serveOnce(['digits:v1'])), ['serve', 'digits:v1', 3000]);
});

test('runCli starts each server with its command, target and configuration', async () => {
  assert.deepEqual(pick(await serveOnce(['serve', 'a', '--port', '1'])), ['serve', 'a', 1]);
  assert.deepEqual(pick(await serveOnce(['start-http-server', 'a'], { JUBAKO_PORT: '2' })), [
    'start-http-server',
    'a',
    2,
  ]);
  assert.deepEqual(pick(await serveOnce(['start-grpc-server'])), ['start-grpc-server', '.', 3001]);
  assert.deepEqual(pick(await serveOnce(['start-runner-server', 'a', '--runner-name', 'r'])), [
    'start-runner-server',
    'a',
    0,
  ]);
});

function pick(started: StartOptions | undefined): readonly unknown[] {
  return [started?.command, started?.target, started?.loaded.config.port];
}

test('runCli drains at the first stop signal, kills at the second, and gives the exit code of the server', async () => {
  const io = new FakeIo();
  const exit = runCli(['serve', 'a'], {}, io);
  await io.startCalled;
  io.server.becomeReady();
  await io.server.ready;
  io.signal('SIGTERM');
  assert.deepEqual(io.server.calls, ['close']);
  io.clockMs = 1000;
  io.signal('SIGINT');
  assert.deepEqual(io.server.calls, ['close', 'kill']);
  assert.equal(await exit, 137);
  assert.equal(io.listens, false);
});

test('runCli takes a stop signal that arrives twice at once as one', async () => {
  const io = new FakeIo();
  const exit = runCli(['serve', 'a'], {}, io);
  await io.startCalled;
  io.server.becomeReady();
  await io.server.ready;
  io.signal('SIGINT');
  io.clockMs = 999;
  io.signal('SIGTERM');
  io.server.end(0);
  assert.equal(await exit, 0);
  assert.deepEqual(io.server.calls, ['close']);
});

test('runCli ends with the exit code of the server when it is stopped before it is ready', async () => {
  const io = new FakeIo();
  const exit = runCli(['serve', 'a'], {}, io);
  await io.startCalled;
  await Promise.resolve();
  io.signal('SIGTERM');
  io.server.refuse(new JubakoError('DRAINING', 'stopped'));
  io.server.end(0);
  assert.equal(await exit, 0);
  assert.deepEqual([io.server.calls, io.err], [['close'], '']);
});

test('runCli reports why a server did not start, with the stack of the user code', async () => {
  const io = new FakeIo();
  const stack = 'Error: no model\n    at load (service.ts:3:9)';
  io.server.refuse(new JubakoError('SERVICE_INVALID', 'Cannot load the service', { details: { stack } }));
  assert.equal(await runCli(['serve', 'a'], {}, io), 78);
  assert.equal(io.err, `SERVICE_INVALID: Cannot load the service\n${stack}\n`);
  assert.equal(io.listens, false);
});

test('runCli exits with 78 for a wrong setting and 64 for a wrong command line, and starts nothing', async () => {
  const setting = await run('serve', '--port', 'x');
  assert.deepEqual([setting.exit, setting.io.started], [78, []]);
  assert.match(setting.io.err, /^CONFIG_INVALID: .*\n {2}port "x" \(flag --port\): wanted/);
  for (const args of [
    ['--prot', '1'],
    ['a', 'b'],
    ['--link-token', 's3cret'],
  ]) {
    const { exit, io } = await run('start-http-server', ...args);
    assert.equal(exit, 64);
    assert.doesNotMatch(io.err, /s3cret/);
  }
});

test('runCli shows what went wrong inside with its stack', async () => {
  const io = new FakeIo();
  io.describeTarget = () => Promise.reject(new RangeError('a bug'));
  assert.equal(await runCli(['check'], {}, io), 1);
  assert.match(io.err, /^INTERNAL: a bug\nRangeError: a bug\n {4}at /);
});

test('check describes the target, for people and as JSON', async () => {
  const { exit, io } = await run('check', 'app');
  assert.equal(exit, 0);
  assert.deepEqual(io.described, ['app']);
  assert.equal(
    io.out,
    `digits 1.2.0
APIs:
  classify: POST /classify, JSON → { scores: float32[?, 10] }
Runners:
  digits: 1 worker
    predict: float32[?, 64] → float32[?, 10], batches of up to 64 rows, 1024 may wait
On this machine:
  http: 2 workers
`,
  );
  assert.equal(io.err, 'warning: the model "broken" has no input\n');
  const json = await run('check', '--json');
  assert.deepEqual(json.io.described, ['.']);
  assert.deepEqual(JSON.parse(json.io.out), MANIFEST);
});

test('config shows every setting with its source and masks secrets', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'jubako-cli-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'token'), 's3cret\n');
  const args = ['start-http-server', '--port', '80', '--link-token-file', join(folder, 'token')];
  const { exit, io } = await run('config', 'show', ...args);
  assert.equal(exit, 0);
  for (const { name, doc } of SETTINGS) assert.ok(io.out.includes(`${name} = `) && io.out.includes(doc), name);
  assert.match(io.out, /^port = 80 {2}\(flag --port\)$/m);
  assert.match(io.out, /^linkToken = "\*{8}" {2}\(flag --link-token-file\)$/m);
  assert.match(io.out, /^sslKeyfilePassword = null {2}\(default\)$/m);
  assert.doesNotMatch(io.out, /s3cret/);

  const json = await run('config', ...args, '--json');
  const rows = JSON.parse(json.io.out) as Record<string, { readonly value: unknown; readonly origin: string }>;
  assert.deepEqual([rows['port']?.value, rows['port']?.origin], [80, 'flag --port']);
  assert.doesNotMatch(json.io.out, /s3cret/);
});
