import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApiDocument, type OpenApiDocument, type OpenApiOptions } from '#dist/http/openapi.js';
import { manifestOf } from '#dist/service/manifest-of.js';
import {
  bytes,
  defineService,
  file,
  image,
  json,
  multipart,
  stream,
  table,
  tensor,
  tensors,
  text,
  type ApiDefinition,
  type ServiceDefinition,
} from '#dist/service/index.js';

const handler = (): never => {
  throw new Error('never called');
};

function documentOf(api: Partial<ApiDefinition>, options: Partial<OpenApiOptions> = {}): Promise<OpenApiDocument> {
  const classify = { input: json(), output: json(), handler, route: '/v1/classify', ...api };
  const service: ServiceDefinition = { name: 'digits', version: '3', runners: [], apis: { classify } };
  const manifest = manifestOf(service);
  return openApiDocument({ manifest, service, metrics: true, isGuarded: false, modelControl: false, ...options });
}

interface Media {
  readonly schema: unknown;
  readonly example?: unknown;
  readonly encoding?: Readonly<Record<string, { readonly contentType: string }>>;
  readonly 'x-item-schema'?: unknown;
}

interface Post {
  readonly tags: readonly string[];
  readonly description?: string;
  readonly operationId: string;
  readonly 'x-bentoml-name': string;
  readonly 'x-jubako': { readonly api: string; readonly input: unknown; readonly output: unknown };
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody: {
    readonly 'x-bentoml-io-descriptor': { readonly id: string; readonly args: unknown };
    readonly content: Readonly<Record<string, Media>>;
  };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly 'x-bentoml-io-descriptor': { readonly id: string; readonly args: unknown };
        readonly headers: Readonly<Record<string, unknown>>;
        readonly content: Readonly<Record<string, Media>>;
      }
    >
  >;
}

function postOf(document: OpenApiDocument, path = '/v1/classify'): Post {
  return document.paths[path]?.['post'] as unknown as Post;
}

const INPUT = { $ref: '#/components/schemas/classify_input' };
const OUTPUT = { $ref: '#/components/schemas/classify_output' };
const VALUE = 'application/vnd.jubako.value';

test('openApiDocument describes an API with its name, doc, example and schemas', async () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
  const document = await documentOf({ doc: 'Says which digit it is.', example: { a: 1 }, input: json(schema) });
  const post = postOf(document);
  assert.equal(document.openapi, '3.1.0');
  assert.deepEqual(post.tags, ['Service APIs']);
  assert.equal(post.operationId, 'digits__classify');
  assert.equal(post['x-bentoml-name'], 'classify');
  assert.equal(post.description, 'Says which digit it is.');
  assert.deepEqual(post.requestBody.content['application/json'], { schema: INPUT, example: { a: 1 } });
  assert.deepEqual(Object.keys(post.requestBody.content), ['application/json', VALUE]);
  assert.deepEqual(post.responses['200']?.content['application/json'], { schema: OUTPUT });
  assert.deepEqual(document.components.schemas['classify_input'], schema);
});

test('openApiDocument tells the typed client the descriptors, with schemas that lead into the document', async () => {
  const input = multipart({ image: image(), about: json({ type: 'object', $defs: { a: {} } }) });
  const post = postOf(await documentOf({ input, output: stream(json({ $ref: '#/$defs/a', $defs: { a: {} } })) }));
  const { fields } = input.spec;
  assert.deepEqual(post['x-jubako'], {
    api: 'classify',
    input: {
      ...input.spec,
      fields: { ...fields, about: { kind: 'json', schema: { $ref: `${INPUT.$ref}/properties/about` } } },
    },
    output: { kind: 'stream', of: { kind: 'json', schema: OUTPUT } },
  });
});

test("openApiDocument has what BentoML's client looks for, also where there is nothing to say", async () => {
  const post = postOf(await documentOf({ input: tensor('bfloat16', [-1, 2]), output: stream(text()) }));
  assert.equal(post.description, '');
  assert.deepEqual(post.requestBody['x-bentoml-io-descriptor'], {
    id: 'bentoml.io.NumpyNdarray',
    args: { dtype: 'float32', shape: [-1, 2], enforce_dtype: false, enforce_shape: true },
  });
  assert.deepEqual(post.responses['200']?.['x-bentoml-io-descriptor'], { id: 'bentoml.io.Text', args: {} });
  const pair = postOf(await documentOf({ input: tensors({ a: tensor('int8', [1]) }) }));
  assert.equal(pair.requestBody['x-bentoml-io-descriptor'].id, 'bentoml.io.JSON');
});

