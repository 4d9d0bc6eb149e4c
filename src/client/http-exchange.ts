import type { CallLimits } from './call-limits.js';
import { brokenOff, type ClientError, refusal, unreachable } from './client-error.js';

// One request and its answer by `fetch`, tried again where the server asked for that.
// X1 Only refusals are repeated, of which the server says that it did not begin: 503 with Retry-After, except RUNNER_LOST.
//    What a broken connection, or the runner that was lost, has done before is not known.

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Headers;
  readonly body?: RequestBody;
}

/** Can be sent again. */
export type RequestBody = string | Blob | FormData | Uint8Array<ArrayBuffer>;

export interface ExchangeOptions {
  readonly fetch: typeof globalThis.fetch;
  readonly retries: number;
}

/**
 * @returns an answer with a status of success, its body unread.
 * @throws {ClientError} and whatever the caller gave as the reason of its abort.
 */
export async function exchange(
  request: HttpRequest,
  { fetch, retries }: ExchangeOptions,
  limits: CallLimits,
): Promise<Response> {
  for (let retriesLeft = retries; ; retriesLeft -= 1) {
    const response = await sendOnce(request, fetch, limits);
    if (response.ok) return response;
    const error = refusal(response, await readText(response, limits));
    const waitMs = retriesLeft > 0 ? waitBefore(error) : undefined;
    if (waitMs === undefined || waitMs > limits.remainingMs) throw error;
    await limits.wait(waitMs);
  }
}

/** The whole body. */
export async function readBytes(response: Response, limits: CallLimits): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (thrown) {
    throw limits.reasonOr(brokenOff(response, thrown));
  }
}

export async function readText(response: Response, limits: CallLimits): Promise<string> {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await readBytes(response, limits));
}

async function sendOnce(
  { method, url, headers, body }: HttpRequest,
  fetch: ExchangeOptions['fetch'],
  limits: CallLimits,
): Promise<Response> {
  const { signal } = limits;
  signal.throwIfAborted();
  try {
    return await fetch(url, { method, headers, signal, ...(body !== undefined && { body }) });
  } catch (thrown) {
    throw limits.reasonOr(unreachable(url, thrown));
  }
}

/** X1; up to half as long again, so that those who were refused together do not come back together. */
function waitBefore({ code, status, retryAfterSeconds }: ClientError): number | undefined {
  if (status !== 503 || retryAfterSeconds === undefined || code === 'RUNNER_LOST') return undefined;
  return retryAfterSeconds * 1000 * (1 + Math.random() / 2);
}
