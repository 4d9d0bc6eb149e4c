import { maxHeaderSize } from 'node:http';
import { JubakoError } from '../errors.js';

// How failures look in HTTP, and how the failures of Node and Fastify become ours.

/** Route of requests that matched nothing, in log and metrics. */
export const UNKNOWN_ROUTE = '(unknown)';

/** `{"error":{"code":…,"message":…,"requestId":…,"details":…}}` */
export function errorText(error: JubakoError, requestId: string): string {
  const { code, message, details } = error.toPublic();
  try {
    return JSON.stringify({ error: { code, message, requestId, details } });
  } catch {
    return JSON.stringify({ error: { code, message, requestId } }); // a handler's details that JSON can't hold
  }
}

export function retryHeaders(error: JubakoError): readonly string[] {
  const { retryAfterSeconds } = error;
  return retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)];
}

/** What Node's HTTP parser and its timeouts report; undefined: the connection broke, so there is nobody to answer. */
export function fromParserError(
  error: Error & { readonly code?: string; readonly reason?: string },
): JubakoError | undefined {
  const code = error.code ?? '';
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new JubakoError('TOO_LARGE', `Cannot read the request: its head is larger than ${maxHeaderSize} bytes`);
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new JubakoError('TOO_LARGE', 'Cannot read the request: its chunk extensions are too large');
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new JubakoError('INVALID_INPUT', 'Cannot read the request: it did not arrive in time');
  }
  if (code === 'HPE_INVALID_EOF_STATE') {
    return new JubakoError('INVALID_INPUT', 'Cannot read the request: the connection ended in the middle of it');
  }
  if (!code.startsWith('HPE_')) return undefined;
  return new JubakoError('INVALID_INPUT', `Cannot read the request: ${error.reason ?? error.message} (${code})`);
}

/** What Fastify throws before a handler runs; a stranger is INTERNAL. */
export function fromFastifyError(thrown: unknown, maxBodyBytes: number, contentType: string | undefined): JubakoError {
  if (thrown instanceof JubakoError || !(thrown instanceof Error)) return JubakoError.from(thrown);
  const { code, statusCode = 500 } = thrown as Error & { readonly code?: unknown; readonly statusCode?: number };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return bodyTooLarge(maxBodyBytes, thrown);
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new JubakoError(
      'UNSUPPORTED_MEDIA',
      `Cannot read a body of content type "${contentType ?? ''}": it is not a media type`,
    );
  }
  if (statusCode >= 400 && statusCode < 500) {
    return new JubakoError('INVALID_INPUT', `Cannot read the request: ${thrown.message}`, { cause: thrown });
  }
  return JubakoError.from(thrown);
}

export function bodyTooLarge(maxBodyBytes: number, cause?: unknown): JubakoError {
  return new JubakoError('TOO_LARGE', `Cannot read the body: it is larger than ${maxBodyBytes} bytes (maxBodyBytes)`, {
    cause,
  });
}
