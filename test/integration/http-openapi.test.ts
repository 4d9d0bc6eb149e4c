import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import sharp from 'sharp';
import type { Descriptor } from '#dist/descriptor/descriptor.js';
import { fitsMediaType } from '#dist/descriptor/media-type.js';
import type { OpenApiDocument } from '#dist/http/openapi.js';
import {
  defineRunner,
  defineService,
  json,
  Table,
  tensor,
  tensors,
  type ServiceDefinition,
} from '#dist/service/index.js';
import { JubakoError } from '#dist/errors.js';
import type { Access } from '#dist/service/access.js';
import { manifestOf } from '#dist/service/manifest-of.js';
import type { RunnerCall } from '#dist/service/invoke.js';
import { bytesOf, encodeValue, type NumericDtype, type Tensor } from '#dist/tensor/index.js';
import { VALUE_TYPE } from '#dist/tensor/value-stream.js';
import { service as kinds } from '../support/kinds-service.js';
import { invokerOf } from './grpc-bento-harness.js';
import { startHttp, type StartOptions } from './http-harness.js';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'multipart/form-data';

interface MediaType {
  readonly schema: { readonly $ref?: string };
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
  readonly encoding?: Readonly<Record<string, { readonly contentType: string }>>;
}
interface Operation {
  readonly 'x-bentoml-name'?: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: { enum?: string[] } }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, MediaType>> }>>;
  readonly security?: readonly unknown[];
}

interface Served {
  readonly document: OpenApiDocument;
  readonly operations: readonly { readonly path: string; readonly method: string; readonly operation: Operation }[];
  readonly url: (path: string) => string;
}

async function serve(t: TestContext, service: ServiceDefinition, options: StartOptions = {}): Promise<Served> {
  const real = invokerOf(service);
  const { url } = await startHttp(t, {
    ...options,
    callApi: (call) => real.callApi(call),
    invoker: {
      streamApi: (call) => real.streamApi(call),
      callRunner: (call: RunnerCall) => Promise.resolve(call.input),
      ...options.invoker,
    },
    others: { service, manifest: manifestOf(service), ...options.others },
  });
  const document = (await (await fetch(url('/docs.json'))).json()) as OpenApiDocument;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => method !== 'parameters')
      .map(([method, operation]) => ({ path, method, operation: operation as unknown as Operation })),
  );
  return { document, operations, url };
}

const rows = tensor('float32', [-1, 3]);
const models: ServiceDefinition = defineService({
  name: 'models',
  runners: [
    defineRunner({
      name: 'lone',
      load: () => null,
      methods: { predict: { input: rows, output: rows, run: (_model, input) => input } },
    }),
    defineRunner({
      name: 'several',
      load: () => null,
      methods: {
        pair: {
          input: tensors({ ids: tensor('int64', [-1]), words: tensor('string', [-1, 2]) }),
          output: tensors({ ids: tensor('int64', [-1]), words: tensor('string', [-1, 2]) }),
          run: (_model, input) => input,
        },
        talk: { input: json(), output: json(), run: (_model, input) => input },
        large: { input: tensor('bool', [-1, 2000]), output: tensor('bool', [-1, 2000]), run: (_model, input) => input },
      },
    }),
  ],
  apis: {},
});

async function checkDocument(document: OpenApiDocument): Promise<void> {
  const { valid, errors } = await new Validator().validate(
    structuredClone(document) as unknown as Record<string, unknown>,
  );
  assert.ok(valid, JSON.stringify(errors));
}

/** Validates values by the schemas of a document, whatever its media types say beside them. */
function checker(document: OpenApiDocument): (reference: string, value: unknown) => void {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'document');
  return (reference, value) => {
    const validate = ajv.getSchema(`document${reference}`);
    assert.ok(validate !== undefined, reference);
    assert.equal(
      validate(value),
      true,
      `${reference}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value).slice(0, 300)}`,
    );
  };
}

