import { JubakoError } from '../errors.js';
import type { EntryPoint } from '../ipc/manifest.js';
import { checkService } from './check-service.js';
import { isServiceDefinition, type ServiceDefinition } from './define.js';
import { prepareService } from './prepare-service.js';

/**
 * Imports the module of a service, finds the service in it, and makes it ready for requests. Runs the user's top-level code:
 * never in the primary.
 * @param runner - name of the one whose compute thread asks; undefined: an API worker, or the describer.
 * @throws {JubakoError} SERVICE_INVALID - the module throws, exports no service, or the service contradicts itself.
 */
export async function loadService(entry: EntryPoint, runner?: string): Promise<ServiceDefinition> {
  let exports: Record<string, unknown>;
  try {
    exports = (await import(entry.url)) as Record<string, unknown>;
  } catch (thrown) {
    if (thrown instanceof JubakoError) throw thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot load the service from ${entry.sources[0] ?? entry.url}: ${message}`,
      { cause: thrown },
    );
  }
  const service = pickService(exports, entry);
  checkService(service);
  await prepareService(service, runner);
  return service;
}

function pickService(exports: Record<string, unknown>, { exportName, sources, url }: EntryPoint): ServiceDefinition {
  const file = sources[0] ?? url;
  if (exportName !== '') {
    const chosen = exports[exportName];
    if (isServiceDefinition(chosen)) return chosen;
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot serve the export "${exportName}" of ${file}: it is not made by defineService(); the exports are ${listNames(Object.keys(exports))}`,
    );
  }
  if (isServiceDefinition(exports['default'])) return exports['default'];
  const services = Object.entries(exports).filter(([, value]) => isServiceDefinition(value));
  const [only] = services;
  if (only !== undefined && services.length === 1) return only[1] as ServiceDefinition;
  const why =
    services.length === 0
      ? 'it exports no service; export default defineService({ … })'
      : `it exports several (${services.map(([name]) => name).join(', ')}); name one as ${file}:name`;
  throw new JubakoError('SERVICE_INVALID', `Cannot serve ${file}: ${why}`);
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}
