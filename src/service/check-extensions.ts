import { preview } from '../descriptor/preview.js';
import type { Refuse } from './check-descriptors.js';
import { checkRoute, isAtOrBelow } from './check-route.js';
import type { ServiceDefinition } from './define.js';

// What a service brings beside its APIs: plugins, gRPC services, foreign applications.

type Facts = Readonly<Record<string, unknown>>;

/** @param routes - path → name of its API. */
export function checkExtensions(service: ServiceDefinition, routes: ReadonlyMap<string, string>, refuse: Refuse): void {
  if (service.http !== undefined) {
    const { plugins } = checkObject(service.http, 'http', ['plugins'], refuse);
    checkList(plugins, 'http.plugins', isFunction, 'functions', refuse);
  }
  if (service.grpc !== undefined) checkGrpc(service.grpc, refuse);
  if (service.mounts === undefined) return;
  const mounts = Object.entries(checkObject(service.mounts, 'mounts', null, refuse));
  for (const [path, options] of mounts) {
    checkMountPath(
      path,
      mounts.map(([other]) => other),
      routes,
      refuse,
    );
    checkMount(options, `the mount "${path}"`, refuse);
  }
}

function checkGrpc(grpc: unknown, refuse: Refuse): void {
  const { services, interceptors } = checkObject(grpc, 'grpc', ['services', 'interceptors'], refuse);
  if (interceptors !== undefined) checkList(interceptors, 'grpc.interceptors', isFunction, 'functions', refuse);
  if (services === undefined) return;
  for (const [at, service] of checkList(services, 'grpc.services', isObject, 'objects', refuse).entries()) {
    const what = `grpc.services[${at}]`;
    const { definition, implementation } = checkObject(service, what, ['definition', 'implementation'], refuse);
    if (!isFunction(implementation)) refuse(`${what} has no implementation() function`);
    const { proto, service: name } = checkObject(definition, `${what}.definition`, null, refuse);
    if (isGenerated(definition as Facts)) continue;
    if ((typeof proto !== 'string' && !(proto instanceof URL)) || typeof name !== 'string')
      refuse(`${what}.definition is neither that of generated code nor { proto: file, service: full name }`);
  }
}

/** What grpc-js calls a service definition: name of each method → how it is called. */
function isGenerated(definition: Facts): boolean {
  const methods = Object.values(definition);
  return methods.length > 0 && methods.every((method) => isObject(method) && typeof method['path'] === 'string');
}

function checkMountPath(
  path: string,
  mounts: readonly string[],
  routes: ReadonlyMap<string, string>,
  refuse: Refuse,
): void {
  const what = `the mount "${path}"`;
  if (path.endsWith('/')) refuse(`${what} must not end with "/"`);
  checkRoute(path, what, refuse);
  for (const [route, api] of routes)
    if (isAtOrBelow(route, path)) refuse(`${what} hides the route "${route}" of API "${api}"`);
  const inner = mounts.find((other) => other !== path && isAtOrBelow(other, path));
  if (inner !== undefined) refuse(`${what} hides the mount "${inner}"`);
}

function checkMount(options: unknown, what: string, refuse: Refuse): void {
  const keys = ['upstream', 'command', 'stripPath', 'cwd', 'env', 'readyPath'];
  const { upstream, command, stripPath, ...ofCommand } = checkObject(options, what, keys, refuse);
  if ((upstream === undefined) === (command === undefined)) refuse(`${what} must have either "upstream" or "command"`);
  if (stripPath !== undefined && typeof stripPath !== 'boolean') refuse(`${what}: stripPath must be true or false`);
  if (upstream !== undefined) {
    if (!isOrigin(upstream)) refuse(`${what}: upstream is ${preview(upstream)}, wanted "http://host:port"`);
    const [more] = Object.keys(ofCommand);
    if (more !== undefined) refuse(`${what} is not started here: leave out "${more}"`);
    return;
  }
  const argv = checkList(command, `${what}: command`, isText, 'texts', refuse);
  if (argv.length === 0) refuse(`${what}: command is empty, wanted a program and its arguments`);
  const { cwd, env, readyPath } = ofCommand;
  if (cwd !== undefined && typeof cwd !== 'string') refuse(`${what}: cwd must be a text`);
  for (const [name, value] of Object.entries(env === undefined ? {} : checkObject(env, `${what}: env`, null, refuse)))
    if (typeof value !== 'string') refuse(`${what}: env.${name} must be a text`);
  if (readyPath !== undefined && !(typeof readyPath === 'string' && readyPath.startsWith('/')))
    refuse(`${what}: readyPath must be a text that starts with "/"`);
}

/** With no path, query or credentials, which would be ignored. */
function isOrigin(upstream: unknown): boolean {
  if (typeof upstream !== 'string' || !URL.canParse(upstream)) return false;
  const { protocol, pathname, search, hash, username, password } = new URL(upstream);
  return /^https?:$/.test(protocol) && pathname === '/' && `${search}${hash}${username}${password}` === '';
}

/** @param keys - those that are known; null: any. */
function checkObject(value: unknown, what: string, keys: readonly string[] | null, refuse: Refuse): Facts {
  if (!isObject(value)) return refuse(`${what} must be an object`);
  const unknown = keys === null ? undefined : Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined) refuse(`${what} has no option "${unknown}", wanted ${keys?.join(', ') ?? ''}`);
  return value;
}

function checkList<T>(
  value: unknown,
  what: string,
  isItem: (item: unknown) => item is T,
  items: string,
  refuse: Refuse,
): readonly T[] {
  if (Array.isArray(value) && value.every(isItem)) return value;
  return refuse(`${what} must be a list of ${items}`);
}

function isObject(value: unknown): value is Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFunction(value: unknown): value is () => unknown {
  return typeof value === 'function';
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