describe('/docs.json', () => {
  test('is a document that a strict validator accepts, whatever the service has', async (t) => {
    const { document } = await serve(t, kinds);
    await checkDocument(document);
    await checkDocument((await serve(t, models, { config: { modelControl: true } })).document);
    await checkDocument((await serve(t, defineService({ name: 'empty', apis: {} }))).document);
    const mounted = {
      ...manifestOf(kinds),
      mounts: [{ path: '/ui', upstream: 'http://x', command: null, stripPath: true }],
    };
    const guarded = await serve(t, kinds, {
      config: { apiKeys: ['k'], metrics: false },
      others: { manifest: mounted, mounts: { '/ui': 'http://127.0.0.1:9' } },
    });
    await checkDocument(guarded.document);
  });

  test('has only schemas that JSON Schema 2020-12 can compile, and no reference that leads nowhere', async (t) => {
    for (const service of [kinds, models]) {
      const { document } = await serve(t, service);
      const ajv = new Ajv2020({ strict: false, validateFormats: false });
      ajv.addSchema(document, 'document');
      for (const name of Object.keys(document.components.schemas))
        assert.ok(ajv.getSchema(`document#/components/schemas/${name}`) !== undefined, name);
      for (const [, pointer = ''] of JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)) {
        let target: unknown = document;
        for (const token of pointer.split('/').slice(1)) {
          const key = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
          target = (target as Record<string, unknown> | undefined)?.[key];
        }
        assert.notEqual(target, undefined, pointer);
      }
    }
  });

  test('has examples that run: each is answered 200, by what the document says', async (t) => {
    const { document, operations, url } = await serve(t, kinds);
    const check = checker(document);
    const without: string[] = [];
    let sent = 0;
    for (const { path, method, operation } of operations) {
      const types = Object.entries(operation.requestBody?.content ?? {}).filter(([, media]) => 'example' in media);
      if (operation['x-bentoml-name'] !== undefined && types.length === 0) without.push(operation['x-bentoml-name']);
      for (const [type, media] of types) {
        if (type === JSON_TYPE && media.schema.$ref !== undefined) check(media.schema.$ref, media.example);
        const body =
          type === FORM_TYPE ? formOf(media) : type === JSON_TYPE ? JSON.stringify(media.example) : media.example;
        const headers = { accept: JSON_TYPE, ...(type !== FORM_TYPE && { 'content-type': type }) };
        const response = await fetch(url(path), { method, headers, body: body as string });
        const answer = await response.text();
        assert.equal(response.status, 200, `${path} ${type}: ${answer}`);
        sent += 1;
        const given = operation.responses['200']?.content?.[JSON_TYPE]?.schema.$ref;
        if (given !== undefined) check(given, JSON.parse(answer));
      }
    }
    // Nobody can make up a PDF or a sound, and a table whose columns are open might be any.
    assert.deepEqual(without, ['report', 'sound', 'scan', 'open']);
    assert.ok(sent > 20, String(sent));
  });

  test('has examples for models that run', async (t) => {
    const { document, operations, url } = await serve(t, models);
    const check = checker(document);
    const answered: string[] = [];
    for (const { path, method, operation } of operations) {
      for (const media of Object.values(operation.requestBody?.content ?? {})) {
        for (const [model, { value }] of Object.entries(media.examples ?? {})) {
          check(media.schema.$ref ?? '', value);
          const response = await fetch(url(path.replace('{name}', model)), { method, body: JSON.stringify(value) });
          const answer = await response.text();
          assert.equal(response.status, 200, `${model}: ${answer}`);
          check('#/components/schemas/OipInferResponse', JSON.parse(answer));
          answered.push(model);
        }
      }
    }
    assert.deepEqual(answered, ['lone', 'several']);
  });

  test('names routes of the Open Inference Protocol that answer what it says', async (t) => {
    const { document, operations, url } = await serve(t, models);
    const check = checker(document);
    let asked = 0;
    for (const { path, operation } of operations.filter(
      ({ path, method }) => path.startsWith('/v2') && method === 'get',
    )) {
      const target = path.replace('{name}', 'lone').replace('{version}', '0');
      const response = await fetch(url(target));
      const answer = await response.text();
      assert.equal(response.status, 200, `${target}: ${answer}`);
      const { $ref } = operation.responses['200']?.content?.[JSON_TYPE]?.schema ?? {};
      if ($ref !== undefined) check($ref, JSON.parse(answer));
      asked += 1;
    }
    assert.ok(asked >= 12, String(asked));
    const index = await fetch(url('/v2/repository/index'), { method: 'POST', body: '{"ready":true}' });
    check('#/components/schemas/OipIndex', await index.json());
    const missing = await fetch(url('/v2/models/none'));
    assert.equal(missing.status, 404);
    assert.ok(missing.headers.has('x-error-code'));
    check('#/components/schemas/OipError', await missing.json());
  });

  test('errors are as it says', async (t) => {
    const { document, url } = await serve(t, kinds);
    const response = await fetch(url('/v1/tree'), { method: 'POST', body: '{}' });
    assert.equal(response.status, 400);
    checker(document)('#/components/schemas/Error', await response.json());
  });

  test('names the refusals of bodies of the Open Inference Protocol before they are read', async (t) => {
    const { operations, url } = await serve(t, models);
    for (const path of ['/v2/models/{name}/infer', '/v2/repository/index']) {
      const operation = operations.find((each) => each.path === path && each.method === 'post')?.operation;
      const target = url(path.replace('{name}', 'lone'));
      const coded = await fetch(target, { method: 'POST', body: '{}', headers: { 'content-encoding': 'zstd' } });
      const large = await fetch(target, { method: 'POST', body: '{}'.padEnd(2_000_000) });
      for (const { status } of [coded, large]) {
        assert.ok(operation?.responses[String(status)] !== undefined, `${path}: ${status}`);
      }
      assert.deepEqual([coded.status, large.status], [415, 413]);
    }
  });

  test('wants keys where the server does, but for health', async (t) => {
    const open = (await serve(t, kinds)).document;
    assert.equal('securitySchemes' in open.components, false);
    assert.equal('security' in open, false);
    const { document } = await serve(t, kinds, { config: { apiKeys: ['k'] } });
    assert.deepEqual(document.security, [{ bearer: [] }, { apiKey: [] }]);
    assert.deepEqual(Object.keys(document.components.securitySchemes ?? {}), ['bearer', 'apiKey']);
    const access: Access = {
      isOpen: false,
      admit: () => {
        throw new JubakoError('UNAUTHENTICATED', 'no key');
      },
    };
    const { url } = await startHttp(t, { others: { access, service: kinds, manifest: manifestOf(kinds) } });
    let guarded = 0;
    for (const [path, item] of Object.entries(document.paths)) {
      const [[method, operation] = ['get', {}]] = Object.entries(item);
      const { status } = await fetch(url(path), { method });
      assert.equal(status === 401, operation['security'] === undefined, `${method} ${path}: ${status}`);
      guarded += Number(status === 401);
    }
    assert.ok(guarded >= 26, String(guarded));
  });
});

