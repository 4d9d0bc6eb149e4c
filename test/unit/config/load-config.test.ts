import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LoadConfigOptions } from '#dist/config/load-config.js';
import { COMMAND_NAMES, SETTINGS } from '#dist/config/schema.js';
import { failureOf, folderWith, load, problemsOf } from './load-harness.js';

test('loadConfig gives every setting its default, whoever asks, when nothing is given', async () => {
  for (const command of COMMAND_NAMES) {
    const args = command === 'start-runner-server' ? ['--runner-name', 'digits'] : [];
    const { config, origins } = await load({ command, args });
    assert.deepEqual(Object.keys(config).sort(), SETTINGS.map(({ name }) => name).sort());
    assert.deepEqual(Object.keys(origins).sort(), Object.keys(config).sort());
  }
  const { config, origins } = await load({});
  assert.deepEqual([config.host, config.port, config.backlog, config.timeout], ['0.0.0.0', 3000, 2048, 60]);
  assert.deepEqual([config.timeoutKeepAlive, config.timeoutGracefulShutdown], [75, 30]);
  assert.deepEqual(
    [config.maxBodyBytes, config.maxMessageLength, config.protocolVersion],
    [33_554_432, 33_554_432, 'v1'],
  );
  assert.equal(origins.port, 'default');
});

test('loadConfig gives each command its own port and host by default', async () => {
  const http = await load({ command: 'start-http-server' });
  const grpc = await load({ command: 'start-grpc-server' });
  const runner = await load({ command: 'start-runner-server', args: ['--runner-name', 'digits'] });
  assert.deepEqual([http.config.host, http.config.port], ['0.0.0.0', 3000]);
  assert.deepEqual([grpc.config.host, grpc.config.port], ['0.0.0.0', 3001]);
  assert.deepEqual([runner.config.host, runner.config.port], ['127.0.0.1', 0]);
});

test('loadConfig lets each layer beat the one below, and says which one won', async (t) => {
  const folder = await folderWith(t, { 'app/jubako.yaml': 'port: 1001', 'more.yaml': 'port: 1002' });
  const layers: readonly [Partial<LoadConfigOptions>, number, string][] = [
    [{}, 3000, 'default'],
    [{ target: 'app' }, 1001, `file ${join(folder, 'app/jubako.yaml')}:port`],
    [{ file: 'more.yaml' }, 1002, 'file more.yaml:port'],
    [{ env: { JUBAKO_PORT: '1003' } }, 1003, 'environment JUBAKO_PORT'],
    [{ args: ['--port', '1004'] }, 1004, 'flag --port'],
    [{ options: { port: 1005 } }, 1005, 'option port'],
  ];
  let from: Partial<LoadConfigOptions> = { cwd: folder };
  for (const [layer, port, origin] of layers) {
    from = { ...from, ...layer };
    const { config, origins } = await load(from);
    assert.deepEqual([config.port, origins.port], [port, origin]);
  }
});

test('loadConfig takes --config before JUBAKO_CONFIG, and either alone', async (t) => {
  const folder = await folderWith(t, { 'a.yaml': 'port: 1', 'b.yaml': 'port: 2' });
  const env = { JUBAKO_CONFIG: 'a.yaml' };
  assert.equal((await load({ cwd: folder, env })).config.port, 1);
  assert.equal((await load({ cwd: folder, env, args: ['--config', 'b.yaml'] })).config.port, 2);
});

