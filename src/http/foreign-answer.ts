import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { ErrorCode } from '../errors.js';

// Answers that others write: plugins of the service, and applications that are mounted.

/** As `writeHead` of Node takes them: by name, or name, value, name, value … */
export type HeadersOfHead = OutgoingHttpHeaders | OutgoingHttpHeader[];

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  413: 'TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA',
  429: 'RATE_LIMITED',
  499: 'CLIENT_GONE',
  503: 'NOT_READY',
  504: 'DEADLINE_EXCEEDED',
};

/** What a status means, where nothing else is known. */
export function outcomeOfStatus(status: number): 'ok' | ErrorCode {
  return status < 400 ? 'ok' : codeOfStatus(status);
}

/** @param status - 400 and above. */
export function codeOfStatus(status: number): ErrorCode {
  return CODES[status] ?? (status < 500 ? 'INVALID_INPUT' : 'USER_CODE');
}

/** Sets the headers that a head comes with, so that others can be set over them. */
export function setHeaders(response: ServerResponse, headers: HeadersOfHead | undefined): void {
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers ?? {})) if (value !== undefined) response.setHeader(name, value);
    return;
  }
  const given = headers.flat().map(String); // also pairs
  for (let i = 0; i < given.length; i += 2) response.removeHeader(given[i] ?? '');
  for (let i = 0; i + 1 < given.length; i += 2) response.appendHeader(given[i] ?? '', given[i + 1] ?? '');
}

/** Sets ours over theirs; what an answer depends on adds up. */
export function setOurHeaders(response: ServerResponse, headers: readonly string[]): void {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = headers.slice(i, i + 2);
    if (name === 'Vary') response.appendHeader(name, value);
    else response.setHeader(name, value);
  }
}

/** Forgets what was set for an answer that is not sent. */
export function clearHeaders(response: ServerResponse): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
}