/** The values of the APIs that have no example. */
async function valueFor(api: string): Promise<unknown> {
  const bytes = Buffer.from('x');
  if (api === 'report') return { name: 'a.pdf', mediaType: 'application/pdf', bytes };
  if (api === 'sound') return { name: 'a.wav', mediaType: 'audio/wav', bytes };
  if (api === 'scan') {
    const content = await sharp(Buffer.of(7), { raw: { width: 1, height: 1, channels: 1 } })
      .jpeg()
      .toBuffer();
    return kinds.apis['scan']?.input.fromJson(content.toString('base64'));
  }
  return Table.fromRows({ a: 'float64' }, [{ a: 1 }]);
}

describe('media types', () => {
  for (const [api, { input, route = `/${api}` }] of Object.entries(kinds.apis)) {
    test(`${api} takes and gives each of those that /docs.json has for it`, async (t) => {
      const { document, url } = await serve(t, kinds);
      const operation = document.paths[route]?.['post'] as unknown as Operation;
      const content = operation.requestBody?.content ?? {};
      const example = content[JSON_TYPE]?.example;
      const value = example === undefined ? await valueFor(api) : await input.fromJson(example);
      const send = async (type: string, accept: string): Promise<Response> => {
        const body = await bodyOf(input, value, type);
        const headers = { accept, ...(!(body instanceof FormData) && { 'content-type': type }) };
        return fetch(url(route), { method: 'POST', headers, body });
      };
      for (const type of Object.keys(content)) {
        const response = await send(concrete(type), '*/*');
        assert.equal(response.status, 200, `${type}: ${await response.text()}`);
      }
      const usual = Object.keys(content).find((type) => !type.includes('*')) ?? JSON_TYPE;
      const given = Object.keys(operation.responses['200']?.content ?? {});
      for (const type of given) {
        const response = await send(usual, concrete(type));
        assert.equal(response.status, 200);
        const [answered = ''] = (response.headers.get('content-type') ?? '').split(';');
        assert.ok(fitsMediaType(answered, type), `${type}: ${answered}`);
        await response.arrayBuffer();
      }
      const first = (await send(usual, '*/*')).headers.get('content-type') ?? '';
      assert.ok(fitsMediaType(first.split(';')[0] ?? '', given[0] ?? ''), `${first} is not ${given[0]}`);
    });
  }
});