test('openApiDocument lists every error status of the catalogue that an API can answer', async () => {
  const document = await documentOf({});
  const statuses = Object.keys(postOf(document).responses);
  assert.deepEqual(statuses, ['200', '400', '401', '403', '404', '413', '415', '429', '500', '503', '504']);
  const { Error503 } = document.components.responses as Record<string, { description: string; headers: object }>;
  assert.equal(Error503?.description, 'QUEUE_FULL, NOT_READY, DRAINING, RUNNER_LOST');
  assert.ok('Retry-After' in Error503.headers);
});

test('openApiDocument names the infrastructure routes, /metrics only where it is served', async () => {
  const infra = ['/livez', '/healthz', '/readyz', '/metrics', '/docs.json'];
  const { paths } = await documentOf({});
  for (const path of infra) assert.ok(path in paths, path);
  assert.equal('/metrics' in (await documentOf({}, { metrics: false })).paths, false);
});

test('openApiDocument describes a tensor as JSON and as bytes with their headers', async () => {
  const spec = tensor('uint8', [-1, 2]);
  const document = await documentOf({ input: spec, output: spec });
  const element = { type: 'integer', minimum: 0, maximum: 255 };
  const nested = { type: 'array', items: { type: 'array', items: element, minItems: 2, maxItems: 2 } };
  const { description, ...output } = document.components.schemas['classify_output'] ?? {};
  assert.match(String(description), /uint8 tensor of shape \[-1, 2\]/);
  assert.deepEqual(output, nested);
  const { anyOf } = document.components.schemas['classify_input'] as { anyOf: unknown[] };
  assert.deepEqual(anyOf[0], nested);
  assert.deepEqual((anyOf[1] as { required: unknown }).required, ['shape', 'data']);
  const post = postOf(document);
  assert.deepEqual(Object.keys(post.requestBody.content), ['application/json', 'application/octet-stream', VALUE]);
  assert.deepEqual(
    post.parameters?.map(({ name }) => name),
    ['Tensor-Dtype', 'Tensor-Shape'],
  );
  const { headers = {}, content = {} } = post.responses['200'] ?? {};
  assert.deepEqual(Object.keys(content), ['application/json', 'application/octet-stream', VALUE]);
  assert.deepEqual(Object.keys(headers), ['x-request-id', 'Tensor-Dtype', 'Tensor-Shape']);
});

test('openApiDocument offers no bytes for a tensor of texts, and null for what JSON has no number for', async () => {
  const labels = postOf(await documentOf({ input: tensor('string', [-1]) }));
  assert.deepEqual(Object.keys(labels.requestBody.content), ['application/json', VALUE]);
  const open = tensor('float64', [1], { allowNonFinite: true });
  const { schemas } = (await documentOf({ input: open, output: open })).components;
  assert.deepEqual(schemas['classify_output']?.['items'], { type: ['number', 'null'], format: 'double' });
  assert.doesNotMatch(JSON.stringify(schemas['classify_input']), /null/);
});