test('loadConfig takes every setting that a command has, by flag and by variable', async (t) => {
  const folder = await folderWith(t, { secret: 'secret-from-a-file\n' });
  const samples: Readonly<Record<string, readonly [text: string, value: unknown]>> = {
    host: ['::1', '::1'],
    port: ['8080', 8080],
    backlog: ['65', 65],
    cpus: ['2', 2],
    apiWorkers: ['3', 3],
    timeout: ['1.5', 1.5],
    timeoutKeepAlive: ['5', 5],
    timeoutGracefulShutdown: ['0', 0],
    maxConcurrency: ['9', 9],
    maxBodyBytes: ['2KiB', 2048],
    streamFirstTimeout: ['3', 3],
    streamIdleTimeout: ['0.5', 0.5],
    streamTimeout: ['600', 600],
    compression: ['false', false],
    corsOrigins: ['https://a.example, http://localhost:5173', ['https://a.example', 'http://localhost:5173']],
    apiKeys: ['0123456789abcdef,ABCDEFGHIJKLMNOP', ['0123456789abcdef', 'ABCDEFGHIJKLMNOP']],
    rateLimit: ['2.5', 2.5],
    rateLimitBurst: ['10', 10],
    trustedProxies: ['10.0.0.0/8,::1', ['10.0.0.0/8', '::1']],
    workingDir: ['w', join(folder, 'w')],
    development: ['true', true],
    sslCertfile: ['c.pem', join(folder, 'c.pem')],
    sslKeyfile: ['/k.pem', '/k.pem'],
    sslKeyfilePassword: ['hunter2', 'hunter2'],
    sslVersion: ['TLSv1.3', 'TLSv1.3'],
    sslCertReqs: ['2', 'required'],
    sslCaCerts: ['ca.pem', join(folder, 'ca.pem')],
    sslCiphers: ['HIGH', 'HIGH'],
    grpc: ['true', true],
    grpcHost: ['localhost', 'localhost'],
    grpcPort: ['0', 0],
    grpcWorkers: ['2', 2],
    reflection: ['true', true],
    channelz: ['true', true],
    maxConcurrentStreams: ['7', 7],
    maxMessageLength: ['-1', -1],
    maxConnectionAge: ['300', 300],
    maxConnectionAgeGrace: ['0', 0],
    protocolVersion: ['v1alpha1', 'v1alpha1'],
    runnerName: ['digits', 'digits'],
    runnerMap: ['{"a":"tcp://h:1"}', { a: ['tcp://h:1'] }],
    runnerWorkers: ['2', 2],
    maxWorkerMemoryBytes: ['2GiB', 2 ** 31],
    strictModels: ['true', true],
    modelControl: ['true', true],
    linkToken: ['t0ken', 't0ken'],
    linkInsecure: ['true', true],
    metrics: ['false', false],
    logLevel: ['warn', 'warn'],
    logFormat: ['json', 'json'],
    accessLog: ['false', false],
    runtimeDir: ['/run/x', '/run/x'],
  };
  const env = Object.fromEntries(SETTINGS.map((setting) => [setting.env, samples[setting.name]?.[0]]));
  const fromEnv = await load({ cwd: folder, env });
  for (const { name, env: variable } of SETTINGS) {
    assert.deepEqual(fromEnv.config[name], samples[name]?.[1], name);
    assert.equal(fromEnv.origins[name], `environment ${variable}`);
  }
  const fromFile: Readonly<Record<string, unknown>> = {
    apiKeys: ['secret-from-a-file'],
    sslKeyfilePassword: 'secret-from-a-file',
    linkToken: 'secret-from-a-file',
  };
  for (const command of COMMAND_NAMES) {
    const own = SETTINGS.filter((setting) => setting.commands.includes(command));
    const args = own.flatMap(({ flag, name, sensitive, format }) => {
      if (sensitive === true) return [`--${flag}-file`, 'secret'];
      const value = samples[name]?.[0] ?? '';
      return format.placeholder === '' ? [`--${flag}=${value}`] : [`--${flag}`, value];
    });
    const { config, origins } = await load({ command, cwd: folder, args });
    for (const { name, flag, sensitive } of own) {
      assert.deepEqual(config[name], sensitive === true ? fromFile[name] : samples[name]?.[1], `${command} ${name}`);
      assert.equal(origins[name], `flag --${flag}${sensitive === true ? '-file' : ''}`);
    }
  }
});

test('loadConfig reports everything that is wrong at once, each with value, wish and source', async (t) => {
  const folder = await folderWith(t, { 'x.yaml': 'port: much\nbackloag: 5\nservice: a.ts\n' });
  const { problems, message, usage } = await failureOf({
    cwd: folder,
    file: 'x.yaml',
    env: { JUBAKO_TIMEOUT: 'soon', JUBAKO_API_WORKER: '1', JUBAKO_LINK_TOKEN: '' },
    args: ['--backlog', '0', '--hots', 'x'],
    options: { logLevel: 'loud', prot: 1 } as object,
  });
  assert.deepEqual(problems, [
    'unknown setting "backloag" (file x.yaml:backloag); did you mean "backlog"?',
    'unknown setting "service" (file x.yaml:service); it belongs into the jubako.yaml of the target',
    'unknown variable JUBAKO_API_WORKER (environment); did you mean "JUBAKO_API_WORKERS"?',
    'unknown flag --hots; did you mean "--host"?',
    'unknown option "prot"; did you mean "port"?',
    'port "much" (file x.yaml:port): wanted an integer from 0 to 65535',
    'timeout "soon" (environment JUBAKO_TIMEOUT): wanted seconds as a number from 0 to 2147483',
    'backlog "0" (flag --backlog): wanted an integer from 1 to 65535',
    'logLevel "loud" (option logLevel): wanted trace, debug, info, warn, error, fatal or silent',
  ]);
  assert.equal(usage, false);
  assert.equal(message, `Cannot use the configuration, 9 problems:\n  ${problems.join('\n  ')}`);
});

