import { JubakoError } from '../errors.js';
import type { ApiManifest, EntryPoint, Manifest, MethodManifest, RunnerManifest } from '../ipc/manifest.js';
import {
  isServiceDefinition,
  type ApiDefinition,
  type MethodDefinition,
  type RunnerDefinition,
  type ServiceDefinition,
} from './define.js';

const DEFAULT_MAX_SIZE = 64;
const DEFAULT_QUEUE_FACTOR = 16;

/** Names become file names, labels and protocol fields: the reference allows 63 characters as well. */
const NAME = /^[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const RESERVED_ROUTES = new Set(['/', '/livez', '/readyz', '/healthz', '/metrics', '/docs.json']);

/**
 * Imports the module of a service and finds the service in it. Runs the user's top-level code: never in the primary.
 * @throws {JubakoError} SERVICE_INVALID - the module throws, exports no service, or the service contradicts itself.
 */
export async function loadService(entry: EntryPoint): Promise<ServiceDefinition> {
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

function checkService(service: ServiceDefinition): void {
  const refuse = (why: string): never => {
    throw new JubakoError('SERVICE_INVALID', `Cannot serve "${service.name}": ${why}`);
  };
  if (!NAME.test(service.name)) refuse('the name of the service must be 1 to 63 letters, digits, ".", "_" or "-"');
  const runnerNames = new Set<string>();
  for (const runner of service.runners) {
    if (!NAME.test(runner.name))
      refuse(`the runner name "${runner.name}" must be 1 to 63 letters, digits, ".", "_" or "-"`);
    if (runnerNames.has(runner.name)) refuse(`two runners are named "${runner.name}"`);
    runnerNames.add(runner.name);
    checkRunner(runner, refuse);
  }
  const routes = new Map<string, string>();
  for (const [name, api] of Object.entries(service.apis)) {
    if (!NAME.test(name)) refuse(`the API name "${name}" must be 1 to 63 letters, digits, ".", "_" or "-"`);
    checkApi(name, api, routes, refuse);
  }
}

function checkRunner(runner: RunnerDefinition, refuse: (why: string) => never): void {
  if (typeof runner.load !== 'function') refuse(`runner "${runner.name}" has no load() function`);
  const workers = runner.workers ?? 1;
  if (!Number.isInteger(workers) || workers < 1)
    refuse(`runner "${runner.name}" wants ${workers} workers: a whole number >= 1 is needed`);
  const methods = Object.entries(runner.methods);
  if (methods.length === 0) refuse(`runner "${runner.name}" has no methods`);
  for (const [name, method] of methods) {
    const label = `method "${runner.name}.${name}"`;
    if (typeof method.run !== 'function') refuse(`${label} has no run() function`);
    method.input.prepare?.();
    method.output.prepare?.();
    if (method.batch === undefined) continue;
    const { maxSize, maxQueueSize } = batchOf(method);
    if (!Number.isInteger(maxSize) || maxSize < 1)
      refuse(`${label}: batch.maxSize is ${maxSize}, wanted a whole number >= 1`);
    if (!Number.isInteger(maxQueueSize) || maxQueueSize < 1)
      refuse(`${label}: batch.maxQueueSize is ${maxQueueSize}, wanted a whole number >= 1`);
    for (const side of ['input', 'output'] as const) checkBatchAxis(method[side].spec, `${label}: its ${side}`, refuse);
  }
}

function checkBatchAxis(spec: MethodDefinition['input']['spec'], label: string, refuse: (why: string) => never): void {
  if (spec.kind === 'json') return;
  const tensors = spec.kind === 'tensor' ? [spec] : Object.values(spec.fields);
  if (tensors.some(({ shape }) => shape[0] !== -1)) refuse(`${label} is batched, so axis 0 of its shape must be -1`);
}

function checkApi(name: string, api: ApiDefinition, routes: Map<string, string>, refuse: (why: string) => never): void {
  if (typeof api.handler !== 'function') refuse(`API "${name}" has no handler() function`);
  const route = routeOf(name, api);
  if (!/^\/[^?#:*\s]*$/.test(route) || route.startsWith('//'))
    refuse(`the route "${route}" of API "${name}" must start with one "/" and hold no "?", "#", ":", "*" or space`);
  if (RESERVED_ROUTES.has(route) || route.startsWith('/v2') || route.startsWith('/jubako/'))
    refuse(`the route "${route}" of API "${name}" is reserved`);
  const other = routes.get(route);
  if (other !== undefined) refuse(`the APIs "${other}" and "${name}" have the same route "${route}"`);
  routes.set(route, name);
  api.input.prepare?.();
  api.output.prepare?.();
  if (api.example === undefined) return;
  try {
    api.input.fromJson(api.example);
  } catch (thrown) {
    refuse(`the example of API "${name}" does not fit its input: ${JubakoError.from(thrown).message}`);
  }
}

/** The service as data. */
export function manifestOf(service: ServiceDefinition): Manifest {
  return {
    name: service.name,
    version: service.version ?? '0',
    apis: Object.entries(service.apis).map(([name, api]): ApiManifest => ({
      name,
      route: routeOf(name, api),
      input: api.input.spec,
      output: api.output.spec,
      ...(api.doc !== undefined && { doc: api.doc }),
      ...(api.example !== undefined && { example: api.example }),
    })),
    runners: service.runners.map((runner): RunnerManifest => ({
      name: runner.name,
      workers: runner.workers ?? 1,
      methods: Object.entries(runner.methods).map(([name, method]): MethodManifest => ({
        name,
        input: method.input.spec,
        output: method.output.spec,
        batch: method.batch === undefined ? null : batchOf(method),
        idempotent: method.idempotent ?? method.batch !== undefined,
      })),
    })),
  };
}

function routeOf(name: string, api: ApiDefinition): string {
  return api.route ?? `/${name}`;
}

function batchOf(method: MethodDefinition): { maxSize: number; maxQueueSize: number } {
  const maxSize = method.batch?.maxSize ?? DEFAULT_MAX_SIZE;
  return { maxSize, maxQueueSize: method.batch?.maxQueueSize ?? maxSize * DEFAULT_QUEUE_FACTOR };
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}
