import { ERROR_KINDS, type ErrorCode } from '../errors.js';
import type { DescriptorSpec } from '../descriptor/descriptor.js';
import type { ApiManifest, Manifest } from '../service/manifest.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';
import { schemasOf, type OpenApiSchema } from './openapi-schema.js';
import { BINARY_TYPE, isBinaryTensor } from './tensor-headers.js';

// The OpenAPI document of a service, from its manifest alone.

export type OpenApiDocument = Readonly<Record<string, unknown>> & {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, OpenApiSchema>>;
    readonly responses: Readonly<Record<string, unknown>>;
    readonly headers: Readonly<Record<string, unknown>>;
  };
};
type PathItem = Readonly<Record<string, Operation>>;
type Operation = Readonly<Record<string, unknown>>;

export interface OpenApiOptions {
  /** False: `/metrics` is not served. */
  readonly metrics: boolean;
}

const API_TAG = 'Service APIs';
const INFRA_TAG = 'Infrastructure';

/** What an API's client can meet; the rest happens before routing, to nobody, or at start. */
const CODES_OF_AN_API: readonly ErrorCode[] = [
  'INVALID_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'TOO_LARGE',
  'UNSUPPORTED_MEDIA',
  'RATE_LIMITED',
  'USER_CODE',
  'INTERNAL',
  'QUEUE_FULL',
  'NOT_READY',
  'DRAINING',
  'RUNNER_LOST',
  'DEADLINE_EXCEEDED',
];

/** @see https://spec.openapis.org/oas/v3.0.3 */
export function openApiDocument(manifest: Manifest, options: OpenApiOptions): OpenApiDocument {
  const schemas: Record<string, OpenApiSchema> = { Error: ERROR_SCHEMA };
  const paths: Record<string, PathItem> = {};
  for (const api of manifest.apis) {
    Object.assign(
      schemas,
      schemasOf(`${api.name}_input`, api.input),
      schemasOf(`${api.name}_output`, api.output as DescriptorSpec),
    );
    paths[api.route] = { post: apiOperation(manifest.name, api) };
  }
  Object.assign(paths, infraPaths(options));
  return {
    openapi: '3.0.3',
    info: { title: manifest.name, version: manifest.version },
    servers: [{ url: '.' }],
    tags: [
      { name: API_TAG, description: 'What the service does.' },
      { name: INFRA_TAG, description: 'Health, metrics and this document.' },
    ],
    paths,
    components: { schemas, responses: errorResponses(), headers: HEADERS },
  };
}

function apiOperation(service: string, api: ApiManifest): Operation {
  const hasExample = api.example !== undefined;
  const errors = Object.keys(errorResponses()).map((name) => [name.slice('Error'.length), ref('responses', name)]);
  return {
    tags: [API_TAG],
    summary: api.name,
    ...(api.doc !== undefined && { description: api.doc }),
    operationId: `${service}__${api.name}`,
    'x-bentoml-name': api.name,
    ...(isBinaryTensor(api.input) && { parameters: tensorParameters(api.input) }),
    requestBody: {
      required: true,
      ...(api.input.kind !== 'json' && { description: TENSOR_FORMS }),
      content: contentOf(`${api.name}_input`, api.input, hasExample ? { example: api.example } : {}),
    },
    responses: {
      200: {
        description: 'The answer.',
        headers: {
          [REQUEST_ID_HEADER]: ref('headers', 'RequestId'),
          ...(isBinaryTensor(api.output as DescriptorSpec) && {
            'Tensor-Dtype': ref('headers', 'TensorDtype'),
            'Tensor-Shape': ref('headers', 'TensorShape'),
          }),
        },
        content: contentOf(`${api.name}_output`, api.output as DescriptorSpec, {}),
      },
      ...Object.fromEntries(errors),
    },
  };
}

const TENSOR_FORMS =
  'A tensor is nested lists, or `{ "shape": [1, 64], "data": … }` with a flat list or base64 of little-endian bytes.';

function contentOf(
  schemaName: string,
  spec: DescriptorSpec,
  more: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    'application/json': { schema: ref('schemas', schemaName), ...more },
    ...(isBinaryTensor(spec) && { [BINARY_TYPE]: { schema: { type: 'string', format: 'binary' } } }),
  };
}

function tensorParameters(spec: DescriptorSpec): readonly unknown[] {
  if (spec.kind !== 'tensor') return [];
  return [
    {
      name: 'Tensor-Dtype',
      in: 'header',
      required: false,
      description: `Element type of a binary body; default ${spec.dtype}.`,
      schema: { type: 'string' },
    },
    {
      name: 'Tensor-Shape',
      in: 'header',
      required: false,
      description: `Shape of a binary body, e.g. "1,64"; one size may be -1. Default ${spec.shape.join(',')}.`,
      schema: { type: 'string' },
    },
  ];
}

const HEADERS = {
  RequestId: {
    description: 'The id that the log has; the one of the request header, or a new one.',
    schema: { type: 'string' },
  },
  TensorDtype: { description: 'Element type of a binary answer.', schema: { type: 'string' } },
  TensorShape: { description: 'Shape of a binary answer, e.g. "1,10".', schema: { type: 'string' } },
};

const ERROR_SCHEMA: OpenApiSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'requestId'],
      properties: {
        code: { type: 'string', enum: Object.keys(ERROR_KINDS) },
        message: { type: 'string', description: 'For people; may change.' },
        requestId: { type: 'string' },
        details: { description: 'Facts for programs, e.g. the path of the value that did not fit.' },
      },
    },
  },
};

/** One response per status: `Error400`, `Error503` …, each with the codes that it may carry. */
function errorResponses(): Readonly<Record<string, unknown>> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of CODES_OF_AN_API) {
    const { http } = ERROR_KINDS[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  const responses: Record<string, unknown> = {};
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b)) {
    const retries = codes.some((code) => ERROR_KINDS[code].retryAfterSeconds !== undefined);
    responses[`Error${status}`] = {
      description: codes.join(', '),
      headers: {
        [REQUEST_ID_HEADER]: ref('headers', 'RequestId'),
        ...(retries && { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } }),
      },
      content: {
        'application/json': {
          schema: ref('schemas', 'Error'),
          example: { error: { code: codes[0], message: 'Why, for people', requestId: 'Id of the request' } },
        },
      },
    };
  }
  return responses;
}

function infraPaths({ metrics }: OpenApiOptions): Readonly<Record<string, PathItem>> {
  const get = (summary: string, type: string, more: Readonly<Record<string, unknown>> = {}): PathItem => ({
    get: {
      tags: [INFRA_TAG],
      summary,
      responses: { 200: { description: 'OK', content: { [type]: { schema: { type: 'string' } } } }, ...more },
    },
  });
  return {
    '/livez': get('The process is alive.', 'text/plain'),
    '/healthz': get('The same as /livez.', 'text/plain'),
    '/readyz': get('The service can answer now.', 'text/plain', { 503: ref('responses', 'Error503') }),
    ...(metrics && { '/metrics': get('Metrics in the Prometheus text format.', 'text/plain') }),
    '/docs.json': {
      get: {
        tags: [INFRA_TAG],
        summary: 'This document.',
        responses: { 200: { description: 'OK', content: { 'application/json': { schema: { type: 'object' } } } } },
      },
    },
  };
}

function ref(kind: 'schemas' | 'responses' | 'headers', name: string): Readonly<Record<string, string>> {
  return { $ref: `#/components/${kind}/${name}` };
}
