import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFlags } from '#dist/config/read-flags.js';
import type { CommandName } from '#dist/config/settings.js';

function values(
  args: readonly string[],
  command: CommandName = 'serve',
): readonly (readonly [string, unknown, string])[] {
  const { given, problems } = readFlags(command, args, '/');
  assert.deepEqual(problems, []);
  return given.map(({ setting, value, origin }) => [setting, value, origin] as const);
}

function problem(args: readonly string[], command: CommandName = 'serve'): string {
  const { problems } = readFlags(command, args, '/');
  assert.equal(problems.length, 1);
  assert.equal(problems[0]?.usage, true);
  return problems[0].text;
}

test('readFlags takes values after a space and after "=", negative ones too', () => {
  assert.deepEqual(values(['--port', '1', '--host=h', '--max-message-length', '-1']), [
    ['port', '1', 'flag --port'],
    ['host', 'h', 'flag --host'],
    ['maxMessageLength', '-1', 'flag --max-message-length'],
  ]);
});

test('readFlags takes switches on, off and spelled out', () => {
  assert.deepEqual(values(['--grpc', '--no-metrics', '--access-log=false']), [
    ['grpc', 'true', 'flag --grpc'],
    ['metrics', 'false', 'flag --no-metrics'],
    ['accessLog', 'false', 'flag --access-log'],
  ]);
});

test('readFlags takes the words of the reference and of most commands', () => {
  assert.deepEqual(
    values(['--enable-reflection', '--enable-channelz', '-pv', 'v1', '--debug', '--verbose', '--quiet']),
    [
      ['reflection', 'true', 'flag --enable-reflection'],
      ['channelz', 'true', 'flag --enable-channelz'],
      ['protocolVersion', 'v1', 'flag --protocol-version'],
      ['logLevel', 'debug', 'flag --debug'],
      ['logLevel', 'debug', 'flag --verbose'],
      ['logLevel', 'warn', 'flag --quiet'],
    ],
  );
});

test('readFlags gives target and file, and leaves what follows "--" alone', () => {
  const { positionals, file, problems } = readFlags('serve', ['--config', 'x.yaml', '--grpc', '--', '-pv'], '/');
  assert.deepEqual([positionals, file, problems], [['-pv'], 'x.yaml', []]);
});

test('readFlags refuses flags that it does not know, with the nearest one or the right one', () => {
  assert.equal(problem(['--prot', '1']), 'unknown flag --prot; did you mean "--port"?');
  assert.equal(problem(['--xyzzy']), 'unknown flag --xyzzy');
  assert.equal(problem(['-x']), 'unknown flag -x');
  assert.equal(problem(['--no-port']), 'unknown flag --no-port; did you mean "--port"?');
  assert.match(problem(['--production']), /^unknown flag --production: leave it out/);
  assert.match(problem(['--reload']), /--development/);
  assert.match(problem(['--bind', 'tcp://h:1']), /--host and --port/);
});

test('readFlags refuses the flags of another command and says whose they are', () => {
  assert.equal(
    problem(['--grpc-port', '1'], 'start-http-server'),
    '--grpc-port: "start-http-server" does not take it; serve would',
  );
  assert.equal(
    problem(['--protocol-version', 'v1'], 'start-http-server'),
    '--protocol-version: "start-http-server" does not take it; serve, start-grpc-server would',
  );
});

test('readFlags refuses values that are missing or too many', () => {
  assert.equal(problem(['--port']), '--port: the value is missing; wanted --port PORT');
  assert.equal(problem(['--port', '--grpc']), '--port: the value is missing; wanted --port PORT');
  assert.equal(problem(['--debug=1']), '--debug: it takes no value');
  assert.equal(problem(['--no-grpc=true']), '--no-grpc: it takes no value');
  assert.equal(problem(['a', 'b']), 'too many targets: wanted one, got "a", "b"');
});
