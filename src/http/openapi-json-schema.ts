import type { JsonSchema } from '../descriptor/descriptor.js';

// JSON Schemas of users as Schema Objects of OpenAPI 3.1, which are JSON Schema 2020-12 inside a larger document.
// E1 They go in as they are, but for what means something else there: references start at the document, so that those
//    inside a schema are led to where it stands now, and names that references went by ($id, $anchor) are dropped.
// E2 What older drafts say in other words is said in those of 2020-12.
// E3 A reference to what isn't inside the schema is left out: the document may promise less than is checked, never more.

export type OpenApiSchema = Readonly<Record<string, unknown>>;

const ONE = new Set([
  ...['additionalItems', 'additionalProperties', 'contains', 'contentSchema', 'else', 'if', 'items', 'not'],
  ...['propertyNames', 'then', 'unevaluatedItems', 'unevaluatedProperties'],
]);
const LIST = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items']);
const MAP = new Set(['$defs', 'definitions', 'dependencies', 'dependentSchemas', 'patternProperties', 'properties']);
const REFERENCES = new Set(['$ref', '$dynamicRef', '$recursiveRef']);
/** E1; and words of OpenAPI of which users' schemas may have others than it allows. */
const DROPPED = new Set([
  ...['$schema', '$id', '$anchor', '$dynamicAnchor', '$recursiveAnchor', '$vocabulary', 'nullable'],
  ...['discriminator', 'externalDocs', 'xml'],
]);

const ROOT = 'schema:/';

/** @param place - where the result will stand: `#/components/schemas/classify_input`. */
export function embedJsonSchema(schema: JsonSchema, place: string): OpenApiSchema {
  return new Embedding(schema, place).result;
}

/** One more step of a reference into the document. */
export function placeIn(place: string, ...keys: readonly string[]): string {
  const tokens = keys.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1')));
  return [place, ...tokens].join('/').replaceAll('%24', '$'); // `$defs` is easier to read, and as good
}

interface Resource {
  readonly schema: JsonSchema;
  readonly place: string;
}

class Embedding {
  readonly result: OpenApiSchema;
  /** Absolute id, or id and `#anchor` → the schema that it names. */
  readonly #named = new Map<string, Resource>();
  /** Schema → where it will stand. */
  readonly #places = new Map<object, string>();

  constructor(schema: JsonSchema, place: string) {
    this.#named.set(ROOT, { schema, place });
    this.#survey(schema, place, ROOT);
    this.result = this.#convert(schema, ROOT);
  }

  #survey(schema: JsonSchema, place: string, outerBase: string): void {
    this.#places.set(schema, place);
    const base = baseOf(schema, outerBase);
    if (base !== outerBase) this.#named.set(base, { schema, place });
    for (const anchor of anchorsOf(schema)) this.#named.set(`${base}#${anchor}`, { schema, place });
    eachSubschema(schema, (inner, keys) => {
      if (isRecord(inner)) this.#survey(inner, placeIn(place, ...keys), base);
    });
  }

  #convert(schema: JsonSchema, outerBase: string): OpenApiSchema {
    const base = baseOf(schema, outerBase);
    const result: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(schema)) {
      if (REFERENCES.has(key)) {
        const target = this.#resolve(String(value), base);
        if (target !== undefined) result['$ref'] = target;
      } else if (!DROPPED.has(key) && !isSubschemas(key, value)) result[key] = value;
    }
    eachSubschema(schema, (inner, keys) => {
      put(result, keys, isRecord(inner) ? this.#convert(inner, base) : inner);
    });
    if (schema['nullable'] === true && result['type'] !== undefined) {
      result['type'] = [...new Set([result['type'], 'null'].flat())];
    }
    return result;
  }

  /** E3: undefined where it leads out of the schema. */
  #resolve(reference: string, base: string): string | undefined {
    const [path = '', fragment = ''] = reference.split('#', 2);
    const id = path === '' ? base : absolute(path, base);
    const found = this.#named.get(id);
    if (fragment === '') return found?.place;
    if (!fragment.startsWith('/')) return this.#named.get(`${id}#${fragment}`)?.place;
    if (found === undefined) return undefined;
    const keys = fragment
      .slice(1)
      .split('/')
      .map((key) => decode(key).replaceAll('~1', '/').replaceAll('~0', '~'));
    let target: unknown = found.schema;
    for (const key of keys) target = isObject(target) && Object.hasOwn(target, key) ? target[key as never] : undefined;
    if (target === undefined) return undefined;
    return (isObject(target) ? this.#places.get(target) : undefined) ?? placeIn(found.place, ...keys);
  }
}

/** Calls with each schema inside this one, and the keys where it stands in 2020-12 (E2). */
function eachSubschema(schema: JsonSchema, visit: (inner: unknown, keys: readonly string[]) => void): void {
  const isTuple = Array.isArray(schema['items']);
  for (const [key, value] of Object.entries(schema)) {
    if (!isSubschemas(key, value)) continue;
    if (key === 'additionalItems') {
      if (isTuple) visit(value, ['items']);
    } else if (Array.isArray(value)) {
      const list = key === 'items' ? 'prefixItems' : key;
      value.forEach((item, i) => {
        visit(item, [list, String(i)]);
      });
    } else if (MAP.has(key)) {
      for (const [name, item] of Object.entries(value as object)) visit(item, [mapKey(key, item), name]);
    } else visit(value, [key]);
  }
}

function mapKey(key: string, item: unknown): string {
  if (key !== 'dependencies') return key;
  return Array.isArray(item) ? 'dependentRequired' : 'dependentSchemas';
}

function isSubschemas(key: string, value: unknown): boolean {
  if (Array.isArray(value)) return LIST.has(key);
  return isRecord(value) ? MAP.has(key) || ONE.has(key) : ONE.has(key);
}

function put(result: Record<string, unknown>, [key = '', inner]: readonly string[], value: unknown): void {
  if (inner === undefined) result[key] = value;
  else if (LIST.has(key)) ((result[key] ??= []) as unknown[]).push(value);
  else ((result[key] ??= {}) as Record<string, unknown>)[inner] = value;
}

/** What references inside the schema start from. */
function baseOf({ $id: id }: JsonSchema, outerBase: string): string {
  return typeof id === 'string' && !id.startsWith('#') ? absolute(id.replace(/#$/, ''), outerBase) : outerBase;
}

function anchorsOf(schema: JsonSchema): readonly string[] {
  const { $id: id, $anchor: anchor, $dynamicAnchor: dynamicAnchor } = schema;
  const old = typeof id === 'string' && id.startsWith('#') ? id.slice(1) : undefined; // draft 7
  return [old, anchor, dynamicAnchor].filter((name): name is string => typeof name === 'string');
}

function absolute(reference: string, base: string): string {
  return URL.canParse(reference, base) ? new URL(reference, base).href : reference;
}

function decode(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token; // a stray percent sign stands for itself
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return isObject(value) && !Array.isArray(value);
}
