import { JubakoError } from '../errors.js';
import type { ApiDefinition, MethodDefinition, RunnerDefinition, ServiceDefinition } from './define.js';
import type { MethodOutputSpec } from '../descriptor/descriptor.js';
import {
  checkApiInput,
  checkApiOutput,
  checkMethodInput,
  checkMethodOutput,
  type Refuse,
} from './check-descriptors.js';
import { checkExtensions } from './check-extensions.js';
import { checkRoute } from './check-route.js';
import { allRunners, batchOf, routeOf } from './manifest-of.js';

// What a service may be, beyond what the types say: JavaScript services have no types, and numbers have bounds. What only
// values can tell, such as whether an example fits its input, is `prepareService`'s.

/** Names become file names, labels and protocol fields: the reference allows 63 characters as well. */
const NAME = /^[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const MAX_WORKERS = 1024;
const MAX_THREADS = 256;
const MAX_CONCURRENCY = 4096;

/** @throws {JubakoError} SERVICE_INVALID - names the runner, method or API, the value, and what was wanted. */
export function checkService(service: ServiceDefinition): void {
  const refuse: Refuse = (why) => {
    throw new JubakoError('SERVICE_INVALID', `Cannot serve "${service.name}": ${why}`);
  };
  if (!NAME.test(service.name)) refuse('the name of the service must be 1 to 63 letters, digits, ".", "_" or "-"');
  const runnerNames = new Set<string>();
  checkCycles(service, refuse); // before anything walks along the calls
  for (const runner of allRunners(service)) {
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
  checkExtensions(service, routes, refuse);
}

function checkRunner(runner: RunnerDefinition, refuse: Refuse): void {
  const who = `runner "${runner.name}"`;
  if (typeof runner.load !== 'function') refuse(`${who} has no load() function`);
  checkCount(runner.workers, `${who}: workers`, MAX_WORKERS, refuse);
  checkCount(runner.threads, `${who}: threads`, MAX_THREADS, refuse);
  checkPlacement(runner, who, refuse);
  for (const { name, placement } of runner.runners ?? []) {
    if (placement === 'embedded')
      refuse(`${who} calls "${name}", which is embedded: only APIs reach an embedded runner, so place it "process"`);
  }
  const methods = Object.entries(runner.methods);
  if (methods.length === 0) refuse(`${who} has no methods`);
  for (const [name, method] of methods) checkMethod(method, `method "${runner.name}.${name}"`, refuse);
}

function checkPlacement({ placement, resources, workers }: RunnerDefinition, who: string, refuse: Refuse): void {
  checkCount(resources?.cpus, `${who}: resources.cpus`, MAX_THREADS, refuse);
  for (const [name, value] of Object.entries(resources?.env ?? {})) {
    if (typeof value !== 'string') refuse(`${who}: resources.env.${name} must be a string`);
  }
  if (placement === undefined || placement === 'process') return;
  if ((placement as unknown) !== 'embedded')
    refuse(`${who}: placement is "${String(placement)}", wanted "process" or "embedded"`);
  if (workers !== undefined) refuse(`${who} is embedded and so has no workers of its own: leave out "workers"`);
  const { devices, pinned, env } = resources ?? {};
  if (devices !== undefined || pinned !== undefined || env !== undefined)
    refuse(`${who} is embedded and shares its process: leave out "devices", "pinned" and "env" of resources`);
}

function checkMethod(method: MethodDefinition, label: string, refuse: Refuse): void {
  if (typeof method.run !== 'function') refuse(`${label} has no run() function`);
  checkMethodInput(method.input, `${label}: its input`, refuse);
  checkMethodOutput(method.output, `${label}: its output`, refuse);
  checkCount(method.concurrency, `${label}: concurrency`, MAX_CONCURRENCY, refuse);
  if (method.batch === undefined) return;
  const { maxSize, maxQueueSize, maxLatencyMs } = batchOf(method);
  checkCount(maxSize, `${label}: batch.maxSize`, Number.MAX_SAFE_INTEGER, refuse);
  checkCount(maxQueueSize, `${label}: batch.maxQueueSize`, Number.MAX_SAFE_INTEGER, refuse);
  if (maxLatencyMs !== null && !(Number.isFinite(maxLatencyMs) && maxLatencyMs > 0))
    refuse(`${label}: batch.maxLatencyMs is ${maxLatencyMs}, wanted a number of milliseconds above 0`);
  for (const side of ['input', 'output'] as const) checkBatchAxis(method[side].spec, `${label}: its ${side}`, refuse);
}

function checkCount(value: number | undefined, what: string, max: number, refuse: Refuse): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= max)) return;
  const limit = max === Number.MAX_SAFE_INTEGER ? '>= 1' : `from 1 to ${max}`;
  refuse(`${what} is ${value}, wanted a whole number ${limit}`);
}

function checkBatchAxis(spec: MethodOutputSpec, label: string, refuse: Refuse): void {
  if (spec.kind === 'json') return;
  if (spec.kind === 'stream') return refuse(`${label} is a stream: a method that streams cannot be batched`);
  const tensors = spec.kind === 'tensor' ? [spec] : Object.values(spec.fields);
  if (tensors.some(({ shape }) => shape[0] !== -1)) refuse(`${label} is batched, so axis 0 of its shape must be -1`);
}

/** A runner that waits for itself, by whatever detour, would wait for ever once its threads are taken. */
function checkCycles({ runners }: ServiceDefinition, refuse: Refuse): void {
  const done = new Set<RunnerDefinition>();
  const visit = (runner: RunnerDefinition, path: readonly RunnerDefinition[]): void => {
    const start = path.indexOf(runner);
    if (start !== -1) {
      const names = [...path.slice(start), runner].map(({ name }) => `"${name}"`);
      refuse(`the runners call each other in a circle: ${names.join(' → ')}`);
    }
    if (done.has(runner)) return;
    for (const called of runner.runners ?? []) visit(called, [...path, runner]);
    done.add(runner);
  };
  for (const runner of runners) visit(runner, []);
}

function checkApi(name: string, api: ApiDefinition, routes: Map<string, string>, refuse: Refuse): void {
  if (typeof api.handler !== 'function') refuse(`API "${name}" has no handler() function`);
  checkApiInput(api.input, `API "${name}": its input`, refuse);
  checkApiOutput(api.output, `API "${name}": its output`, refuse);
  const route = routeOf(name, api);
  checkRoute(route, `the route "${route}" of API "${name}"`, refuse);
  const other = routes.get(route);
  if (other !== undefined) refuse(`the APIs "${other}" and "${name}" have the same route "${route}"`);
  routes.set(route, name);
}
