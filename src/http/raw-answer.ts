import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { JubakoError } from '../errors.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';
import { errorText } from './error-answer.js';
import { INFERENCE_TYPE, inferenceErrorHeaders, inferenceErrorText, isInferencePath } from './inference-error.js';

/**
 * A whole answer, for connections whose parser has given up.
 * @param request - undefined: it was not read so far.
 */
export function rawErrorAnswer(
  error: JubakoError,
  requestId: string,
  request: Pick<IncomingMessage, 'method' | 'url'> | undefined,
): string {
  const isInference = isInferencePath(request?.url);
  const status = error.kind.http;
  const body = isInference ? inferenceErrorText(error) : errorText(error, requestId);
  const type = isInference ? INFERENCE_TYPE : 'application/json; charset=utf-8';
  const pairs = isInference ? inferenceErrorHeaders(error) : [];
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `${REQUEST_ID_HEADER}: ${requestId}`,
    ...Array.from({ length: pairs.length / 2 }, (_, at) => `${pairs[2 * at] ?? ''}: ${pairs[2 * at + 1] ?? ''}`),
    'Connection: close',
    '',
    request?.method === 'HEAD' ? '' : body,
  ].join('\r\n');
}