test('openApiDocument describes 64-bit integers as numbers that are exact, and as texts beyond', async () => {
  const ids = tensor('int64', [1]);
  const { schemas } = (await documentOf({ input: tensors({ ids }), output: ids })).components;
  const wanted = (digits: number): unknown => ({
    anyOf: [
      { type: 'integer', format: 'int64', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
      { type: 'string', pattern: `^-?\\d{1,${digits}}$` },
    ],
  });
  assert.deepEqual(schemas['classify_output']?.['items'], wanted(19));
  const { required, additionalProperties, properties } = schemas['classify_input'] as Record<string, unknown>;
  assert.deepEqual([required, additionalProperties], [['ids'], false]);
  const { anyOf } = (properties as { ids: { anyOf: { items: unknown }[] } }).ids;
  assert.deepEqual(anyOf[0]?.items, wanted(18)); // of 19 digits not all fit
});

test('openApiDocument describes text, bytes, files and images by their media types, the usual first', async () => {
  const types = async (api: Partial<ApiDefinition>): Promise<readonly [string[], string[]]> => {
    const { requestBody, responses } = postOf(await documentOf(api));
    return [Object.keys(requestBody.content), Object.keys(responses['200']?.content ?? {})];
  };
  const both = async (one: ApiDefinition['input']): Promise<unknown> => types({ input: one, output: one });
  assert.deepEqual(await both(text({ mediaType: 'text/markdown' })), [
    ['text/markdown', 'text/*', 'application/json', VALUE],
    ['text/markdown', 'application/json', VALUE],
  ]);
  assert.deepEqual(await both(bytes({ mediaType: 'audio/wav' })), [
    ['audio/wav', '*/*', 'application/json', VALUE],
    ['audio/wav', 'application/json', VALUE],
  ]);
  assert.deepEqual(await both(file({ mediaTypes: ['application/pdf', 'audio/*'] })), [
    ['application/pdf', 'audio/*', 'application/json', VALUE],
    ['application/pdf', 'audio/*', 'application/json', VALUE],
  ]);
  assert.deepEqual(await both(image({ mediaTypes: ['image/gif'], mediaType: 'image/webp' })), [
    ['image/gif', 'application/octet-stream', 'image/jpg', 'application/json', VALUE],
    ['image/webp', 'image/png', 'image/jpeg', 'application/json', VALUE],
  ]);
  const { requestBody } = postOf(await documentOf({ input: file() }));
  assert.deepEqual(requestBody.content['*/*'], { schema: { type: 'string', format: 'binary' } });
});

test('openApiDocument describes files as JSON with a media type that must fit', async () => {
  const schemaOf = async (mediaTypes?: readonly string[]): Promise<Record<string, unknown>> => {
    const input = file(mediaTypes === undefined ? {} : { mediaTypes });
    return (await documentOf({ input })).components.schemas['classify_input'] as Record<string, unknown>;
  };
  const any = await schemaOf();
  assert.deepEqual(any['required'], ['data']);
  const some = await schemaOf(['application/pdf', 'audio/*']);
  assert.deepEqual(some['required'], ['mediaType', 'data']);
  const { mediaType } = some['properties'] as { mediaType: { pattern: string } };
  for (const [type, fits] of [
    ['application/pdf', true],
    ['audio/ogg', true],
    ['audio/', false],
    ['application/pdfx', false],
    ['image/png', false],
  ] as const)
    assert.equal(new RegExp(mediaType.pattern, 'u').test(type), fits, type);
  const { mediaType: exact } = (await schemaOf(['application/pdf']))['properties'] as { mediaType: unknown };
  assert.deepEqual(exact, { type: 'string', enum: ['application/pdf'] });
});

test('openApiDocument describes tables by rows and by columns', async () => {
  const people = table({ columns: { name: 'string', age: 'int32' }, maxRows: 5 });
  const { schemas } = (await documentOf({ input: people, output: people })).components;
  const row = {
    type: 'object',
    required: ['name', 'age'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      age: { type: 'integer', format: 'int32', minimum: -2147483648, maximum: 2147483647 },
    },
  };
  const { description: output, ...rows } = schemas['classify_output'] ?? {};
  assert.equal(output, 'A table as a list of rows.');
  assert.deepEqual(rows, { type: 'array', items: row, maxItems: 5 });
  const { anyOf } = schemas['classify_input'] as { anyOf: { properties?: { name: unknown } }[] };
  assert.deepEqual(anyOf[0], rows);
  assert.deepEqual(anyOf[1]?.properties?.name, { type: 'array', items: { type: 'string' }, maxItems: 5 });
  const post = postOf(await documentOf({ input: people }));
  assert.deepEqual(Object.keys(post.requestBody.content).slice(0, 2), ['application/json', 'text/csv']);
});

test('openApiDocument describes forms part by part, each with its types', async () => {
  const input = multipart(
    { picture: image({ mediaTypes: ['image/png'] }), about: json({ type: 'object' }), 'a/b c': text(), rows: table() },
    { optional: ['a/b c'] },
  );
  const document = await documentOf({ input, output: input });
  const post = postOf(document);
  assert.deepEqual(Object.keys(post.requestBody.content), ['multipart/form-data', 'application/json', VALUE]);
  const { schema, encoding } = post.requestBody.content['multipart/form-data'] as Media;
  const { properties, required } = schema as { properties: Record<string, unknown>; required: string[] };
  assert.deepEqual(required, ['picture', 'about', 'rows']);
  assert.deepEqual(properties['picture'], { type: 'string', format: 'binary' });
  assert.deepEqual(properties['about'], { $ref: `${INPUT.$ref}/properties/about` });
  assert.deepEqual(properties['a/b c'], { type: 'string' });
  assert.deepEqual(encoding?.['picture'], { contentType: 'image/png, application/octet-stream, image/jpg' });
  assert.deepEqual(encoding['about'], { contentType: 'application/json' });
  assert.deepEqual(encoding['rows'], { contentType: 'application/json' });
  assert.deepEqual(document.components.schemas['classify_input']?.['required'], ['picture', 'about', 'rows']);
});

test('openApiDocument describes streams in all their forms, with the schema of a value beside', async () => {
  const content = async (output: ApiDefinition['output']): Promise<Readonly<Record<string, Media>>> =>
    postOf(await documentOf({ output })).responses['200']?.content ?? {};
  const events = await content(stream(json()));
  assert.deepEqual(Object.keys(events), ['application/x-ndjson', 'text/event-stream', 'application/vnd.jubako.values']);
  assert.deepEqual(events['application/x-ndjson'], { schema: { type: 'string' }, 'x-item-schema': OUTPUT });
  assert.ok('text/plain' in (await content(stream(text()))));
  assert.ok('application/octet-stream' in (await content(stream(bytes()))));
});

test('openApiDocument makes up examples where it can know that they fit', async () => {
  const exampleOf = async (input: ApiDefinition['input'], given?: unknown): Promise<unknown> => {
    const post = postOf(await documentOf({ input, ...(given !== undefined && { example: given }) }));
    return post.requestBody.content['application/json']?.example;
  };
  assert.equal(await exampleOf(json()), undefined);
  assert.equal(await exampleOf(json(), 5), 5);
  assert.deepEqual(
    await exampleOf(json({ type: 'object', required: ['a'], properties: { a: { minimum: 3, type: 'integer' } } })),
    {
      a: 3,
    },
  );
  assert.equal(await exampleOf(json({ type: 'string', pattern: '^x{3}$' })), undefined);
  assert.deepEqual(await exampleOf(tensor('bool', [-1, 2])), [[false, false]]);
  assert.equal(await exampleOf(tensor('float32', [-1, 224, 224, 3])), undefined);
  assert.equal(await exampleOf(text({ maxLength: 2 })), 'He');
  assert.equal(await exampleOf(bytes({ maxBytes: 1 })), 'SA==');
  assert.equal(await exampleOf(file({ mediaTypes: ['application/pdf'] })), undefined);
  assert.deepEqual(await exampleOf(file({ mediaTypes: ['text/*'] })), {
    name: 'hello.txt',
    mediaType: 'text/plain',
    data: 'SGVsbG8=',
  });
  assert.equal(await exampleOf(image({ mediaTypes: ['image/jpeg'] })), undefined);
  assert.equal(typeof (await exampleOf(image())), 'string');
  assert.deepEqual(await exampleOf(table({ columns: { a: 'int64', b: 'string' } })), [{ a: 0, b: 'Hello' }]);
  assert.deepEqual(await exampleOf(multipart({ a: text(), b: json() }, { optional: ['b'] })), { a: 'Hello' });
  assert.equal(await exampleOf(multipart({ a: text(), b: json() })), undefined);
});

test('openApiDocument writes braces in routes so that they are no parameters', async () => {
  const { paths } = await documentOf({ route: '/a{b}/c%20ü' });
  assert.ok('/a%7Bb%7D/c%20ü' in paths);
});

test('openApiDocument names applications that are mounted as tags', async () => {
  const service = defineService({ name: 'x', apis: {}, mounts: { '/ui': { upstream: 'http://localhost:1' } } });
  const manifest = manifestOf(service);
  const options = { manifest, service, metrics: true, isGuarded: false, modelControl: false };
  const { tags } = await openApiDocument(options);
  assert.ok(tags.some(({ name }) => name === '/ui'));
});
