import type { JubakoError } from '../errors.js';
import { retryHeaders } from './error-answer.js';

// Failures as the Open Inference Protocol writes them, on all paths that are its own, known or not.

/** Without a charset: KServe's client compares it as a whole. */
export const INFERENCE_TYPE = 'application/json';

const PREFIX = '/v2';

/** True for `/v2` and what is below. */
export function isInferencePath(url: string | undefined): boolean {
  return (
    url?.startsWith(PREFIX) === true && (url.length === PREFIX.length || '/?#'.includes(url.charAt(PREFIX.length)))
  );
}

/** `{"error":"…"}`; the code of the catalogue goes into a header. */
export function inferenceErrorText(error: JubakoError): string {
  return JSON.stringify({ error: error.toPublic().message });
}

export function inferenceErrorHeaders(error: JubakoError): readonly string[] {
  return ['x-error-code', error.code, ...retryHeaders(error)];
}
