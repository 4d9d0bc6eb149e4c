import type { DescriptorSpec, JsonSchema, TensorSpec } from '../descriptor/descriptor.js';
import { DTYPES } from '../tensor/index.js';

// Descriptors as schemas of OpenAPI 3.0, which knows an older and smaller JSON Schema than users write.
// O1 What 3.0 can't say is left out: the document may promise less than is checked, never more.

export type OpenApiSchema = Readonly<Record<string, unknown>>;

/**
 * The component `name` for a descriptor, and one more for each definition inside its JSON Schema: `$ref`s reach into
 * components, since in OpenAPI a `#` is the whole document.
 */
export function schemasOf(name: string, spec: DescriptorSpec): Readonly<Record<string, OpenApiSchema>> {
  switch (spec.kind) {
    case 'tensor':
      return { [name]: tensorSchema(spec) };
    case 'tensors': {
      const fields = Object.entries(spec.fields);
      return {
        [name]: {
          type: 'object',
          required: fields.map(([field]) => field),
          additionalProperties: false,
          properties: Object.fromEntries(fields.map(([field, tensor]) => [field, tensorSchema(tensor)])),
        },
      };
    }
    case 'json':
      return jsonSchemas(name, spec.schema);
    default:
      return { [name]: {} };
  }
}

/** Nested lists, the form that answers have; inputs may also be `{ shape, data }`. */
function tensorSchema({ dtype, shape }: TensorSpec): OpenApiSchema {
  const nested = shape.reduceRight<OpenApiSchema>(
    (items, size) => ({ type: 'array', items, ...(size >= 0 && { minItems: size, maxItems: size }) }),
    elementSchema(dtype),
  );
  const description = `${dtype} tensor of shape [${shape.join(', ')}] (-1 is any size), as nested lists; axis 0 is the batch axis.`;
  return { ...nested, description };
}

function elementSchema(dtype: TensorSpec['dtype']): OpenApiSchema {
  if (dtype === 'bool') return { type: 'boolean' };
  if (dtype === 'string') return { type: 'string' };
  if (dtype === 'float32') return { type: 'number', format: 'float' };
  if (dtype === 'float64') return { type: 'number', format: 'double' };
  const { isFloat, range } = DTYPES[dtype];
  if (isFloat || range === undefined) return { type: 'number' };
  const [low, high] = range;
  // As numbers, 64-bit bounds would be rounded and so be wrong.
  if (DTYPES[dtype].bytes === 8) return { type: 'integer', format: 'int64' };
  return { type: 'integer', minimum: Number(low), maximum: Number(high) };
}

function jsonSchemas(name: string, schema: JsonSchema): Readonly<Record<string, OpenApiSchema>> {
  const schemas: Record<string, OpenApiSchema> = { [name]: convert(schema, name) };
  for (const key of ['$defs', 'definitions']) {
    const definitions = schema[key];
    if (!isRecord(definitions)) continue;
    for (const [inner, definition] of Object.entries(definitions)) {
      schemas[componentName(name, inner)] = convertAny(definition, name);
    }
  }
  return schemas;
}

function componentName(name: string, definition: string): string {
  return `${name}_${definition.replace(/[^\w.-]/g, '_')}`;
}

/** Keywords that mean the same in both. */
const SAME = new Set([
  ...[
    'title',
    'description',
    'default',
    'format',
    'multipleOf',
    'minimum',
    'maximum',
    'minLength',
    'maxLength',
    'pattern',
  ],
  ...[
    'minItems',
    'maxItems',
    'uniqueItems',
    'minProperties',
    'maxProperties',
    'required',
    'enum',
    'readOnly',
    'writeOnly',
  ],
  ...['deprecated', 'nullable', 'discriminator', 'example', 'externalDocs'],
]);
const LIST_OF_SCHEMAS = new Set(['allOf', 'anyOf', 'oneOf']);

/** @param root - component that `#` stands for. */
function convert(schema: JsonSchema, root: string): OpenApiSchema {
  const { $ref } = schema;
  if (typeof $ref === 'string') return convertRef($ref, root); // 3.0 ignores what stands beside a $ref
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (SAME.has(key)) result[key] = value;
    else if (LIST_OF_SCHEMAS.has(key) && Array.isArray(value))
      result[key] = value.map((item) => convertAny(item, root));
    else if (key === 'not') result[key] = convertAny(value, root);
    else if (key === 'additionalProperties') result[key] = typeof value === 'boolean' ? value : convertAny(value, root);
    else if (key === 'properties' && isRecord(value)) {
      result[key] = Object.fromEntries(Object.entries(value).map(([field, item]) => [field, convertAny(item, root)]));
    } else if (key === 'items') {
      result[key] = Array.isArray(value) ? {} : convertAny(value, root); // a tuple: 3.0 has none
    } else if (key === 'type') convertType(value, result);
    else if (key === 'const') result['enum'] = [value];
    else if (key === 'examples' && Array.isArray(value)) result['example'] = value[0];
    else if (key.startsWith('x-')) result[key] = value;
  }
  convertExclusive('exclusiveMinimum', 'minimum', schema, result);
  convertExclusive('exclusiveMaximum', 'maximum', schema, result);
  if (result['type'] === 'array') result['items'] ??= {};
  return result;
}

function convertAny(schema: unknown, root: string): OpenApiSchema {
  if (schema === false) return { not: {} };
  return isRecord(schema) ? convert(schema, root) : {};
}

function convertRef(ref: string, root: string): OpenApiSchema {
  if (ref === '#') return { $ref: `#/components/schemas/${root}` };
  const [, inner] = /^#\/(?:\$defs|definitions)\/([^/]+)$/.exec(ref) ?? [];
  if (inner === undefined) return {}; // into the middle of a schema, or to another document
  const definition = decodePointer(inner);
  return { $ref: `#/components/schemas/${componentName(root, definition)}` };
}

function decodePointer(token: string): string {
  const plain = token.replaceAll('~1', '/').replaceAll('~0', '~');
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain; // a stray percent sign stands for itself
  }
}

/** `['string', 'null']` → a nullable string; of several types, a choice. */
function convertType(type: unknown, result: Record<string, unknown>): void {
  const types: unknown[] = Array.isArray(type) ? type : [type];
  const named = types.filter((item) => item !== 'null');
  if (named.length < types.length) result['nullable'] = true;
  const [only] = named;
  if (named.length === 1) result['type'] = only;
  else if (named.length > 1)
    result['anyOf'] ??= named.map((item) => (item === 'array' ? { type: item, items: {} } : { type: item }));
}

/** A bound of its own in newer JSON Schema, a flag beside the bound in 3.0; where both are given, the tighter one counts. */
function convertExclusive(
  key: 'exclusiveMinimum' | 'exclusiveMaximum',
  bound: 'minimum' | 'maximum',
  schema: JsonSchema,
  result: Record<string, unknown>,
): void {
  const exclusive = schema[key];
  const inclusive = schema[bound];
  if (typeof exclusive === 'boolean') result[key] = exclusive;
  if (typeof exclusive !== 'number') return;
  if (typeof inclusive === 'number' && (bound === 'minimum' ? exclusive < inclusive : exclusive > inclusive)) return;
  result[bound] = exclusive;
  result[key] = true;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
