import { JubakoError } from '../errors.js';
import type { ApiDefinition, MethodDefinition, ServiceDefinition } from './define.js';
import { allRunners } from './manifest-of.js';

/**
 * Makes what would make the first request slow, and tries what only values can tell: compiles schemas, loads the packages that
 * images and tables need, reads the examples.
 * @param runner - name: only what a compute thread of it uses; undefined: what an API worker uses, which is all there is.
 * @throws {JubakoError} SERVICE_INVALID - a schema is none, a package is missing, an example does not fit.
 */
export async function prepareService(service: ServiceDefinition, runner?: string): Promise<void> {
  if (runner !== undefined) {
    const own = allRunners(service).find(({ name }) => name === runner);
    for (const method of Object.values(own?.methods ?? {})) method.output.prepare?.();
    for (const called of own?.runners ?? []) prepareInputs(called.methods); // by `context.runners`
    return;
  }
  for (const { methods } of allRunners(service)) {
    prepareInputs(methods);
    for (const { output } of Object.values(methods)) output.prepare?.();
  }
  for (const [name, api] of Object.entries(service.apis)) {
    api.input.prepare?.();
    api.output.prepare?.();
    if (api.example !== undefined) await readExample(service.name, name, api);
  }
}

function prepareInputs(methods: Readonly<Record<string, MethodDefinition>>): void {
  for (const { input } of Object.values(methods)) input.prepare?.();
}

async function readExample(service: string, name: string, { input, example }: ApiDefinition): Promise<void> {
  try {
    await input.fromJson(example);
  } catch (thrown) {
    const cause = JubakoError.from(thrown);
    const why = `the example of API "${name}" does not fit its input: ${cause.message}`;
    throw new JubakoError('SERVICE_INVALID', `Cannot serve "${service}": ${why}`, { cause });
  }
}