function concrete(type: string): string {
  return type === '*/*' ? 'application/x-any' : type.replace('/*', '/x-any');
}

async function bodyOf(input: Descriptor, value: unknown, type: string): Promise<Uint8Array | FormData> {
  const { media, spec, parts } = input;
  if (type === VALUE_TYPE) {
    const { head, parts: pieces } = encodeValue(value);
    return Buffer.concat([head, ...pieces]);
  }
  if (type === FORM_TYPE && parts !== undefined) {
    const form = new FormData();
    for (const [name, item] of Object.entries(value as Record<string, unknown>)) {
      const part = parts[name] as Descriptor;
      const written = part.spec.kind === 'table' ? undefined : await part.media?.write(item, part.media.gives[0] ?? '');
      const blob =
        written === undefined
          ? new Blob([JSON.stringify(await part.toJson(item))], { type: JSON_TYPE })
          : new Blob([written.bytes], { type: written.mediaType });
      form.append(name, blob);
    }
    return form;
  }
  if (type === JSON_TYPE && spec.kind !== 'image') return Buffer.from(JSON.stringify(await input.toJson(value)));
  if (spec.kind === 'tensor') return bytesOf(value as Tensor<NumericDtype>);
  assert.ok(media !== undefined, type);
  if (spec.kind === 'image') {
    const { shape, data } = value as Tensor<'uint8'>;
    const [height = 1, width = 1, channels = 3] = shape;
    const format = type === 'image/jpg' ? 'image/jpeg' : type.startsWith('image/') ? type : (spec.mediaTypes[0] ?? '');
    const encoded = await sharp(data, { raw: { width, height, channels: channels as 3 } })
      .toFormat(format.replace('image/', '') as 'png')
      .toBuffer();
    return type === JSON_TYPE ? Buffer.from(JSON.stringify(encoded.toString('base64'))) : encoded;
  }
  const written = await media.write(value, media.gives.includes(type) ? type : (media.gives[0] ?? type));
  return written.bytes;
}

/** As a page would send it. */
function formOf({ example, encoding }: MediaType): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(example as Record<string, unknown>)) {
    const [type = JSON_TYPE] = (encoding?.[name]?.contentType ?? JSON_TYPE).split(', ');
    form.append(name, new Blob([type === JSON_TYPE ? JSON.stringify(value) : String(value)], { type }));
  }
  return form;
}
