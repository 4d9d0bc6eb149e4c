import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { embedJsonSchema } from '#dist/http/openapi-json-schema.js';

const PLACE = '#/components/schemas/x';

function embedded(schema: Readonly<Record<string, unknown>>): unknown {
  return embedJsonSchema(schema, PLACE);
}

test('embedJsonSchema leaves what means the same as it is', () => {
  for (const schema of [
    {},
    { type: ['string', 'null'], const: null, examples: [1], if: { minimum: 1 }, then: false, else: true },
    { exclusiveMinimum: 0, patternProperties: { '^a': { type: 'string' } }, propertyNames: { maxLength: 3 } },
    { prefixItems: [{ type: 'string' }], items: false, contains: {}, unevaluatedProperties: false },
    { properties: { $ref: { type: 'string' }, items: {} }, required: ['$ref'], 'x-mine': { $ref: '#/nowhere' } },
    { enum: [{ $ref: '#/a' }], default: { $id: 'x' }, title: 'T', $comment: 'c', format: 'email', deprecated: true },
  ])
    assert.deepEqual(embedded(schema), schema);
});

test('embedJsonSchema leads references to where they stand now', () => {
  assert.deepEqual(
    embedded({
      properties: {
        self: { $ref: '#' },
        node: { $ref: '#/$defs/Tree%20node' },
        odd: { $ref: '#/$defs/a~1b', description: 'beside' },
        deep: { $ref: '#/properties/node' },
      },
      $defs: { 'Tree node': { items: { $ref: '#/$defs/Tree node' } }, 'a/b': true },
    }),
    {
      properties: {
        self: { $ref: PLACE },
        node: { $ref: `${PLACE}/$defs/Tree%20node` },
        odd: { $ref: `${PLACE}/$defs/a~1b`, description: 'beside' },
        deep: { $ref: `${PLACE}/properties/node` },
      },
      $defs: { 'Tree node': { items: { $ref: `${PLACE}/$defs/Tree%20node` } }, 'a/b': true },
    },
  );
});

test('embedJsonSchema follows references by name and drops the names', () => {
  assert.deepEqual(
    embedded({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'https://example.com/root.json',
      properties: {
        byId: { $ref: 'inner.json' },
        byAnchor: { $ref: '#leaf' },
        byBoth: { $ref: 'https://example.com/inner.json#/properties/a' },
        root: { $ref: 'root.json' },
        dynamic: { $dynamicRef: '#leaf' },
      },
      $defs: {
        inner: { $id: 'inner.json', properties: { a: { $ref: '#/$defs/b' } }, $defs: { b: { $ref: '#' } } },
        leaf: { $anchor: 'leaf', type: 'string' },
      },
    }),
    {
      properties: {
        byId: { $ref: `${PLACE}/$defs/inner` },
        byAnchor: { $ref: `${PLACE}/$defs/leaf` },
        byBoth: { $ref: `${PLACE}/$defs/inner/properties/a` },
        root: { $ref: PLACE },
        dynamic: { $ref: `${PLACE}/$defs/leaf` },
      },
      $defs: {
        inner: {
          properties: { a: { $ref: `${PLACE}/$defs/inner/$defs/b` } },
          $defs: { b: { $ref: `${PLACE}/$defs/inner` } },
        },
        leaf: { type: 'string' },
      },
    },
  );
  // As TypeBox writes a schema that contains itself.
  assert.deepEqual(embedded({ $id: 'T0', type: 'object', properties: { next: { $ref: 'T0' } } }), {
    type: 'object',
    properties: { next: { $ref: PLACE } },
  });
});

test('embedJsonSchema leaves out references that lead nowhere', () => {
  assert.deepEqual(
    embedded({ properties: { far: { $ref: 'https://example.com/x.json' }, lost: { $ref: '#/$defs/x' } } }),
    {
      properties: { far: {}, lost: {} },
    },
  );
});

test('embedJsonSchema says what older drafts say in other words in those of 2020-12', () => {
  for (const [given, wanted] of [
    [
      { items: [{ type: 'string' }, { $ref: '#/items/0' }], additionalItems: { type: 'number' } },
      { prefixItems: [{ type: 'string' }, { $ref: `${PLACE}/prefixItems/0` }], items: { type: 'number' } },
    ],
    [{ items: {}, additionalItems: false }, { items: {} }],
    [
      { dependencies: { a: ['b'], c: { required: ['d'] } } },
      { dependentRequired: { a: ['b'] }, dependentSchemas: { c: { required: ['d'] } } },
    ],
    [{ type: 'string', nullable: true }, { type: ['string', 'null'] }],
    [
      { definitions: { a: { $id: '#old' } }, $ref: '#old' },
      { definitions: { a: {} }, $ref: `${PLACE}/definitions/a` },
    ],
    [{ discriminator: 'kind', xml: 1 }, {}],
  ] as const)
    assert.deepEqual(embedded(given), wanted);
});

test('embedJsonSchema means the same to JSON Schema 2020-12 as the schema did to draft 7', () => {
  const schema = {
    $id: 'https://example.com/list.json',
    type: 'object',
    required: ['head'],
    properties: { head: { $ref: '#/definitions/cell' } },
    definitions: {
      cell: {
        type: 'object',
        properties: {
          pair: { items: [{ type: 'integer' }, { $ref: '#name' }], additionalItems: false },
          next: { $ref: '#/definitions/cell' },
        },
        dependencies: { next: ['pair'] },
        additionalProperties: false,
      },
      name: { $id: '#name', type: 'string', nullable: true },
    },
  };
  const draft7 = new Ajv({ strict: false }).compile(schema);
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema({ components: { schemas: { x: embedJsonSchema(schema, PLACE) } } }, 'document');
  const embeddedSchema = ajv.getSchema(`document${PLACE}`);
  for (const value of [
    {},
    { head: {} },
    { head: { pair: [1, null], next: { pair: [1, 'a'] } } },
    { head: { next: {} } },
    { head: { pair: [1, 2] } },
    { head: { pair: [1, 'a', 3] } },
    { head: { pair: ['a'] } },
    { head: { other: 1 } },
    { head: { pair: [], next: { pair: [1], next: { pair: [1.5] } } } },
  ])
    assert.equal(embeddedSchema?.(value), draft7(value), JSON.stringify(value));
});
