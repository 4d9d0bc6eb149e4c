import { EXEMPT } from './access-hook.js';
import { Models } from '../inference/models.js';
import type { ServiceDefinition } from '../service/define.js';
import type { Manifest } from '../service/manifest.js';
import { ERROR_SCHEMA, RESPONSE_HEADERS, errorResponses } from './openapi-errors.js';
import { INFERENCE_ERROR, INFERENCE_SCHEMAS, INFERENCE_TAG, inferencePaths } from './openapi-inference.js';
import { INFRA_TAG, infraPaths, type PathItem } from './openapi-infra.js';
import type { OpenApiSchema } from './openapi-json-schema.js';
import { API_TAG, apiOperation, apiSchemas } from './openapi-operation.js';

// The OpenAPI document of a service.

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly servers: readonly { readonly url: string }[];
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, OpenApiSchema>>;
    readonly responses: Readonly<Record<string, unknown>>;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly securitySchemes?: Readonly<Record<string, unknown>>;
  };
}

export interface OpenApiOptions {
  readonly manifest: Manifest;
  readonly service: ServiceDefinition;
  /** False: `/metrics` is not served. */
  readonly metrics: boolean;
  /** Callers must show a key. */
  readonly isGuarded: boolean;
  /** Clients may load and unload models. */
  readonly modelControl: boolean;
}

/** @see https://spec.openapis.org/oas/v3.1.0 */
export async function openApiDocument(options: OpenApiOptions): Promise<OpenApiDocument> {
  const { manifest, service, metrics, isGuarded, modelControl } = options;
  const schemas: Record<string, OpenApiSchema> = { Error: ERROR_SCHEMA, ...INFERENCE_SCHEMAS };
  const paths: Record<string, PathItem> = {};
  for (const api of manifest.apis) {
    const definition = service.apis[api.name];
    if (definition === undefined) continue; // such a service is refused before it is served
    Object.assign(schemas, apiSchemas(api));
    paths[pathOf(api.route)] = { post: await apiOperation(manifest.name, api, definition, schemas) };
  }
  Object.assign(paths, inferencePaths({ models: new Models(manifest, service), modelControl }), infraPaths(metrics));
  return {
    openapi: '3.1.0',
    info: { title: manifest.name, version: manifest.version },
    servers: [{ url: '.' }],
    ...(isGuarded && { security: [{ bearer: [] }, { apiKey: [] }] }),
    tags: [
      { name: API_TAG, description: 'What the service does.' },
      { name: INFERENCE_TAG, description: 'The models of the service, in the protocol that KServe and Triton speak.' },
      { name: INFRA_TAG, description: 'Health, metrics and this document.' },
      ...manifest.mounts.map(({ path }) => ({ name: path, description: 'An application of its own below this path.' })),
    ],
    paths: isGuarded ? openToProbes(paths) : paths,
    components: {
      schemas,
      responses: { ...errorResponses(), OipError: INFERENCE_ERROR },
      headers: RESPONSE_HEADERS,
      ...(isGuarded && { securitySchemes: SECURITY_SCHEMES }),
    },
  };
}

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer' },
  apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
};

/** Probes know no key: the security of the whole does not hold for what they ask. */
function openToProbes(paths: Readonly<Record<string, PathItem>>): Readonly<Record<string, PathItem>> {
  const entries = Object.entries(paths).map(([path, item]) => {
    const { get } = item;
    return [path, EXEMPT.has(path) && get !== undefined ? { ...item, get: { ...get, security: [] } } : item] as const;
  });
  return Object.fromEntries(entries);
}

/** In paths of OpenAPI braces are parameters. */
function pathOf(route: string): string {
  return route.replaceAll('{', '%7B').replaceAll('}', '%7D');
}
