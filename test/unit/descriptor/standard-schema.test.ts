import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from '@sinclair/typebox';
import { z } from 'zod';
import { json, type StandardIssue, type StandardSchema } from '#dist/service/index.js';

const PERSON = z.object({
  name: z.string().min(2),
  age: z.coerce.number().int(),
  tags: z.array(z.string()).default([]),
  'a/b': z.number().optional(),
});

/** A schema of a library that offers nothing but what Standard Schema demands. */
function bareSchema(validate: StandardSchema['~standard']['validate']): StandardSchema {
  return { '~standard': { version: 1, vendor: 'bare', validate } };
}

test('json() gives the handler what a Standard Schema made of the value', () => {
  assert.deepEqual(json(PERSON).fromJson({ name: 'Ann', age: '5' }), { name: 'Ann', age: 5, tags: [] });
  assert.deepEqual(json(PERSON).check({ name: 'Ann', age: 5, tags: [] }), { name: 'Ann', age: 5, tags: [] });
});

for (const [what, value, message, path] of [
  ['a value within', { name: 'Ann', age: 5, tags: ['a', 7] }, /\/tags\/1 .*string.*, got 7$/, '/tags/1'],
  ['a missing key', { age: 5 }, /\/name .*, got undefined$/, '/name'],
  ['a key with a slash', { name: 'Ann', age: 5, 'a/b': 'x' }, /\/a~1b .*, got "x"$/, '/a~1b'],
  ['the whole', 'Ann', /: \/ .*, got "Ann"$/, '/'],
] as const) {
  test(`json() names path, wish and value where a Standard Schema refuses ${what}`, () => {
    assert.throws(
      () => json(PERSON).fromJson(value),
      (error: { code: string; message: string; details: { path: string; message: string }[] }) => {
        assert.equal(error.code, 'INVALID_INPUT');
        assert.match(error.message, message);
        assert.equal(error.details[0]?.path, path);
        return true;
      },
    );
  });
}

test('json() tells all that is wrong by a Standard Schema, up to eight', () => {
  const issues = Array.from({ length: 100 }, (_, i): StandardIssue => ({ message: 'no', path: [{ key: 'list' }, i] }));
  const described = json(bareSchema(() => ({ issues })));
  assert.throws(
    () => described.fromJson({ list: [] }),
    (error: { message: string; details: { path: string }[] }) => {
      assert.match(error.message, /\/list\/0 no, got undefined/);
      assert.deepEqual(error.details.at(-1), { path: '/list/7', message: 'no' });
      return true;
    },
  );
});

test('json() refuses a value for which a Standard Schema gives no reason', () => {
  const described = json(bareSchema(() => ({ issues: [] })));
  assert.throws(() => described.fromJson(5), { code: 'INVALID_INPUT', message: /\/ does not fit the schema, got 5/ });
});

test('json() does not wait for a Standard Schema that checks by a promise', () => {
  const slow = json(z.string().refine(async () => Promise.resolve(true)));
  assert.throws(() => slow.fromJson('a'), { code: 'SERVICE_INVALID', message: /schema of zod that gives a promise/ });
  const failing = json(bareSchema(async () => Promise.reject(new Error('later'))));
  assert.throws(() => failing.fromJson('a'), { code: 'SERVICE_INVALID' }); // and nothing is left unhandled
});

test('json() blames the service where a check of a Standard Schema throws', () => {
  const fail = (): never => {
    throw new TypeError('a bug');
  };
  assert.throws(() => json(bareSchema(fail)).fromJson('a'), { code: 'USER_CODE', message: 'a bug' });
  assert.throws(() => json(z.string().refine(fail)).fromJson('a'), {
    code: 'SERVICE_INVALID',
    message: /without throwing/,
  });
});

test('json() takes the JSON Schema for the documentation from the library', () => {
  const { schema } = json(PERSON).spec;
  assert.deepEqual(schema['required'], ['name', 'age']);
  assert.deepEqual(Object.keys(schema['properties'] as object), ['name', 'age', 'tags', 'a/b']);
  const older = Object.assign(
    bareSchema((value) => ({ value })),
    { toJSONSchema: () => ({ type: 'string' }) },
  );
  assert.deepEqual(json(older).spec.schema, { type: 'string' });
});

test('json() documents nothing where the library cannot say', () => {
  assert.deepEqual(json(bareSchema((value) => ({ value }))).spec.schema, {});
  const failing = Object.assign(
    bareSchema((value) => ({ value })),
    {
      toJSONSchema: () => {
        throw new Error('not supported');
      },
    },
  );
  assert.deepEqual(json(failing).spec.schema, {});
  const dated = json(z.object({ at: z.date() })).spec.schema;
  assert.deepEqual(dated['properties'], { at: {} });
});

test('json() takes a schema that is a function', () => {
  const described = json(
    Object.assign(
      () => undefined,
      bareSchema((value) => ({ value: [value] })),
    ),
  );
  assert.deepEqual(described.fromJson(5), [5]);
});

test('json() takes schemas of TypeBox, whose JSON Schema is checked', () => {
  const described = json(Type.Object({ a: Type.Integer({ maximum: 3 }) }));
  assert.deepEqual(described.fromJson({ a: 3 }), { a: 3 });
  assert.throws(() => described.fromJson({ a: 4 }), { code: 'INVALID_INPUT', message: /\/a must be <= 3, got 4/ });
});

for (const [draft, keyword, wrong] of [
  ['http://json-schema.org/draft-07/schema#', { items: [{ type: 'string' }] }, [5]],
  ['https://json-schema.org/draft/2019-09/schema', { unevaluatedProperties: false }, { a: 1 }],
  ['https://json-schema.org/draft/2020-12/schema', { prefixItems: [{ type: 'string' }] }, [5]],
  ['https://json-schema.org/draft/2020-12/schema#', { prefixItems: [{ type: 'string' }] }, [5]],
] as const) {
  test(`json() knows the keywords of ${draft}`, () => {
    assert.throws(() => json({ $schema: draft, ...keyword }).fromJson(wrong), { code: 'INVALID_INPUT' });
  });
}

test('json() takes a schema without $schema as draft 7', () => {
  assert.deepEqual(json({ prefixItems: [{ type: 'string' }] }).fromJson([5]), [5]);
  assert.throws(() => json({ items: [{ type: 'string' }] }).fromJson([5]), { code: 'INVALID_INPUT' });
});

test('json() refuses a draft that it does not know, when it is prepared', () => {
  const described = json({ $schema: 'http://json-schema.org/draft-04/schema#', type: 'string' });
  assert.throws(() => described.prepare?.(), { code: 'SERVICE_INVALID', message: /draft-04/ });
});
