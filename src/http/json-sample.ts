import { isRecord } from '../descriptor/json-object.js';

// A small value for a JSON Schema (2020-12). It looks at the usual keywords and hopes: whoever takes the value checks it.

/** What a `$ref` leads to; undefined: nothing. */
export type Resolve = (reference: string) => unknown;

/** Levels that a value has at most; a schema may contain itself. */
const MAX_DEPTH = 8;
const MAX_ITEMS = 100;
const LETTER = 'a';

const FORMATS: Readonly<Record<string, string>> = {
  date: '2000-01-01',
  'date-time': '2000-01-01T00:00:00Z',
  time: '00:00:00Z',
  duration: 'P1D',
  email: 'a@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  'uri-reference': '/',
  uuid: '00000000-0000-4000-8000-000000000000',
};

/** Undefined: none comes to mind. */
export function sampleOf(schema: unknown, resolve: Resolve, depth = 0): unknown {
  if (schema === true) return null;
  if (!isRecord(schema) || depth > MAX_DEPTH) return undefined;
  const { $ref: reference, examples, example, allOf } = schema;
  const inner = (part: unknown): unknown => sampleOf(part, resolve, depth + 1);
  if ('const' in schema) return schema['const'];
  if ('default' in schema) return schema['default'];
  if (Array.isArray(examples) && examples.length > 0) return examples[0] as unknown;
  if (example !== undefined) return example;
  if (Array.isArray(schema['enum'])) return schema['enum'][0] as unknown;
  if (typeof reference === 'string') return inner(resolve(reference));
  if (Array.isArray(allOf)) return inner(merged(schema, allOf, resolve));
  for (const choice of [schema['anyOf'], schema['oneOf']]) {
    if (!Array.isArray(choice)) continue;
    const rest = without(schema, 'anyOf', 'oneOf');
    const found = choice.map((one) => inner(merged(rest, [one], resolve))).find((value) => value !== undefined);
    if (found !== undefined) return found;
  }
  return ofType(schema, inner);
}

/** What all of them say, as far as it can be said at once. */
function merged(schema: object, parts: readonly unknown[], resolve: Resolve): unknown {
  const result = without(schema, 'allOf');
  for (const part of parts) {
    const reference = isRecord(part) ? part['$ref'] : undefined;
    const found = typeof reference === 'string' ? resolve(reference) : part;
    if (found === true) continue;
    if (!isRecord(found)) return undefined;
    for (const [key, value] of Object.entries(found)) {
      const before = result[key];
      if (isRecord(before) && isRecord(value)) result[key] = { ...before, ...value };
      else if (Array.isArray(before) && Array.isArray(value))
        result[key] = [...(before as unknown[]), ...(value as unknown[])];
      else result[key] = value;
    }
  }
  return result;
}

function without(schema: object, ...keywords: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => !keywords.includes(keyword)));
}

type Inner = (part: unknown) => unknown;

function ofType(schema: Readonly<Record<string, unknown>>, inner: Inner): unknown {
  const { type } = schema;
  const named: unknown = Array.isArray(type) ? (type.find((one) => one !== 'null') ?? 'null') : type;
  switch (named ?? guessedType(schema)) {
    case 'object':
      return objectOf(schema, inner);
    case 'array':
      return listOf(schema, inner);
    case 'string':
      return textOf(schema);
    case 'integer':
    case 'number':
      return numberOf(schema);
    case 'boolean':
      return false;
    default:
      return null;
  }
}

function guessedType(schema: Readonly<Record<string, unknown>>): string | undefined {
  if ('properties' in schema || 'required' in schema) return 'object';
  return 'items' in schema || 'prefixItems' in schema ? 'array' : undefined;
}

function objectOf({ properties, required }: Readonly<Record<string, unknown>>, inner: Inner): unknown {
  const known = isRecord(properties) ? properties : {};
  const names = Array.isArray(required) ? (required as string[]) : [];
  const entries = names.map((name) => [name, inner(Object.hasOwn(known, name) ? known[name] : true)] as const);
  return entries.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(entries);
}

function listOf({ prefixItems, items, minItems }: Readonly<Record<string, unknown>>, inner: Inner): unknown {
  const first: readonly unknown[] = Array.isArray(prefixItems) ? prefixItems : [];
  const count = Math.max(first.length, typeof minItems === 'number' ? minItems : 0);
  if (count > MAX_ITEMS) return undefined;
  const list = Array.from({ length: count }, (_, i) => inner(i < first.length ? first[i] : (items ?? true)));
  return list.includes(undefined) ? undefined : list;
}

function textOf({ minLength, format }: Readonly<Record<string, unknown>>): string {
  const known = typeof format === 'string' ? FORMATS[format] : undefined;
  return known ?? LETTER.repeat(typeof minLength === 'number' ? minLength : 0);
}

function numberOf(schema: Readonly<Record<string, unknown>>): number {
  const { multipleOf, minimum, exclusiveMinimum, maximum, exclusiveMaximum } = schema;
  const step = typeof multipleOf === 'number' ? multipleOf : 1;
  const low = Math.max(numberOr(minimum, -Infinity), numberOr(exclusiveMinimum, -Infinity));
  const high = Math.min(numberOr(maximum, Infinity), numberOr(exclusiveMaximum, Infinity));
  const isInside = (value: number): boolean =>
    Number.isFinite(value) && value >= low && value <= high && value !== exclusiveMinimum && value !== exclusiveMaximum;
  const up = Math.ceil(low / step) * step;
  const candidates = [0, up, up + step, Math.floor(high / step) * step, (low + high) / 2];
  return candidates.find(isInside) ?? 0;
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}
