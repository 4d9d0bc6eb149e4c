import { bentoSpec, type BentoForm } from '../descriptor/bento-spec.js';
import type { Descriptor, DescriptorSpec, OutputSpec } from '../descriptor/descriptor.js';
import { isStreamDescriptor } from '../descriptor/stream-descriptor.js';
import type { ApiDefinition } from '../service/define.js';
import type { ApiManifest } from '../service/manifest.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';
import { BINARY, contentOf, type Content, type MediaTypeObject } from './openapi-content.js';
import { errorReferences, ref } from './openapi-errors.js';
import { exampleOf, withExamples } from './openapi-example.js';
import { placeIn, type OpenApiSchema } from './openapi-json-schema.js';
import { schemaOf } from './openapi-schema.js';
import { streamFormats } from './stream-formats.js';
import { isBinaryTensor } from './tensor-headers.js';

// One API as an operation. Beside what OpenAPI knows it has what two clients read: `x-bentoml-…` (BentoML's) and `x-jubako`
// (the typed client of this package).

export type Operation = Readonly<Record<string, unknown>>;

export const API_TAG = 'Service APIs';
const SCHEMAS = '#/components/schemas';

/** Answers of BentoML's JSON descriptors, which name no dtype that only bytes have. */
const BENTO_FORM: BentoForm = {
  tensors: 'json',
  streams: 'text',
  orient: 'records',
  numpyDtype: (dtype) => (dtype === 'bfloat16' ? 'float32' : dtype === 'string' ? 'str' : dtype),
};

/** Name → schema of the JSON that an API takes and gives. */
export function apiSchemas({ name, input, output }: ApiManifest): Readonly<Record<string, OpenApiSchema>> {
  const value = output.kind === 'stream' ? output.of : output;
  const [inputName, outputName] = [`${name}_input`, `${name}_output`];
  return {
    [inputName]: schemaOf('input', input, placeIn(SCHEMAS, inputName)),
    [outputName]: schemaOf('output', value, placeIn(SCHEMAS, outputName)),
  };
}

export async function apiOperation(
  service: string,
  api: ApiManifest,
  { input, output }: ApiDefinition,
  schemas: Readonly<Record<string, OpenApiSchema>>,
): Promise<Operation> {
  const { name } = api;
  const [inputPlace, outputPlace] = [placeIn(SCHEMAS, `${name}_input`), placeIn(SCHEMAS, `${name}_output`)];
  const resolve = (reference: string): unknown => lookUp(schemas, reference);
  const example = await exampleOf(input, api.example, inputPlace, resolve);
  const content = withExamples(contentOf('input', input, inputPlace), input, example);
  return {
    tags: [API_TAG],
    summary: name,
    description: api.doc ?? '', // BentoML's clients want one
    operationId: `${service}__${name}`,
    'x-bentoml-name': name,
    'x-jubako': { api: name, input: publicSpec(api.input, inputPlace), output: publicOutput(api.output, outputPlace) },
    ...(isBinaryTensor(api.input) && { parameters: tensorParameters(api.input) }),
    requestBody: {
      required: true,
      'x-bentoml-io-descriptor': bentoSpec('input', api.input, BENTO_FORM),
      content,
    },
    responses: {
      200: {
        description: isStreamDescriptor(output) ? STREAM_FORMS : 'The answer.',
        'x-bentoml-io-descriptor': bentoSpec('output', api.output, BENTO_FORM),
        headers: {
          [REQUEST_ID_HEADER]: ref('headers', 'RequestId'),
          ...(!isStreamDescriptor(output) && isBinaryTensor(output.spec as DescriptorSpec) && TENSOR_HEADERS),
        },
        content: isStreamDescriptor(output)
          ? streamContent(name, output, outputPlace)
          : contentOf('output', output as Descriptor, outputPlace),
      },
      ...errorReferences(),
    },
  };
}

const TENSOR_HEADERS = {
  'Tensor-Dtype': ref('headers', 'TensorDtype'),
  'Tensor-Shape': ref('headers', 'TensorShape'),
};

function tensorParameters(spec: DescriptorSpec): readonly unknown[] {
  if (spec.kind !== 'tensor') return [];
  return [
    {
      name: 'Tensor-Dtype',
      in: 'header',
      required: false,
      description: `Element type of a binary body. Default ${spec.dtype}.`,
      schema: { type: 'string', enum: [spec.dtype] },
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

const STREAM_FORMS =
  'Values one after another. JSON lines: a failure after the first value is a last line `{"error": …}`. Server-sent events: ' +
  'the last one is `end`, or `error` with the error as its data. Other forms break off where they fail.';

function streamContent(api: string, output: Parameters<typeof streamFormats>[1], place: string): Content {
  const isText = output.of.spec.kind === 'text';
  const entries = streamFormats(api, output).map(({ type }): [string, MediaTypeObject] => {
    const item = { 'x-item-schema': { $ref: place } };
    if (type === 'application/x-ndjson') return [type, { schema: { type: 'string' }, ...item }];
    if (type === 'text/event-stream') return [type, { schema: { type: 'string' }, ...item }];
    return [type, { schema: isText && type.startsWith('text/') ? { type: 'string' } : BINARY }];
  });
  return Object.fromEntries(entries);
}

/** The schemas stand among the components already; what is inside them would refer to nothing here. */
function publicSpec(spec: DescriptorSpec, place: string): DescriptorSpec {
  if (spec.kind === 'json') return { kind: 'json', schema: { $ref: place } };
  if (spec.kind !== 'multipart') return spec;
  const fields = Object.entries(spec.fields).map(([name, field]) => {
    return [name, publicSpec(field, placeIn(place, 'properties', name))] as const;
  });
  return { ...spec, fields: Object.fromEntries(fields) as typeof spec.fields };
}

function publicOutput(spec: OutputSpec, place: string): OutputSpec {
  if (spec.kind !== 'stream') return publicSpec(spec, place);
  return { kind: 'stream', of: publicSpec(spec.of, place) as typeof spec.of };
}

/** What a reference to a component leads to. */
function lookUp(schemas: Readonly<Record<string, OpenApiSchema>>, reference: string): unknown {
  let target: unknown = schemas;
  for (const token of reference.slice(`${SCHEMAS}/`.length).split('/')) {
    const key = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
    target =
      typeof target === 'object' && target !== null && Object.hasOwn(target, key) ? target[key as never] : undefined;
  }
  return target;
}
