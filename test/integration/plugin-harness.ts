import type { TestContext } from 'node:test';
import type { ServerConfig } from '#dist/config/settings.js';
import type { HttpPlugin } from '#dist/service/extensions.js';
import { defineService, json } from '#dist/service/index.js';
import type { Invoker } from '#dist/service/invoke.js';
import { manifestOf, startHttp, type ErrorAnswer, type StartedServer } from './http-harness.js';

/** Starts an HTTP server for a service with one API, `/echo`, and plugins. */

export interface PluginServer {
  readonly config?: Partial<ServerConfig>;
  readonly invoker?: Partial<Invoker>;
}

export function startPlugins(
  t: TestContext,
  plugins: readonly HttpPlugin[],
  more: PluginServer = {},
): Promise<StartedServer> {
  const definition = defineService({
    name: 'pluggable',
    apis: { echo: { input: json(), output: json(), handler: (input) => input } },
    http: { plugins },
  });
  return startHttp(t, { ...more, others: { service: definition, manifest: manifestOf(definition) } });
}

export async function errorIn(answer: Response): Promise<ErrorAnswer['error']> {
  return ((await answer.json()) as ErrorAnswer).error;
}

export function post(url: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
}
