import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { sampleOf } from '#dist/http/json-sample.js';

function sample(schema: Readonly<Record<string, unknown>>): unknown {
  return sampleOf(schema, (reference) => {
    const keys = reference.split('/').slice(1);
    return keys.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], schema);
  });
}

test('sampleOf makes the smallest value that the usual keywords allow', () => {
  for (const [schema, wanted] of [
    [{ const: 3 }, 3],
    [{ enum: ['b', 'a'] }, 'b'],
    [{ type: 'string', default: 'd', examples: ['e'] }, 'd'],
    [{ type: 'string', examples: ['e'] }, 'e'],
    [{ type: 'string', minLength: 2 }, 'aa'],
    [{ type: 'string', format: 'date' }, '2000-01-01'],
    [{ type: ['null', 'boolean'] }, false],
    [{ type: 'null' }, null],
    [{ type: 'integer' }, 0],
    [{ type: 'integer', minimum: 3 }, 3],
    [{ type: 'integer', exclusiveMinimum: 3 }, 4],
    [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, 0.5],
    [{ type: 'integer', maximum: -3 }, -3],
    [{ type: 'integer', minimum: 7, multipleOf: 5 }, 10],
    [{ type: 'array', items: { type: 'string' } }, []],
    [{ type: 'array', items: { type: 'integer' }, minItems: 2 }, [0, 0]],
    [{ prefixItems: [{ const: 1 }, { type: 'string' }] }, [1, '']],
    [{ type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, required: ['b'] }, { b: 2 }],
    [{ required: ['a'] }, { a: null }],
    [{ allOf: [{ type: 'object', required: ['a'] }, { properties: { a: { const: 5 } } }] }, { a: 5 }],
    [{ anyOf: [{ $ref: '#/$defs/lost' }, { type: 'boolean' }] }, false],
    [{ oneOf: [{ required: ['b'] }], type: 'object', properties: { b: { const: 1 } } }, { b: 1 }],
    [{ $ref: '#/$defs/a', $defs: { a: { type: 'integer', minimum: 1 } } }, 1],
  ] as const)
    assert.deepEqual(sample(schema), wanted, JSON.stringify(schema));
});

test('sampleOf gives up where a schema has no end, or none comes to mind', () => {
  assert.equal(sample({ type: 'object', required: ['self'], properties: { self: { $ref: '#' } } }), undefined);
  assert.equal(sample({ type: 'array', minItems: 1e9 }), undefined);
  assert.equal(sample({ not: {}, $ref: '#/nowhere' }), undefined);
  assert.equal(sample({ required: ['a'], properties: { a: false } }), undefined);
});

test('sampleOf fits plain schemas of numbers, lists and objects', () => {
  const number = fc.record({ type: fc.constant('integer'), minimum: fc.integer({ min: -100, max: 100 }) });
  const text = fc.record({ type: fc.constant('string'), minLength: fc.nat(5) });
  const { schema } = fc.letrec((tie) => ({
    schema: fc.oneof({ depthSize: 'small' }, number, text, tie('list'), tie('object')),
    list: fc.record({ type: fc.constant('array'), items: tie('schema'), minItems: fc.nat(3) }),
    object: fc
      .dictionary(fc.constantFrom('a', 'b', 'c'), tie('schema'))
      .map((properties) => ({ type: 'object', properties, required: Object.keys(properties) })),
  }));
  fc.assert(
    fc.property(schema, (given) => {
      const value = sampleOf(given, () => undefined);
      const validate = new Ajv2020({ strict: false }).compile(given as object);
      assert.ok(value === undefined || validate(value), JSON.stringify([given, value]));
    }),
    { numRuns: 100 },
  );
});
