import { JubakoError } from '../errors.js';
import type { ClientAs, JsonSchema, JsonSpec, SyncDescriptor } from './descriptor.js';
import { compileSchema, type Validate } from './json-schema.js';
import { isStandardSchema, StandardDescriptor, type StandardSchema } from './standard-schema.js';

/** A JSON Schema that carries its TypeScript type, as TypeBox's do; only the type is used. */
export interface TypedSchema<T> {
  readonly static: T;
}

/** What the typed client takes is what the schema reads, where that differs from what the handler is given. */
type Read<In, Out> = [In, Out] extends [Out, In] ? Out : ClientAs<Out, In>;

/**
 * A JSON value, checked against a schema where one is given: a JSON Schema (draft 7; 2019-09 or 2020-12 where its `$schema`
 * says so), or a schema of any library that follows Standard Schema (zod, valibot, arktype, …), whose output the handler is
 * given. The type comes from the schema, or is named: `json<Image>({ type: 'object', … })`.
 *
 * A value that a handler or a model gives is checked by the same schema: one that changes what it reads, as zod's `transform`
 * does, is for inputs of APIs.
 */
export function json<In, Out>(schema: StandardSchema<In, Out>): SyncDescriptor<Read<In, Out>, JsonSpec>;
export function json<T>(schema: TypedSchema<T> & object): SyncDescriptor<T, JsonSpec>;
// NoInfer: `json()` is a Descriptor<unknown> wherever it stands, instead of what its place would allow.
export function json<T = unknown>(schema?: JsonSchema): SyncDescriptor<NoInfer<T>, JsonSpec>;
export function json(schema: object = {}): SyncDescriptor<unknown, JsonSpec> {
  return isStandardSchema(schema) ? new StandardDescriptor(schema) : new JsonDescriptor(schema as JsonSchema);
}

class JsonDescriptor implements SyncDescriptor<unknown, JsonSpec> {
  readonly spec: JsonSpec;
  #validate: Validate | undefined;

  constructor(schema: JsonSchema) {
    this.spec = { kind: 'json', schema };
  }

  /** Compiles the schema: once, and not in processes that never validate. */
  prepare(): void {
    if (this.#validate !== undefined || Object.keys(this.spec.schema).length === 0) return;
    try {
      this.#validate = compileSchema(this.spec.schema);
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
    this.#validate?.(value);
    return value;
  }
}
