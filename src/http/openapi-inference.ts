import { EXTENSIONS } from '../inference/model-info.js';
import type { Model, Models } from '../inference/models.js';
import type { Port } from '../inference/ports.js';
import { DTYPES, elementCount } from '../tensor/index.js';
import { BINARY, JSON_TYPE } from './openapi-content.js';
import { ref } from './openapi-errors.js';
import type { PathItem } from './openapi-infra.js';
import type { OpenApiSchema } from './openapi-json-schema.js';
import type { Operation } from './openapi-operation.js';
import { BINARY_TYPE } from './tensor-headers.js';

// The routes of the Open Inference Protocol, for the models that there are.

export const INFERENCE_TAG = 'Open Inference Protocol';

/** Longer examples would be most of the document. */
const MAX_ELEMENTS = 1000;

export interface InferencePathsOptions {
  readonly models: Models;
  /** Clients may load and unload. */
  readonly modelControl: boolean;
}

export function inferencePaths({ models, modelControl }: InferencePathsOptions): Readonly<Record<string, PathItem>> {
  const { list } = models;
  const paths: Record<string, PathItem> = {
    '/v2': { get: operation('The server, and the extensions that it has.', 'OipServer') },
    '/v2/health/live': { get: operation('The process is alive.', objectOf({ live: BOOLEAN })) },
    '/v2/health/ready': { get: operation('The service can answer now.', objectOf({ ready: BOOLEAN }), [503]) },
    '/v2/repository/index': { post: indexOperation() },
  };
  if (list.length === 0) return paths;
  paths['/v2/models/stats'] = { get: operation('What all models have done.', 'OipStatistics') };
  addBoth(paths, list, '', { get: operation('Inputs and outputs of a model.', 'OipModel', [404]) });
  addBoth(paths, list, '/config', { get: operation('The model in the words of Triton.', ANY_OBJECT, [404]) });
  addBoth(paths, list, '/stats', { get: operation('What a model has done.', 'OipStatistics', [404]) });
  addBoth(paths, list, '/ready', {
    get: operation('The model can answer now.', objectOf({ name: TEXT, ready: BOOLEAN }), [404, 503]),
  });
  const callable = list.filter(({ isStream }) => !isStream); // over gRPC only
  if (callable.length > 0) addBoth(paths, callable, '/infer', { post: inferOperation(callable) });
  if (!modelControl) return paths;
  for (const [action, summary] of [
    ['load', 'Starts the workers of a model.'],
    ['unload', 'Stops the workers of a model, once what they work on is answered.'],
  ] as const) {
    paths[`/v2/repository/models/{name}/${action}`] = {
      parameters: [nameParameter(list)] as never,
      post: operation(summary, objectOf({ name: TEXT, [action]: BOOLEAN }), [400, 403, 404, 413, 415, 503]),
    };
  }
  return paths;
}

/** With a version and without. */
function addBoth(paths: Record<string, PathItem>, models: readonly Model[], tail: string, item: PathItem): void {
  const name = nameParameter(models);
  const versions = [...new Set(models.map(({ version }) => version))];
  const version = pathParameter('version', 'Version of the model.', versions);
  const parameters = [name, version];
  paths[`/v2/models/{name}${tail}`] = { parameters: [name] as never, ...item };
  paths[`/v2/models/{name}/versions/{version}${tail}`] = { parameters: parameters as never, ...withoutExamples(item) };
}

/** They are made for default versions. */
function withoutExamples(item: PathItem): PathItem {
  return JSON.parse(
    JSON.stringify(item, (key, value: unknown) => (key === 'examples' ? undefined : value)),
  ) as PathItem;
}

function nameParameter(models: readonly Model[]): unknown {
  return pathParameter('name', 'Name of the model.', [...new Set(models.map(({ name }) => name))]);
}

function pathParameter(name: string, description: string, values: readonly string[]): unknown {
  return { name, in: 'path', required: true, description, schema: { type: 'string', enum: values } };
}

function operation(summary: string, schema: string | OpenApiSchema, errors: readonly number[] = []): Operation {
  return {
    tags: [INFERENCE_TAG],
    summary,
    responses: {
      200: {
        description: 'OK',
        content: { [JSON_TYPE]: { schema: typeof schema === 'string' ? ref('schemas', schema) : schema } },
      },
      ...Object.fromEntries(errors.map((status) => [status, ref('responses', 'OipError')])),
    },
  };
}

function indexOperation(): Operation {
  return {
    ...operation('The models that there are, and how they are.', 'OipIndex', [400, 413, 415]),
    requestBody: {
      required: false,
      content: { [JSON_TYPE]: { schema: objectOf({ ready: BOOLEAN }, []), example: { ready: true } } },
    },
  };
}

