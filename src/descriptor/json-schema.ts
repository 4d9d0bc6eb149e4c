import { createRequire } from 'node:module';
import type * as AjvModule from 'ajv';
import type { ErrorObject, Options, ValidateFunction } from 'ajv';
import { JubakoError } from '../errors.js';
import type { JsonSchema } from './descriptor.js';
import { preview } from './preview.js';

/** @throws {JubakoError} INVALID_INPUT - names the path, the value and what was wanted. */
export type Validate = (value: unknown) => void;

interface Compiler {
  compile(schema: JsonSchema): ValidateFunction;
}

/** By what `$schema` ends in; a draft that is not here is refused by the compiler of draft 7, by its name. */
const COMPILERS = [
  { draft: '/2020-12/schema', module: 'ajv/dist/2020.js' },
  { draft: '/2019-09/schema', module: 'ajv/dist/2019.js' },
] as const;

const OPTIONS: Options = {
  allErrors: false, // one error is enough for an answer, and an endless list is a way to attack
  strict: false, // schemas of users carry keywords of other tools
  strictNumbers: true, // which `strict: false` would turn off: 1e999 is JSON, and Infinity is no number
  verbose: true,
};

/** @throws {Error} the schema is none. */
export function compileSchema(schema: JsonSchema): Validate {
  const validate = compilerOf(schema).compile(schema);
  return (value) => {
    if (!validate(value)) throw toError(validate.errors ?? [], value);
  };
}

const compilers = new Map<string, Compiler>();

function compilerOf({ $schema }: JsonSchema): Compiler {
  const draft = typeof $schema === 'string' ? $schema.replace(/#$/, '') : '';
  const module = COMPILERS.find((known) => draft.endsWith(known.draft))?.module ?? 'ajv';
  let compiler = compilers.get(module);
  if (compiler === undefined) {
    // Required when first needed: the compute thread of a runner imports this file and has no use for 5 MB of compiler.
    const { default: Ajv } = createRequire(import.meta.url)(module) as { default: typeof AjvModule.Ajv };
    compiler = new Ajv(OPTIONS);
    compilers.set(module, compiler);
  }
  return compiler;
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
