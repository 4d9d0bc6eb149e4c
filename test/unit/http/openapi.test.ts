import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApiDocument, type OpenApiDocument } from '#dist/http/openapi.js';
import type { DescriptorSpec, JsonSchema } from '#dist/descriptor/descriptor.js';
import type { ApiManifest, Manifest } from '#dist/service/manifest.js';

const anything: DescriptorSpec = { kind: 'json', schema: {} };

function manifestWith(api: Partial<ApiManifest>): Manifest {
  const full: ApiManifest = { name: 'classify', route: '/v1/classify', input: anything, output: anything, ...api };
  return { name: 'digits', version: '3', apis: [full], runners: [], mounts: [], unavailable: [] };
}

function documentOf(api: Partial<ApiManifest>, metrics = true): OpenApiDocument {
  return openApiDocument(manifestWith(api), { metrics });
}

interface Post {
  readonly tags: readonly string[];
  readonly description?: string;
  readonly 'x-bentoml-name': string;
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody: {
    readonly content: Readonly<Record<string, { readonly schema: unknown; readonly example?: unknown }>>;
  };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

function postOf(document: OpenApiDocument): Post {
  return document.paths['/v1/classify']?.['post'] as unknown as Post;
}

function inputSchema(schema: JsonSchema): unknown {
  return documentOf({ input: { kind: 'json', schema } }).components.schemas['classify_input'];
}

void test('openApiDocument describes an API with its name, doc, example and schemas', () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
  const document = documentOf({ doc: 'Says which digit it is.', example: { a: 1 }, input: { kind: 'json', schema } });
  const post = postOf(document);
  assert.equal(document.openapi, '3.0.3');
  assert.deepEqual(post.tags, ['Service APIs']);
  assert.equal(post['x-bentoml-name'], 'classify');
  assert.equal(post.description, 'Says which digit it is.');
  assert.deepEqual(post.requestBody.content, {
    'application/json': { schema: { $ref: '#/components/schemas/classify_input' }, example: { a: 1 } },
  });
  assert.deepEqual(document.components.schemas['classify_input'], schema);
});

void test('openApiDocument lists every error status of the catalogue that an API can answer', () => {
  const document = documentOf({});
  const statuses = Object.keys(postOf(document).responses);
  assert.deepEqual(statuses, ['200', '400', '401', '403', '404', '413', '415', '429', '500', '503', '504']);
  const { Error503 } = document.components.responses as Record<string, { description: string; headers: object }>;
  assert.equal(Error503?.description, 'QUEUE_FULL, NOT_READY, DRAINING, RUNNER_LOST');
  assert.ok('Retry-After' in Error503.headers);
});

void test('openApiDocument names the infrastructure routes, /metrics only where it is served', () => {
  const routes = Object.keys(documentOf({}).paths);
  assert.deepEqual(routes, ['/v1/classify', '/livez', '/healthz', '/readyz', '/metrics', '/docs.json']);
  assert.equal('/metrics' in documentOf({}, false).paths, false);
});

void test('openApiDocument describes a tensor as nested lists and as bytes with their headers', () => {
  const spec: DescriptorSpec = { kind: 'tensor', dtype: 'uint8', shape: [-1, 2], allowNonFinite: false };
  const document = documentOf({ input: spec, output: spec });
  const { description, ...schema } = document.components.schemas['classify_input'] as Record<string, unknown>;
  assert.match(String(description), /uint8 tensor of shape \[-1, 2\]/);
  assert.deepEqual(schema, {
    type: 'array',
    items: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 255 }, minItems: 2, maxItems: 2 },
  });
  const post = postOf(document);
  assert.deepEqual(post.requestBody.content['application/octet-stream'], {
    schema: { type: 'string', format: 'binary' },
  });
  assert.deepEqual(
    post.parameters?.map(({ name }) => name),
    ['Tensor-Dtype', 'Tensor-Shape'],
  );
  assert.deepEqual(Object.keys(post.responses['200']?.content ?? {}), ['application/json', 'application/octet-stream']);
});

