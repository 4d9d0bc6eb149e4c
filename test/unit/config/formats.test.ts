import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTING_BY_NAME } from '#dist/config/schema.js';
import type { SettingName } from '#dist/config/settings.js';
import { JubakoError } from '#dist/errors.js';

function read(name: SettingName, value: unknown): unknown {
  return SETTING_BY_NAME.get(name)?.format.read(value, '/base');
}

/** The refusals of a setting: value → what the message must say. */
function assertRefused(name: SettingName, cases: readonly (readonly [value: unknown, says: RegExp])[]): void {
  for (const [value, says] of cases) {
    assert.throws(
      () => read(name, value),
      (thrown) => thrown instanceof JubakoError && thrown.code === 'CONFIG_INVALID' && says.test(thrown.message),
      `${name} took ${String(value)}`,
    );
  }
}

test('host takes addresses and names, and refuses URLs, ports and half addresses', () => {
  for (const host of ['0.0.0.0', '::', '::1', 'localhost', 'models-1.internal', 'a_b.example.'])
    assert.equal(read('host', host), host);
  assert.equal(read('host', '[::1]'), '::1');
  const refused = ['', 'http://h', 'h:80', '1.2.3', '999.1.1.1', '-h', 'a..b', 'a b', `${'a'.repeat(64)}.b`, 127, null];
  assertRefused(
    'host',
    refused.map((value) => [value, /IP address or a DNS name/] as const),
  );
});

test('integers take numbers and their text, and nothing that is nearly one', () => {
  assert.equal(read('port', '0'), 0);
  assert.equal(read('port', 65_535), 65_535);
  const refused = ['80x', '', ' 80', '1e3', '0x10', '-1', '65536', 1.5, true, null, Number.NaN, [80]];
  assertRefused(
    'port',
    refused.map((value) => [value, /an integer from 0 to 65535/] as const),
  );
  assertRefused('backlog', [[0, /from 1 to 65535/]]);
  assertRefused('maxMessageLength', [
    [0, /from 1 to 2147483647, or -1/],
    [-2, /or -1/],
  ]);
  assertRefused('maxConcurrency', [[-1, /at least 0/]]);
});

test('worker counts take a number, auto and null', () => {
  assert.deepEqual([read('apiWorkers', '2'), read('apiWorkers', 'auto'), read('apiWorkers', null)], [2, null, null]);
  assertRefused('apiWorkers', [
    ['0', /from 1/],
    ['all', /from 1/],
  ]);
});

test('seconds take fractions and refuse what a timer cannot hold', () => {
  assert.equal(read('timeout', '0.25'), 0.25);
  assert.equal(read('timeout', 0), 0);
  const refused = ['1m', '-1', 'Infinity', Number.POSITIVE_INFINITY, Number.NaN, 2_147_484];
  assertRefused(
    'timeout',
    refused.map((value) => [value, /from 0 to 2147483/] as const),
  );
  assertRefused('timeoutKeepAlive', [[0, /from 0.001/]]);
});

test('bytes take units of 1024', () => {
  assert.deepEqual(
    [read('maxBodyBytes', '32MiB'), read('maxBodyBytes', '1 gib'), read('maxBodyBytes', 5)],
    [2 ** 25, 2 ** 30, 5],
  );
  assertRefused(
    'maxBodyBytes',
    ['32MB', '0', 1.5, '-1', 'MiB'].map((value) => [value, /KiB, MiB or GiB/] as const),
  );
});

test('maxWorkerMemoryBytes takes 0 for never and auto for the share of the cgroup', () => {
  assert.deepEqual(
    ['auto', null, '0', 0, '2GiB'].map((value) => read('maxWorkerMemoryBytes', value)),
    [null, null, 0, 0, 2 ** 31],
  );
  assertRefused('maxWorkerMemoryBytes', [
    ['-1', /at least 0/],
    ['50%', /at least 0/],
  ]);
});

test('cpus takes whole CPUs, or auto', () => {
  assert.deepEqual([read('cpus', '4'), read('cpus', 'auto')], [4, null]);
  assertRefused(
    'cpus',
    ['0', '0.5', 1025].map((value) => [value, /integer from 1 to 1024/] as const),
  );
});

test('booleans take the usual words', () => {
  assert.deepEqual(
    ['true', 'YES', 'on', '1', true].map((value) => read('grpc', value)),
    [true, true, true, true, true],
  );
  assert.deepEqual(
    ['false', 'no', 'Off', '0', false].map((value) => read('grpc', value)),
    [false, false, false, false, false],
  );
  assertRefused(
    'grpc',
    ['', 'maybe', 1, null].map((value) => [value, /true or false/] as const),
  );
});

test('sslVersion takes the lowest version, also by the numbers of Python, and refuses old ones by name', () => {
  const taken = ['TLSv1.2', 'tlsv1.3', 17, '16', 5, null].map((value) => read('sslVersion', value));
  assert.deepEqual(taken, ['TLSv1.2', 'TLSv1.3', 'TLSv1.2', 'TLSv1.2', 'TLSv1.2', null]);
  assertRefused('sslVersion', [
    [3, /TLS 1\.0 is refused as insecure; wanted TLSv1\.2 or TLSv1\.3/],
    ['4', /TLS 1\.1 is refused/],
    ['TLSv1.1', /TLS 1\.1 is refused/],
    [2, /PROTOCOL_TLS, .* is refused/],
    [1, /SSL 3\.0 is refused/],
    ['TLSv1.4', /^wanted TLSv1\.2/],
    [true, /^wanted TLSv1\.2/],
  ]);
});

