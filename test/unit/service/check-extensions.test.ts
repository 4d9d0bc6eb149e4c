import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkService } from '#dist/service/check-service.js';
import { defineService, json } from '#dist/service/index.js';

function check(extensions: Readonly<Record<string, unknown>>): void {
  const apis = { deep: { route: '/app/deep', input: json(), output: json(), handler: () => null } };
  checkService({ ...defineService({ name: 's', apis }), ...extensions });
}

const plugin = (): void => undefined;
const definition = { Say: { path: '/p.S/Say', requestStream: false } };

test('checkService takes plugins, gRPC services, interceptors and mounts', () => {
  check({
    http: { plugins: [plugin] },
    grpc: { services: [{ definition, implementation: plugin }], interceptors: [plugin] },
  });
  check({ grpc: { services: [{ definition: { proto: 'a.proto', service: 'p.S' }, implementation: plugin }] } });
  check({
    grpc: { services: [{ definition: { proto: new URL('file:///a.proto'), service: 'p.S' }, implementation: plugin }] },
  });
  check({
    mounts: {
      '/gradio': { upstream: 'http://127.0.0.1:7860' },
      '/ui/x': { upstream: 'https://example.org/', stripPath: false },
      '/own': { command: ['python', 'app.py', '{port}'], cwd: 'ui', env: { A: '1' }, readyPath: '/health' },
    },
  });
});

for (const [what, extensions, message] of [
  ['plugins that are no list', { http: { plugins: plugin } }, /http.plugins must be a list of functions/],
  ['a plugin that is no function', { http: { plugins: ['cors'] } }, /http.plugins must be a list of functions/],
  [
    'an option of http that is none',
    { http: { plugins: [], hooks: [] } },
    /http has no option "hooks", wanted plugins/,
  ],
  ['http that is a function', { http: plugin }, /http must be an object/],
  ['an interceptor that is none', { grpc: { interceptors: [{}] } }, /grpc.interceptors must be a list of functions/],
  [
    'a gRPC service without handlers',
    { grpc: { services: [{ definition }] } },
    /grpc.services\[0\] has no implementation/,
  ],
  [
    'a gRPC service without a definition',
    { grpc: { services: [{ implementation: plugin }] } },
    /definition must be an object/,
  ],
  [
    'a definition that is none',
    { grpc: { services: [{ definition: { proto: 'a.proto' }, implementation: plugin }] } },
    /neither that of generated code nor \{ proto: file, service: full name \}/,
  ],
] as const) {
  test(`checkService refuses ${what}`, () => {
    assert.throws(() => check(extensions), { code: 'SERVICE_INVALID', message });
  });
}

for (const [path, message] of [
  ['gradio', /must start with one "\/"/],
  ['//gradio', /must start with one "\/"/],
  ['/gradio/', /must not end with "\/"/],
  ['/', /must not end with "\/"/],
  ['/:name', /must start with one "\/" and hold no/],
  ['/a*', /must start with one "\/" and hold no/],
  ['/metrics', /is reserved/],
  ['/v2', /is reserved/],
  ['/v2/models', /is reserved/],
  ['/jubako', /is reserved/],
  ['/app', /the mount "\/app" hides the route "\/app\/deep" of API "deep"/],
  ['/app/deep', /hides the route/],
  ['/outer', /the mount "\/outer" hides the mount "\/outer\/inner"/],
] as const) {
  test(`checkService refuses a mount at "${path}"`, () => {
    const upstream = 'http://127.0.0.1:1';
    assert.throws(() => check({ mounts: { '/outer/inner': { upstream }, [path]: { upstream } } }), {
      code: 'SERVICE_INVALID',
      message,
    });
  });
}

for (const [what, mount, message] of [
  ['neither upstream nor command', {}, /must have either "upstream" or "command"/],
  ['both', { upstream: 'http://a:1', command: ['a'] }, /must have either/],
  [
    'an upstream that is no URL',
    { upstream: 'localhost:80' },
    /upstream is "localhost:80", wanted "http:\/\/host:port"/,
  ],
  ['an upstream with a path', { upstream: 'http://a:1/b' }, /wanted "http:\/\/host:port"/],
  ['an upstream with a password', { upstream: 'http://u:p@a:1' }, /wanted "http:\/\/host:port"/],
  ['an upstream and a folder', { upstream: 'http://a:1', cwd: 'x' }, /is not started here: leave out "cwd"/],
  ['an option that is none', { upstream: 'http://a:1', port: 1 }, /has no option "port", wanted upstream, command/],
  ['a command that is a text', { command: 'python app.py' }, /command must be a list of texts/],
  ['no command', { command: [] }, /command is empty/],
  ['a number in the environment', { command: ['a'], env: { PORT: 1 } }, /env.PORT must be a text/],
  [
    'a ready path that is none',
    { command: ['a'], readyPath: 'health' },
    /readyPath must be a text that starts with "\/"/,
  ],
  ['a folder that is no text', { command: ['a'], cwd: 5 }, /cwd must be a text/],
  ['a word for stripPath', { command: ['a'], stripPath: 'no' }, /stripPath must be true or false/],
] as const) {
  test(`checkService refuses a mount with ${what}`, () => {
    assert.throws(() => check({ mounts: { '/m': mount } }), { code: 'SERVICE_INVALID', message });
  });
}