test('loadConfig tells a wrong command line from a wrong value', async () => {
  assert.equal((await failureOf({ args: ['--nope'] })).usage, true);
  assert.equal((await failureOf({ args: ['--nope', '--port', 'x'] })).usage, false);
});

test('loadConfig never shows a secret, wherever it was put', async (t) => {
  const folder = await folderWith(t, {
    'typed.yaml': 'linkToken: 12345678',
    'key.yaml': 'linkTokn: s3cret',
    'broken.yaml': 'linkToken: "s3cret\nport: ]',
    'twice.yaml': 'linkToken: s3cret\nlinkToken: s3cret',
  });
  const attempts: readonly Partial<LoadConfigOptions>[] = [
    { args: ['--link-token', 's3cret'] },
    { args: ['--link-token=s3cret'] },
    { args: ['--link-tokn', 's3cret', 'target'] },
    { args: ['--ssl-keyfile-password', 's3cret'] },
    { env: { JUBAKO_LINK_TOKN: 's3cret' } },
    { env: { JUBAKO_SSL_KEYFILE_PASSWORD: 's3cret' } },
    { options: { linkToken: 12_345_678 } as object },
    { args: ['--api-keys', 's3cret'] },
    { env: { JUBAKO_API_KEYS: 's3cret,0123456789abcdef' } },
    { options: { apiKeys: ['0123456789abcdef', 's3cret'] } },
    ...['typed', 'key', 'broken', 'twice'].map((name) => ({ file: `${name}.yaml` })),
  ];
  for (const attempt of attempts) {
    const { message } = await failureOf({ command: 'start-http-server', cwd: folder, ...attempt });
    assert.doesNotMatch(message, /s3cret|12345678|12_345_678/);
  }
  assert.deepEqual(await problemsOf({ command: 'start-http-server', cwd: folder, file: 'typed.yaml' }), [
    'linkToken ******** (file typed.yaml:linkToken): wanted text that is not empty (in quotes, in a file)',
  ]);
});

test('loadConfig refuses a secret on the command line and says where it may stand', async () => {
  const text =
    '--ssl-keyfile-password: a secret must not stand on a command line; wanted --ssl-keyfile-password-file FILE or the variable JUBAKO_SSL_KEYFILE_PASSWORD';
  assert.deepEqual(await problemsOf({ args: ['--ssl-keyfile-password', 's3cret'] }), [text]);
});

test('loadConfig reads a secret from a file by flag and by variable, without its last line end', async (t) => {
  const folder = await folderWith(t, { token: 's3cret \r\n', empty: '\n' });
  const command = 'start-http-server';
  assert.equal(
    (await load({ command, cwd: folder, args: ['--link-token-file', 'token'] })).config.linkToken,
    's3cret ',
  );
  const fromEnv = await load({ command, cwd: folder, env: { JUBAKO_LINK_TOKEN_FILE: 'token' } });
  assert.equal(fromEnv.config.linkToken, 's3cret ');
  assert.deepEqual(await problemsOf({ command, cwd: folder, args: ['--link-token-file', 'none'] }), [
    `linkToken (flag --link-token-file): cannot read the file "${join(folder, 'none')}": no such file`,
  ]);
  assert.deepEqual(await problemsOf({ command, cwd: folder, args: ['--link-token-file', 'empty'] }), [
    'linkToken ******** (flag --link-token-file): wanted text that is not empty (in quotes, in a file)',
  ]);
});

