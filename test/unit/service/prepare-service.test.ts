import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { prepareService } from '#dist/service/prepare-service.js';
import {
  defineRunner,
  defineService,
  image,
  json,
  multipart,
  table,
  text,
  type Descriptor,
  type ServiceDefinition,
} from '#dist/service/index.js';

function serviceOf(input: Descriptor, example: unknown): ServiceDefinition {
  return defineService({ name: 's', apis: { a: { input, output: json(), example, handler: () => null } } });
}

const PIXEL = await sharp(Uint8Array.of(1, 2, 3), { raw: { width: 1, height: 1, channels: 3 } })
  .png()
  .toBuffer();

for (const [what, input, example] of [
  ['a text', text(), 'hi'],
  ['an image', image(), PIXEL.toString('base64')],
  [
    'a form with an image',
    multipart({ photo: image(), note: text() }),
    { photo: { data: PIXEL.toString('base64') }, note: '' },
  ],
  ['a table', table({ columns: { a: 'int32' } }), [{ a: 1 }]],
] as const) {
  test(`prepareService takes an example of ${what}`, async () => {
    await prepareService(serviceOf(input, example));
  });
}

for (const [what, input, example, message] of [
  ['a text', text({ maxLength: 1 }), 'hi', /the example of API "a" does not fit its input: .*2 characters/],
  [
    'an image',
    image(),
    PIXEL.toString('base64').slice(4),
    /the example of API "a" does not fit its input: Cannot read an image/,
  ],
  ['a form', multipart({ photo: image() }), { photo: '' }, /does not fit its input: Part "photo"/],
  ['a table', table({ columns: { a: 'int32' } }), [{ a: 'x' }], /\/0\/a must be a whole number/],
] as const) {
  test(`prepareService refuses an example that is no ${what}`, async () => {
    await assert.rejects(prepareService(serviceOf(input, example)), { code: 'SERVICE_INVALID', message });
  });
}

/** Says what was prepared. */
function watched(
  name: string,
  prepared: string[],
): Descriptor<unknown, { kind: 'json'; schema: object & Record<string, unknown> }> {
  const described = json();
  return {
    spec: described.spec,
    prepare: () => void prepared.push(name),
    fromJson: (value) => value,
    toJson: (value) => value,
    check: (value) => value,
  };
}

test('prepareService prepares for a compute thread what that uses, and for an API worker all', async () => {
  const prepared: string[] = [];
  const methodOf = (
    name: string,
  ): { readonly run: { input: ReturnType<typeof watched>; output: ReturnType<typeof watched>; run: () => null } } => ({
    run: { input: watched(`${name}.input`, prepared), output: watched(`${name}.output`, prepared), run: () => null },
  });
  const called = defineRunner({ name: 'called', load: () => null, methods: methodOf('called') });
  const caller = defineRunner({ name: 'caller', load: () => null, runners: [called], methods: methodOf('caller') });
  const apis = {
    a: { input: watched('a.input', prepared), output: watched('a.output', prepared), handler: () => null },
  };
  const service = defineService({ name: 's', runners: [caller], apis });
  await prepareService(service, 'caller');
  assert.deepEqual(prepared.splice(0), ['caller.output', 'called.input']);
  await prepareService(service);
  assert.deepEqual(prepared.sort(), [
    'a.input',
    'a.output',
    'called.input',
    'called.output',
    'caller.input',
    'caller.output',
  ]);
});