function inferOperation(models: readonly Model[]): Operation {
  const examples = Object.fromEntries(
    models.flatMap((model) => {
      const value = exampleOf(model);
      return value === undefined ? [] : [[model.name, { summary: model.name, value }]];
    }),
  );
  const binary = {
    [JSON_LENGTH]: {
      description: 'Bytes of JSON at the beginning; the raw elements follow.',
      schema: { type: 'integer', minimum: 0 },
    },
  };
  return {
    tags: [INFERENCE_TAG],
    summary: 'Runs a model.',
    parameters: [{ name: JSON_LENGTH, in: 'header', required: false, ...binary[JSON_LENGTH] }],
    requestBody: {
      required: true,
      content: {
        [JSON_TYPE]: {
          schema: ref('schemas', 'OipInferRequest'),
          ...(Object.keys(examples).length > 0 && { examples }),
        },
        [BINARY_TYPE]: { schema: BINARY },
      },
    },
    responses: {
      200: {
        description: 'The outputs.',
        headers: binary,
        content: {
          [JSON_TYPE]: { schema: ref('schemas', 'OipInferResponse') },
          [BINARY_TYPE]: { schema: BINARY },
        },
      },
      ...Object.fromEntries(
        [400, 401, 403, 404, 413, 415, 429, 500, 503, 504].map((status) => [status, ref('responses', 'OipError')]),
      ),
    },
  };
}

const JSON_LENGTH = 'Inference-Header-Content-Length';

/** Zeros, a row of them; undefined where nothing is known of what a model takes. */
function exampleOf({ inputs }: Model): unknown {
  if (inputs.kind === 'json') return undefined;
  const list = inputs.list.map(inputOf);
  return list.includes(undefined) ? undefined : { inputs: list };
}

function inputOf({ name, datatype, dtype, shape: pattern }: Port): unknown {
  const shape = pattern.map((size) => (size === -1 ? 1 : size));
  const count = elementCount(shape);
  if (count > MAX_ELEMENTS) return undefined;
  const element = dtype === 'string' ? 'Hello' : dtype === 'bool' ? false : 0;
  return { name, datatype, shape, data: new Array<unknown>(count).fill(element) };
}

const TEXT = { type: 'string' } as const;
const BOOLEAN = { type: 'boolean' } as const;
const SIZES = { type: 'array', items: { type: 'integer' } } as const;
const ANY_OBJECT = { type: 'object' } as const;
const PARAMETERS = { type: 'object', additionalProperties: { type: ['boolean', 'number', 'string'] } } as const;

function objectOf(
  properties: Readonly<Record<string, OpenApiSchema>>,
  required: readonly string[] = Object.keys(properties),
): OpenApiSchema {
  return { type: 'object', ...(required.length > 0 && { required }), properties };
}

function listOf(items: OpenApiSchema): OpenApiSchema {
  return { type: 'array', items };
}

const DATATYPE = { type: 'string', enum: Object.values(DTYPES).map(({ oip }) => oip) } as const;
const DATA: OpenApiSchema = {
  type: 'array',
  description: 'Flat, or lists in lists as the shape says.',
  items: { type: ['number', 'boolean', 'string', 'array', 'null'] },
};
const TENSOR_METADATA = objectOf({ name: TEXT, datatype: DATATYPE, shape: SIZES });
const DURATION = objectOf({ count: { type: 'integer' }, ns: { type: 'integer' } });

export const INFERENCE_SCHEMAS: Readonly<Record<string, OpenApiSchema>> = {
  OipError: objectOf({ error: { ...TEXT, description: 'For people; may change.' } }),
  OipServer: objectOf({ name: TEXT, version: TEXT, extensions: listOf({ type: 'string', enum: EXTENSIONS }) }),
  OipModel: objectOf({
    name: TEXT,
    versions: listOf(TEXT),
    platform: TEXT,
    inputs: listOf(TENSOR_METADATA),
    outputs: listOf(TENSOR_METADATA),
  }),
  OipInferRequest: objectOf(
    {
      id: TEXT,
      parameters: PARAMETERS,
      inputs: listOf(
        objectOf({ name: TEXT, datatype: DATATYPE, shape: SIZES, parameters: PARAMETERS, data: DATA }, [
          'name',
          'datatype',
          'shape',
        ]),
      ),
      outputs: listOf(objectOf({ name: TEXT, parameters: PARAMETERS }, ['name'])),
    },
    ['inputs'],
  ),
  OipInferResponse: objectOf(
    {
      id: TEXT,
      model_name: TEXT,
      model_version: TEXT,
      parameters: PARAMETERS,
      outputs: listOf(
        objectOf({ name: TEXT, datatype: DATATYPE, shape: SIZES, parameters: PARAMETERS, data: DATA }, [
          'name',
          'datatype',
          'shape',
        ]),
      ),
    },
    ['model_name', 'outputs'],
  ),
  OipIndex: listOf(
    objectOf({ name: TEXT, version: TEXT, state: { type: 'string', enum: ['READY', 'UNAVAILABLE'] }, reason: TEXT }),
  ),
  OipStatistics: objectOf({
    model_stats: listOf(
      objectOf(
        {
          name: TEXT,
          version: TEXT,
          last_inference: { type: 'integer' },
          inference_count: { type: 'integer' },
          execution_count: { type: 'integer' },
          inference_stats: { type: 'object', additionalProperties: DURATION },
        },
        ['name', 'version'],
      ),
    ),
  }),
};

export const INFERENCE_ERROR: Readonly<Record<string, unknown>> = {
  description: 'Why it failed; the header x-error-code has the code.',
  headers: { 'x-error-code': { description: 'As the other routes have it in their errors.', schema: TEXT } },
  content: { [JSON_TYPE]: { schema: ref('schemas', 'OipError') } },
};
