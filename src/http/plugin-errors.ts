import { JubakoError } from '../errors.js';
import { fromFastifyError } from './error-answer.js';
import { codeOfStatus } from './foreign-answer.js';

/** What a plugin threw, as it is answered. */
export interface PluginFailure {
  readonly error: JubakoError;
  /** Its own where it came with one, e.g. 409 of @fastify/sensible: the catalogue has no row for each. */
  readonly status: number;
}

/** What Fastify and libraries around it add to their errors. */
interface ErrorWithStatus extends Error {
  readonly statusCode?: unknown;
  readonly code?: unknown;
  /** Of a schema: what did not fit. */
  readonly validation?: readonly { readonly instancePath?: string; readonly message?: string }[];
  readonly validationContext?: string;
}

/** Anything that a hook or a handler of a plugin threw, or what Fastify threw before them. */
export function toPluginFailure(thrown: unknown, maxBodyBytes: number, contentType: string | undefined): PluginFailure {
  if (thrown instanceof JubakoError || !(thrown instanceof Error))
    return ofError(JubakoError.from(thrown, 'USER_CODE'));
  const { statusCode, code, validation, validationContext, message } = thrown as ErrorWithStatus;
  if (validation !== undefined) {
    const details = validation.map(({ instancePath = '', message: why = '' }) => ({
      path: instancePath,
      message: why,
    }));
    const what = validationContext ?? 'request';
    return ofError(new JubakoError('INVALID_INPUT', `Cannot read the ${what}: ${message}`, { details, cause: thrown }));
  }
  if (typeof code === 'string' && code.startsWith('FST_ERR_CTP_')) {
    const error = fromFastifyError(thrown, maxBodyBytes, contentType);
    if (statusCode === 415 && error.code === 'INVALID_INPUT')
      return ofError(new JubakoError('UNSUPPORTED_MEDIA', error.message, { cause: thrown }));
    return ofError(error);
  }
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 599) {
    return ofError(JubakoError.from(thrown, 'USER_CODE'));
  }
  // What stands in a 5xx may tell about the inside, as with every other thrown error.
  const error = new JubakoError(statusCode < 500 ? codeOfStatus(statusCode) : 'USER_CODE', message, { cause: thrown });
  return { error, status: statusCode };
}

function ofError(error: JubakoError): PluginFailure {
  return { error, status: error.kind.http };
}