void test('openApiDocument offers no bytes for a tensor of texts', () => {
  const post = postOf(documentOf({ input: { kind: 'tensor', dtype: 'string', shape: [-1], allowNonFinite: false } }));
  assert.deepEqual(Object.keys(post.requestBody.content), ['application/json']);
});

void test('openApiDocument describes several tensors as an object that has each', () => {
  const ids = { kind: 'tensor', dtype: 'int64', shape: [-1], allowNonFinite: false } as const;
  const schema = documentOf({ input: { kind: 'tensors', fields: { ids } } }).components.schemas['classify_input'];
  assert.deepEqual(schema?.['required'], ['ids']);
  assert.equal(schema['additionalProperties'], false);
  const { ids: field } = schema['properties'] as Record<string, Record<string, unknown>>;
  assert.deepEqual(field?.['items'], { type: 'integer', format: 'int64' });
});

void test('openApiDocument turns newer JSON Schema into what OpenAPI 3.0 knows', () => {
  for (const [given, wanted] of [
    [{ const: 3 }, { enum: [3] }],
    [{ type: ['string', 'null'] }, { type: 'string', nullable: true }],
    [{ type: ['string', 'array'] }, { anyOf: [{ type: 'string' }, { type: 'array', items: {} }] }],
    [{ type: 'array' }, { type: 'array', items: {} }],
    [{ items: [{ type: 'string' }] }, { items: {} }],
    [{ exclusiveMinimum: 0 }, { minimum: 0, exclusiveMinimum: true }],
    [{ minimum: 5, exclusiveMinimum: 0 }, { minimum: 5 }],
    [
      { exclusiveMaximum: 1, maximum: 5 },
      { maximum: 1, exclusiveMaximum: true },
    ],
    [
      { exclusiveMaximum: true, maximum: 5 },
      { maximum: 5, exclusiveMaximum: true },
    ],
    [{ examples: [1, 2] }, { example: 1 }],
    [
      { additionalProperties: false, 'x-kept': 1 },
      { additionalProperties: false, 'x-kept': 1 },
    ],
    [{ properties: { a: true, b: false } }, { properties: { a: {}, b: { not: {} } } }],
    [{ $schema: 'draft', $id: 'x', if: {}, patternProperties: { a: {} } }, {}],
    [
      { allOf: [{ const: 1 }], not: { const: 2 } },
      { allOf: [{ enum: [1] }], not: { enum: [2] } },
    ],
  ] as const) {
    assert.deepEqual(inputSchema(given), wanted);
  }
});

void test('openApiDocument keeps references inside a schema alive, also to itself', () => {
  const { components } = documentOf({
    input: {
      kind: 'json',
      schema: {
        properties: {
          tree: { $ref: '#/$defs/Tree node' },
          self: { $ref: '#' },
          far: { $ref: 'https://example.com/x.json' },
        },
        $defs: { 'Tree node': { properties: { child: { $ref: '#/$defs/Tree%20node' } } } },
      },
    },
  });
  const node = { $ref: '#/components/schemas/classify_input_Tree_node' };
  assert.deepEqual(components.schemas['classify_input'], {
    properties: { tree: node, self: { $ref: '#/components/schemas/classify_input' }, far: {} },
  });
  assert.deepEqual(components.schemas['classify_input_Tree_node'], { properties: { child: node } });
});

void test('openApiDocument is plain JSON and has no dangling reference', () => {
  const document = documentOf({ input: { kind: 'tensor', dtype: 'float16', shape: [-1, 3], allowNonFinite: true } });
  const text = JSON.stringify(document);
  assert.deepEqual(JSON.parse(text), document);
  for (const [, pointer = ''] of text.matchAll(/"\$ref":"#([^"]+)"/g)) {
    let target: unknown = document;
    for (const key of pointer.split('/').slice(1)) target = (target as Record<string, unknown> | undefined)?.[key];
    assert.notEqual(target, undefined, pointer);
  }
});
