import { JubakoError } from '../errors.js';
import type { JsonSchema, JsonSpec, SyncDescriptor } from './descriptor.js';
import { isRecord } from './json-object.js';
import { preview, toPointer } from './preview.js';

// https://standardschema.dev: one interface that zod, valibot, arktype and others have in common; and its sister for the
// JSON Schema of a schema, which not all of them have yet.

/** A schema that reads an `In` and gives an `Out`. */
export interface StandardSchema<In = unknown, Out = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Out> | Promise<StandardResult<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

export type StandardResult<Out> =
  { readonly value: Out; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The others would not help whoever reads the first ones, and an endless list is a way to attack. */
const MAX_SHOWN_ISSUES = 8;

/** The schemas of some libraries are functions. */
export function isStandardSchema(schema: object): schema is StandardSchema {
  const standard: unknown = (schema as Partial<StandardSchema>)['~standard'];
  return isRecord(standard) && typeof standard['validate'] === 'function';
}

export class StandardDescriptor implements SyncDescriptor<unknown, JsonSpec> {
  readonly spec: JsonSpec;
  readonly #standard: StandardSchema['~standard'];

  constructor(schema: StandardSchema) {
    this.spec = { kind: 'json', schema: jsonSchemaOf(schema) };
    this.#standard = schema['~standard'];
  }

  fromJson(value: unknown): unknown {
    return this.check(value);
  }

  toJson(value: unknown): unknown {
    return value === undefined ? null : value;
  }

  check(value: unknown): unknown {
    const result = this.#validate(value);
    if (result.issues === undefined) return result.value;
    throw toError(result.issues, value);
  }

  #validate(value: unknown): StandardResult<unknown> {
    const { validate, vendor } = this.#standard;
    let result: StandardResult<unknown> | Promise<StandardResult<unknown>>;
    try {
      result = validate(value);
    } catch (thrown) {
      throw JubakoError.from(thrown, 'USER_CODE');
    }
    if (!(result instanceof Promise)) return result;
    result.catch(() => undefined); // nobody waits for it
    // zod tries again by a promise where a check throws: the reason is in there, and nobody can wait for it.
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot check a value by a schema of ${vendor} that gives a promise: wanted one that checks at once, without throwing`,
    );
  }
}

function toError(issues: readonly StandardIssue[], value: unknown): JubakoError {
  const details = issues.slice(0, MAX_SHOWN_ISSUES).map(({ message, path = [] }) => ({
    path: toPointer(path.map(keyOf)),
    message,
  }));
  const [first = { path: '/', message: 'does not fit the schema' }] = details;
  const keys = (issues[0]?.path ?? []).map(keyOf);
  const given = keys.length === 0 && isRecord(value) ? '' : `, got ${preview(valueAt(value, keys))}`;
  return new JubakoError('INVALID_INPUT', `Cannot accept the value: ${first.path} ${first.message}${given}`, {
    details,
  });
}

function keyOf(segment: PropertyKey | { readonly key: PropertyKey }): PropertyKey {
  return typeof segment === 'object' ? segment.key : segment;
}

function valueAt(root: unknown, keys: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

const TARGET = 'draft-2020-12';

/** For the documentation; `{}` where the library cannot say: the document may promise less than is checked. */
function jsonSchemaOf(schema: StandardSchema): JsonSchema {
  // What JSON Schema has no word for, such as a Date, is left open instead of refused.
  const zodOptions = { unrepresentable: 'any' };
  const standard = schema['~standard'] as Partial<Record<'jsonSchema', StandardJsonSchema>>;
  const { toJSONSchema } = schema as { toJSONSchema?: (options: object) => unknown };
  try {
    const found =
      standard.jsonSchema?.input({ target: TARGET, libraryOptions: zodOptions }) ??
      toJSONSchema?.call(schema, { target: TARGET, io: 'input', ...zodOptions });
    return isRecord(found) ? found : {};
  } catch {
    return {}; // "May throw if conversion is not supported": it is only documentation that is lost
  }
}

interface StandardJsonSchema {
  input(options: { readonly target: string; readonly libraryOptions: object }): unknown;
}
