import { ERROR_KINDS, type ErrorCode } from '../errors.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';
import type { OpenApiSchema } from './openapi-json-schema.js';

// Failures in the OpenAPI document: one response per status, each with the codes that it may carry.

/** What an API's client can meet; the rest happens before routing, to nobody, or at start. */
const CODES_OF_AN_API: readonly ErrorCode[] = [
  'INVALID_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'TOO_LARGE',
  'UNSUPPORTED_MEDIA',
  'RATE_LIMITED',
  'USER_CODE',
  'INTERNAL',
  'QUEUE_FULL',
  'NOT_READY',
  'DRAINING',
  'RUNNER_LOST',
  'DEADLINE_EXCEEDED',
];

export const ERROR_SCHEMA: OpenApiSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'requestId'],
      properties: {
        code: { type: 'string', enum: Object.keys(ERROR_KINDS) },
        message: { type: 'string', description: 'For people; may change.' },
        requestId: { type: 'string' },
        details: { description: 'Facts for programs, e.g. the path of the value that did not fit.' },
      },
    },
  },
};

export const RESPONSE_HEADERS: Readonly<Record<string, unknown>> = {
  RequestId: {
    description: 'The id that the log has; the one of the request header, or a new one.',
    schema: { type: 'string' },
  },
  TensorDtype: { description: 'Element type of a binary answer.', schema: { type: 'string' } },
  TensorShape: { description: 'Shape of a binary answer, e.g. "1,10".', schema: { type: 'string' } },
};

/** `Error400`, `Error503` … */
export function errorResponses(): Readonly<Record<string, unknown>> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of CODES_OF_AN_API) {
    const { http } = ERROR_KINDS[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  const responses: Record<string, unknown> = {};
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b)) {
    const retries = codes.some((code) => ERROR_KINDS[code].retryAfterSeconds !== undefined);
    responses[`Error${status}`] = {
      description: codes.join(', '),
      headers: {
        [REQUEST_ID_HEADER]: ref('headers', 'RequestId'),
        ...(retries && { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } }),
      },
      content: {
        'application/json': {
          schema: ref('schemas', 'Error'),
          example: { error: { code: codes[0], message: 'Why, for people', requestId: 'Id of the request' } },
        },
      },
    };
  }
  return responses;
}

/** Status → response, all that an API may answer but 200. */
export function errorReferences(): Readonly<Record<string, unknown>> {
  const names = Object.keys(errorResponses());
  return Object.fromEntries(names.map((name) => [name.slice('Error'.length), ref('responses', name)]));
}

export function ref(kind: 'schemas' | 'responses' | 'headers' | 'parameters', name: string): { readonly $ref: string } {
  return { $ref: `#/components/${kind}/${name}` };
}