test('loadConfig merges remote runners over the runner map, and splits them at the first "="', async () => {
  const { config, origins } = await load({
    command: 'start-http-server',
    env: { JUBAKO_RUNNER_MAP: '{"a":["tcp://h:1"],"b":["tcp://h:2"],"resnet.v1":["tcp://h:3"]}' },
    args: [
      '--remote-runner',
      'a=unix:///run/x=y.sock',
      '--remote-runner=a=tls://h:5',
      '--remote-runner',
      'c=tcp://h:6',
    ],
  });
  assert.deepEqual(config.runnerMap, {
    a: ['unix:///run/x=y.sock', 'tls://h:5'],
    b: ['tcp://h:2'],
    'resnet.v1': ['tcp://h:3'],
    c: ['tcp://h:6'],
  });
  assert.equal(origins.runnerMap, 'flag --remote-runner, environment JUBAKO_RUNNER_MAP');
});

test('loadConfig takes remote runners from the environment, by commas and by spaces', async () => {
  const env = { JUBAKO_REMOTE_RUNNER: 'a=tcp://h:1, b=tcp://h:2 a=tcp://h:3' };
  const { config } = await load({ command: 'start-grpc-server', env });
  assert.deepEqual(config.runnerMap, { a: ['tcp://h:1', 'tcp://h:3'], b: ['tcp://h:2'] });
});

