import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkService } from '#dist/service/check-service.js';
import {
  bytes,
  defineRunner,
  defineService,
  image,
  json,
  multipart,
  stream,
  tensor,
  text,
  type Descriptor,
  type RunnerDefinition,
} from '#dist/service/index.js';

type Changes = Partial<Pick<RunnerDefinition, 'placement' | 'runners' | 'workers' | 'threads' | 'resources'>>;

function runner(name: string, changes: Changes = {}): RunnerDefinition {
  const methods = { run: { input: json(), output: json(), run: () => null } };
  return { ...defineRunner({ name, load: () => null, methods }), ...changes };
}

function check(...runners: RunnerDefinition[]): void {
  checkService(defineService({ name: 's', runners, apis: {} }));
}

const near = runner('near', { placement: 'embedded' });

test('checkService takes runners that call others, and embedded ones', () => {
  const scale = runner('scale');
  check(
    near,
    runner('pipeline', { runners: [scale] }),
    runner('ensemble', { placement: 'embedded', runners: [scale] }),
  );
});

for (const placement of ['process', 'embedded'] as const) {
  test(`checkService refuses a runner of placement ${placement} that calls an embedded one: it could not reach it`, () => {
    assert.throws(() => check(runner('caller', { placement, runners: [near] })), {
      code: 'SERVICE_INVALID',
      message:
        'Cannot serve "s": runner "caller" calls "near", which is embedded: only APIs reach an embedded runner, so place it "process"',
    });
  });
}

test('checkService refuses runners that call each other in a circle', () => {
  const first = runner('first');
  const second = runner('second', { runners: [first] });
  Object.assign(first, { runners: [second] });
  assert.throws(() => check(first), { code: 'SERVICE_INVALID', message: /first.*second.*first/ });
});

for (const [what, changes, message] of [
  ['workers of an embedded runner', { placement: 'embedded', workers: 2 }, /has no workers of its own/],
  ['devices of an embedded runner', { placement: 'embedded', resources: { devices: ['0'] } }, /shares its process/],
  ['a placement that is none', { placement: 'nowhere' as 'process' }, /placement is "nowhere", wanted "process" or/],
  ['no threads', { threads: 0 }, /threads is 0, wanted a whole number from 1 to 256/],
] as const) {
  test(`checkService refuses ${what}`, () => {
    assert.throws(() => check(runner('r', changes)), { code: 'SERVICE_INVALID', message });
  });
}

function checkMethod(input: unknown, output: unknown): void {
  const methods = { run: { input, output, run: () => null } };
  check({ name: 'r', load: () => null, methods } as unknown as RunnerDefinition);
}

function checkApi(api: Readonly<Record<string, unknown>>): void {
  const apis = { a: { input: json(), output: json(), handler: () => null, ...api } };
  checkService({ ...defineService({ name: 's', apis: {} }), apis });
}

const streamOf = (of: unknown): unknown => stream(of as Descriptor<unknown, never>);

test('checkService takes every descriptor where it may stand', () => {
  checkMethod(json(), streamOf(tensor('int32', [-1])));
  checkApi({ input: image(), output: multipart({ a: text(), 'b-2.c_d': image() }) });
  for (const item of [json(), text(), bytes(), tensor('int32', [-1])]) checkApi({ output: streamOf(item) });
});

for (const [what, input, output, message] of [
  ['a text', text(), json(), /method "r.run": its input is text\(\): wanted json\(\), tensor\(\), tensors\(\)$/],
  ['an image as output', json(), image(), /method "r.run": its output is image\(\): wanted json/],
  ['a stream as input', streamOf(json()), json(), /its input is stream\(\)/],
  ['a stream of texts', json(), streamOf(text()), /its output: each value of it is text\(\): wanted json/],
  ['a stream of nothing', json(), { ...(streamOf(json()) as object), check: 1 }, /its output is no descriptor/],
  ['no input', undefined, json(), /its input is no descriptor: wanted json/],
  ['a schema as input', { type: 'object' }, json(), /its input is no descriptor/],
] as const) {
  test(`checkService refuses a method with ${what}`, () => {
    assert.throws(() => checkMethod(input, output), { code: 'SERVICE_INVALID', message });
  });
}

for (const [what, changes, message] of [
  ['a stream as input', { input: streamOf(json()) }, /API "a": its input is stream\(\)/],
  ['a stream of images', { output: streamOf(image()) }, /each value of it is image\(\): wanted json/],
  ['no output', { output: undefined }, /API "a": its output is no descriptor/],
  ['a form without fields', { input: multipart({}) }, /API "a": its input is multipart\(\) without fields/],
  ['a field with a space', { input: multipart({ 'a b': text() }) }, /the field "a b", wanted 1 to 63 letters/],
  ['a field named __proto__', { output: multipart({ ['__proto__']: text() }) }, /the field "__proto__"/],
  ['a reserved route', { route: '/v2/x' }, /the route "\/v2\/x" of API "a" is reserved/],
  ['a route with a parameter', { route: '/a/:id' }, /must start with one "\/" and hold no/],
  ['a route that is no text', { route: 5 }, /the route "5" of API "a" must start/],
] as const) {
  test(`checkService refuses an API with ${what}`, () => {
    assert.throws(() => checkApi(changes), { code: 'SERVICE_INVALID', message });
  });
}
