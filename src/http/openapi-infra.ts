import { ref } from './openapi-errors.js';
import type { Operation } from './openapi-operation.js';

// What every server answers beside the APIs: health, metrics and the document itself.

export type PathItem = Readonly<Record<string, Operation>>;

export const INFRA_TAG = 'Infrastructure';
/** @param metrics - false: `/metrics` is not served. */
export function infraPaths(metrics: boolean): Readonly<Record<string, PathItem>> {
  const get = (summary: string, type: string, more: Readonly<Record<string, unknown>> = {}): PathItem => ({
    get: {
      tags: [INFRA_TAG],
      summary,
      responses: { 200: { description: 'OK', content: { [type]: { schema: { type: 'string' } } } }, ...more },
    },
  });
  return {
    '/livez': get('The process is alive.', 'text/plain'),
    '/healthz': get('The same as /livez.', 'text/plain'),
    '/readyz': get('The service can answer now.', 'text/plain', { 503: ref('responses', 'Error503') }),
    ...(metrics && { '/metrics': get('Metrics in the Prometheus text format.', 'text/plain') }),
    '/docs.json': {
      get: {
        tags: [INFRA_TAG],
        summary: 'This document.',
        responses: { 200: { description: 'OK', content: { 'application/json': { schema: { type: 'object' } } } } },
      },
    },
  };
}