test('loadConfig refuses remote runners and runner maps that lead nowhere', async () => {
  const problems = await problemsOf({
    command: 'start-http-server',
    args: [
      '--runner-map',
      '{"a":',
      '--remote-runner',
      'tcp://h:1',
      '--remote-runner',
      'b=h:1',
      '--remote-runner',
      '__proto__=tcp://h:1',
    ],
  });
  assert.equal(problems.length, 4);
  assert.match(problems[0] ?? '', /^runnerMap "\{\\"a\\":" \(flag --runner-map\): it is not JSON; wanted/);
  assert.match(problems[1] ?? '', /^remoteRunner "tcp:\/\/h:1" \(flag --remote-runner\): wanted name=address$/);
  assert.match(problems[2] ?? '', /^remoteRunner "b=h:1" .*: it has no scheme; wanted unix:/);
  assert.match(problems[3] ?? '', /^remoteRunner "__proto__=.*: wanted 1 to 63 letters/);
});

test('loadConfig reads the folder of the target, relative to the working folder, and the module it names', async (t) => {
  const folder = await folderWith(t, { 'w/app/jubako.yaml': 'service: src/service.ts\nsslCaCerts: ca.pem\n' });
  const byFlag = await load({ cwd: folder, args: ['app', '--working-dir', 'w'] });
  assert.equal(byFlag.serviceFile, 'src/service.ts');
  assert.equal(byFlag.config.sslCaCerts, join(folder, 'w/app/ca.pem'));
  assert.deepEqual(byFlag.positionals, ['app']);
  assert.equal((await load({ cwd: folder, target: 'w/app:service' })).serviceFile, 'src/service.ts');
  assert.equal((await load({ cwd: folder, target: 'w' })).serviceFile, undefined);
});

test('loadConfig refuses files that are missing, no YAML or no settings', async (t) => {
  const folder = await folderWith(t, {
    'list.yaml': '- 1',
    'broken.yaml': 'port: 1\n\thost: x',
    'twice.yaml': 'port: 1\nport: 2',
    'alias.yaml': 'port: *x',
    'empty.yaml': '# nothing',
    'jubako.yaml': 'service: 5',
    'settings.json': '{"port": 5}',
  });
  const of = (file: string): Promise<readonly string[]> => problemsOf({ cwd: folder, file });
  assert.deepEqual(await of('none.yaml'), ['file none.yaml: cannot be read: no such file']);
  assert.deepEqual(await of('list.yaml'), ['file list.yaml: wanted settings as "name: value"']);
  assert.match((await of('broken.yaml'))[0] ?? '', /^file broken.yaml: is not YAML, line 2: /);
  assert.match((await of('twice.yaml'))[0] ?? '', /^file twice.yaml: is not YAML, line 2: DUPLICATE_KEY$/);
  assert.match((await of('alias.yaml'))[0] ?? '', /^file alias.yaml: /);
  assert.equal((await load({ cwd: folder, file: 'empty.yaml' })).config.port, 3000);
  assert.equal((await load({ cwd: folder, file: 'settings.json' })).config.port, 5);
  const [problem = ''] = await problemsOf({ cwd: folder, target: '.' });
  assert.match(problem, /^service 5 \(file .*jubako\.yaml:service\): wanted the path of a module$/);
});

test('loadConfig ignores what Kubernetes injects for a Service with our name, and empty variables', async () => {
  const env = {
    JUBAKO_PORT: 'tcp://10.0.0.1:3000',
    JUBAKO_SERVICE_HOST: '10.0.0.1',
    JUBAKO_SERVICE_PORT: '3000',
    JUBAKO_SERVICE_PORT_HTTP: '3000',
    JUBAKO_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
    JUBAKO_PORT_3000_TCP_PROTO: 'tcp',
    JUBAKO_GRPC_PORT: 'tcp://10.0.0.2:3001',
    JUBAKO_GRPC_SERVICE_HOST: '10.0.0.2',
    JUBAKO_HOST: '',
    JUBAKO_WORKER: 'http-0',
    HOME: '/',
  };
  const { config, origins } = await load({ env });
  assert.deepEqual([config.port, config.grpcPort, config.host, origins.host], [3000, 3001, '0.0.0.0', 'default']);
});

test('loadConfig starts from one worker of each and debug logs in development, and lets anybody else say otherwise', async () => {
  const plain = await load({ args: ['--development'] });
  const { apiWorkers, grpcWorkers, runnerWorkers, logLevel } = plain.config;
  assert.deepEqual([apiWorkers, grpcWorkers, runnerWorkers, logLevel], [1, 1, 1, 'debug']);
  assert.equal(plain.origins.logLevel, 'development');
  const told = await load({ args: ['--development', '--log-level', 'info'], env: { JUBAKO_API_WORKERS: 'auto' } });
  assert.deepEqual([told.config.logLevel, told.config.apiWorkers], ['info', null]);
});

test('loadConfig treats port and grpcPort as one in a server that is gRPC only; the later layer wins', async (t) => {
  const folder = await folderWith(t, { 'shared.yaml': 'port: 4000\ngrpcPort: 4001\nhost: 10.0.0.1\n' });
  const from = { command: 'start-grpc-server', cwd: folder, file: 'shared.yaml' } as const;
  const shared = await load(from);
  assert.deepEqual([shared.config.port, shared.config.grpcPort], [4001, 4001]);
  assert.deepEqual([shared.config.host, shared.config.grpcHost], ['10.0.0.1', '10.0.0.1']);
  assert.equal(shared.origins.port, 'file shared.yaml:grpcPort');
  const told = await load({ ...from, args: ['--port', '4002'] });
  assert.deepEqual([told.config.port, told.config.grpcPort, told.config.grpc], [4002, 4002, true]);
});

test('loadConfig refuses settings that contradict each other', async () => {
  const tls = ['--ssl-certfile', 'c', '--ssl-keyfile', 'k'];
  assert.deepEqual(await problemsOf({ args: ['--ssl-certfile', 'c'] }), [
    'sslKeyfile is missing: sslCertfile is given, wanted both',
  ]);
  assert.deepEqual(await problemsOf({ args: ['--ssl-keyfile', 'k'] }), [
    'sslCertfile is missing: sslKeyfile is given, wanted both',
  ]);
  assert.deepEqual(await problemsOf({ args: [...tls, '--ssl-cert-reqs', 'required'] }), [
    'sslCaCerts is missing: sslCertReqs is "required", which needs authorities',
  ]);
  assert.deepEqual(await problemsOf({ args: ['--ssl-cert-reqs', 'optional', '--ssl-ca-certs', 'ca'] }), [
    'sslCertfile is missing: sslCertReqs is "optional", which needs TLS',
  ]);
  assert.deepEqual(await problemsOf({ args: ['--grpc', '--grpc-port', '3000'] }), [
    'grpcPort 3000 is taken by port: wanted two ports',
  ]);
  assert.deepEqual(await problemsOf({ command: 'start-runner-server' }), [
    'runnerName is missing: wanted --runner-name NAME',
  ]);
  await load({ args: [...tls, '--ssl-cert-reqs', 'none'] });
});

test('loadConfig does not judge a contradiction on a value that it refused', async () => {
  const [problem, ...more] = await problemsOf({ args: ['--ssl-certfile', 'c', '--ssl-keyfile', ''] });
  assert.equal(problem, 'sslKeyfile "" (flag --ssl-keyfile): wanted the path of a file');
  assert.deepEqual(more, []);
});

test('loadConfig takes a module as target', async (t) => {
  const folder = await folderWith(t, { 'service.ts': '' });
  const { positionals } = await load({ args: ['service.ts'], cwd: folder });
  assert.deepEqual(positionals, ['service.ts']);
  await load({ args: ['service.ts:export'], cwd: folder });
});
