import { createRequire } from 'node:module';
import type * as AjvModule from 'ajv';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { JubakoError } from '../errors.js';
import type { Descriptor, JsonSchema, JsonSpec } from './descriptor.js';

/** A JSON Schema that carries its TypeScript type, as TypeBox's do; only the type is used. */
export interface TypedSchema<T> {
  readonly static: T;
}

/**
 * A JSON value, checked against a JSON Schema (draft 7) where one is given.
 * The type comes from a TypeBox schema, or is named: `json<Image>({ type: 'object', … })`.
 */
export function json<T>(schema: TypedSchema<T> & object): Descriptor<T, JsonSpec>;
// NoInfer: `json()` is a Descriptor<unknown> wherever it stands, instead of what its place would allow.
export function json<T = unknown>(schema?: JsonSchema): Descriptor<NoInfer<T>, JsonSpec>;
export function json(schema: object = {}): Descriptor<unknown, JsonSpec> {
  return new JsonDescriptor(schema as JsonSchema);
}

class JsonDescriptor implements Descriptor<unknown, JsonSpec> {
  readonly spec: JsonSpec;
  #validate: ValidateFunction | undefined;

  constructor(schema: JsonSchema) {
    this.spec = { kind: 'json', schema };
  }

  /** Compiles the schema: once, and not in processes that never validate. */
  prepare(): void {
    if (this.#validate !== undefined || Object.keys(this.spec.schema).length === 0) return;
    try {
      this.#validate = compile(this.spec.schema);
    } catch (cause) {
      throw new JubakoError('SERVICE_INVALID', `Cannot use a JSON Schema: ${(cause as Error).message}`, { cause });
    }
  }

  fromJson(value: unknown): unknown {
    return this.check(value);
  }

  toJson(value: unknown): unknown {
    return value === undefined ? null : value; // a handler that returns nothing answers null
  }

  check(value: unknown): unknown {
    this.prepare();
    const validate = this.#validate;
    if (validate !== undefined && !validate(value)) throw toError(validate.errors ?? [], value);
    return value;
  }
}

let compiler: { compile(schema: JsonSchema): ValidateFunction } | undefined;

function compile(schema: JsonSchema): ValidateFunction {
  // Required when first needed: the compute thread of a runner imports this file and has no use for 5 MB of compiler.
  compiler ??= new (createRequire(import.meta.url)('ajv') as typeof AjvModule).Ajv({
    allErrors: false, // one error is enough for an answer, and an endless list is a way to attack
    strict: false, // schemas of users carry keywords of other tools
    strictNumbers: true, // which `strict: false` would turn off: 1e999 is JSON, and Infinity is no number
    verbose: true,
  });
  return compiler.compile(schema);
}

function toError(errors: readonly ErrorObject[], root: unknown): JubakoError {
  const [first] = errors;
  if (first === undefined)
    return new JubakoError('INVALID_INPUT', 'Cannot accept the value: it does not fit the schema');
  const path = first.instancePath === '' ? '/' : first.instancePath;
  const wanted = wantedBy(first);
  const given = first.instancePath === '' && first.keyword !== 'type' ? '' : `, got ${preview(first.data ?? root)}`;
  return new JubakoError('INVALID_INPUT', `Cannot accept the value: ${path} ${wanted}${given}`, {
    details: [{ path, message: wanted }],
  });
}

function wantedBy(error: ErrorObject): string {
  const message = error.message ?? 'does not fit the schema';
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'additionalProperties') return `${message} ("${String(params['additionalProperty'])}")`;
  if (error.keyword === 'enum') return `${message} ${JSON.stringify(params['allowedValues'])}`;
  return message;
}

/** A value short enough for a message. */
export function preview(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