test('sslCertReqs takes names and the numbers of Python, and gives names', () => {
  const taken = ['none', 'optional', 'required', 0, '1', 2].map((value) => read('sslCertReqs', value));
  assert.deepEqual(taken, ['none', 'optional', 'required', 'none', 'optional', 'required']);
  assertRefused(
    'sslCertReqs',
    ['CERT_NONE', 3, '', true].map((value) => [value, /none, optional or required/] as const),
  );
});

test('paths become absolute', () => {
  assert.deepEqual([read('sslCertfile', 'a/../c.pem'), read('sslCertfile', '/c.pem')], ['/base/c.pem', '/c.pem']);
  assertRefused(
    'sslCertfile',
    ['', 'a\0b', 5].map((value) => [value, /path of a file/] as const),
  );
});

test('runnerMap takes JSON and objects, and normalizes the addresses', () => {
  assert.deepEqual(read('runnerMap', '{"a":"file:///x.sock"}'), { a: ['unix:///x.sock'] });
  assert.deepEqual(read('runnerMap', { 'resnet.v1': ['tcp://[::1]:1'] }), { 'resnet.v1': ['tcp://[::1]:1'] });
  assertRefused('runnerMap', [
    ['{', /not JSON/],
    ['[]', /wanted \{"<runner>"/],
    ['null', /wanted \{"<runner>"/],
    [{ a: [] }, /runner "a" has no address/],
    [{ a: 'h:1' }, /no scheme/],
    ['{"__proto__":"tcp://h:1"}', /1 to 63 letters/],
  ]);
});

test('enumerations and names refuse what is not theirs', () => {
  assertRefused('protocolVersion', [['v2', /v1 or v1alpha1/]]);
  assertRefused('logFormat', [['xml', /auto, json or pretty/]]);
  assertRefused(
    'runnerName',
    ['', 'a/b', '.a', 'a'.repeat(64)].map((value) => [value, /1 to 63/] as const),
  );
  assertRefused('linkToken', [['', /not empty/]]);
});

test('corsOrigins take origins as browsers write them, or any', () => {
  assert.deepEqual(read('corsOrigins', 'https://app.example.com,\nhttp://localhost:5173,'), [
    'https://app.example.com',
    'http://localhost:5173',
  ]);
  assert.deepEqual([read('corsOrigins', '*'), read('corsOrigins', ['*']), read('corsOrigins', '')], [['*'], ['*'], []]);
  const refused = [
    'app.example.com',
    'https://a.example/',
    'https://a.example/x',
    'https://A.example',
    'https://a.example:443',
    'https://*.a.example',
    'ws://a.example',
    'null',
    [7],
    7,
    null,
  ];
  assertRefused(
    'corsOrigins',
    refused.map((value) => [value, /wanted (origins such as|a list)/] as const),
  );
});

test('apiKeys take keys that a header can carry and that nobody guesses', () => {
  const keys = ['0123456789abcdef', 'sk-live_a.b~c+d/e=:f', 'x'.repeat(512)];
  assert.deepEqual(read('apiKeys', keys.join('\n')), keys);
  assert.deepEqual([read('apiKeys', keys), read('apiKeys', [])], [keys, []]);
  const refused = [
    'short',
    'x'.repeat(513),
    'with space 12345678',
    'ümläut-ümläut-ümläut',
    ['0123456789abcdef', ''],
    7,
  ];
  assertRefused(
    'apiKeys',
    refused.map((value) => [value, /wanted (keys of 16 to 512|a list)/] as const),
  );
  assertRefused('apiKeys', [
    ['', /holds no key/],
    [' ,\n', /holds no key/],
  ]);
});

test('rateLimit takes fractions of a request per second', () => {
  assert.deepEqual([read('rateLimit', '0.5'), read('rateLimit', 100), read('rateLimit', '0')], [0.5, 100, 0]);
  assertRefused(
    'rateLimit',
    ['-1', '5/s', '', 1_000_001, Number.NaN, Number.POSITIVE_INFINITY, null].map(
      (value) => [value, /from 0 to 1000000/] as const,
    ),
  );
  assert.deepEqual([read('rateLimitBurst', 'auto'), read('rateLimitBurst', '3')], [null, 3]);
  assertRefused('rateLimitBurst', [
    ['0', /from 1/],
    ['1.5', /from 1/],
  ]);
});

test('trustedProxies take addresses and ranges of both families', () => {
  const ranges = ['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', 'fd00::/8', '::ffff:10.0.0.0/104'];
  assert.deepEqual(read('trustedProxies', ranges.join(', ')), ranges);
  const refused = [
    '10.0.0.0/33',
    '::1/129',
    '10.0.0/8',
    'proxy.internal',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '1.2.3.4:80',
    [7],
  ];
  assertRefused(
    'trustedProxies',
    refused.map((value) => [value, /addresses or CIDR ranges/] as const),
  );
});
