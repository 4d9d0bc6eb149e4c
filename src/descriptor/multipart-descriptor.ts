import { JubakoError } from '../errors.js';
import type { ClientAs, ClientInput, Descriptor, MultipartSpec, PartSpec, ValueOf } from './descriptor.js';
import { isRecord } from './json-object.js';
import { preview } from './preview.js';

export interface MultipartOptions<Optional extends string = string> {
  /** Names of fields that may be missing. Default: none. */
  readonly optional?: readonly Optional[];
}

type Fields = Readonly<Record<string, Descriptor<unknown, PartSpec>>>;

/** `{ image: ImageTensor; note?: string }` */
export type MultipartValue<F extends Fields, Optional extends keyof F> = ClientAs<
  { readonly [K in Exclude<keyof F, Optional>]: ValueOf<F[K]> } & { readonly [K in Optional]?: ValueOf<F[K]> },
  { readonly [K in Exclude<keyof F, Optional>]: ClientInput<ValueOf<F[K]>> } & {
    readonly [K in Optional]?: ClientInput<ValueOf<F[K]>>;
  }
>;

/**
 * Named values of different kinds: `multipart({ image: image(), note: text() }, { optional: ['note'] })`. As a body a form
 * (multipart/form-data), as JSON an object with the JSON of each.
 */
export function multipart<const F extends Fields, const Optional extends keyof F & string = never>(
  fields: F,
  options: MultipartOptions<Optional> = {},
): Descriptor<MultipartValue<F, Optional>, MultipartSpec> {
  return new MultipartDescriptor(fields, options) as unknown as Descriptor<MultipartValue<F, Optional>, MultipartSpec>;
}

/** All but forms in forms and streams. */
const PART_KINDS = ['json', 'tensor', 'tensors', 'text', 'bytes', 'file', 'image', 'table'];

type Values = Readonly<Record<string, unknown>>;

class MultipartDescriptor implements Descriptor<Values, MultipartSpec> {
  readonly spec: MultipartSpec;
  readonly parts: Fields;

  constructor(fields: Fields, { optional = [] }: MultipartOptions) {
    const specs = new Map<string, PartSpec>();
    for (const [name, { spec }] of Object.entries(fields)) {
      if (!PART_KINDS.includes(spec.kind))
        throw new JubakoError(
          'SERVICE_INVALID',
          `Cannot describe a multipart: its field "${name}" is a ${spec.kind}()`,
        );
      specs.set(name, spec);
    }
    const unknown = optional.find((name) => !Object.hasOwn(fields, name));
    if (unknown !== undefined)
      throw new JubakoError(
        'SERVICE_INVALID',
        `Cannot describe a multipart: it has no field "${unknown}" to be optional`,
      );
    this.spec = { kind: 'multipart', fields: Object.fromEntries(specs), optional: [...optional] };
    this.parts = fields;
  }

  prepare(): void {
    for (const field of Object.values(this.parts)) field.prepare?.();
  }

  async fromJson(json: unknown): Promise<Values> {
    const given = this.#complete(json);
    const values = Object.entries(given).map(async ([name, item]) => {
      return [name, await namingErrors(name, () => this.#field(name).fromJson(item))] as const;
    });
    return Object.fromEntries(await Promise.all(values));
  }

  async toJson(value: Values): Promise<unknown> {
    const written = Object.entries(value).map(async ([name, item]) => {
      return [name, await this.#field(name).toJson(item)] as const;
    });
    return Object.fromEntries(await Promise.all(written));
  }

  fromParts(values: Values): Values {
    return this.#complete(values);
  }

  check(value: unknown): Values {
    const given = Object.entries(this.#complete(value));
    return Object.fromEntries(
      given.map(([name, item]) => {
        try {
          return [name, this.#field(name).check(item)];
        } catch (thrown) {
          throw named(name, thrown);
        }
      }),
    );
  }

  #field(name: string): Descriptor {
    return this.parts[name] as Descriptor;
  }

  /** The object without what is undefined: as if it were not there. */
  #complete(value: unknown): Values {
    const names = Object.keys(this.parts);
    if (!isRecord(value)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept ${preview(value)}: wanted an object with ${names.join(', ')}`,
      );
    }
    const given = Object.entries(value).filter(([, item]) => item !== undefined);
    const unknown = given.find(([name]) => !Object.hasOwn(this.parts, name));
    if (unknown !== undefined)
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept the part "${unknown[0]}": the parts are ${names.join(', ')}`,
      );
    const complete = Object.fromEntries(given);
    const missing = names.find((name) => !Object.hasOwn(complete, name) && !this.spec.optional.includes(name));
    if (missing !== undefined)
      throw new JubakoError('INVALID_INPUT', `Cannot accept the parts: "${missing}" is missing`);
    return complete;
  }
}

async function namingErrors<T>(name: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    throw named(name, thrown);
  }
}

function named(name: string, thrown: unknown): JubakoError {
  const error = JubakoError.from(thrown);
  return new JubakoError(error.code, `Part "${name}": ${error.message}`, { details: error.details, cause: error });
}
