import { JubakoError, type ErrorBody } from '../errors.js';

/** What user code threw, in a form that crosses to the main thread whatever it was. */
export interface RunFailure {
  readonly error: ErrorBody;
  readonly stack: string | undefined;
}

export function toRunFailure(thrown: unknown): RunFailure {
  try {
    const { code, message, details } = JubakoError.from(thrown, 'USER_CODE');
    const stack: unknown = thrown instanceof Error ? thrown.stack : undefined;
    return {
      error: withDetails({ code, message: String(message) }, details),
      stack: typeof stack === 'string' ? stack : undefined,
    };
  } catch (cause) {
    // An object without a text, a `message` that throws: JavaScript can throw anything.
    const message = `What was thrown cannot be told: ${cause instanceof Error ? cause.message : typeof cause}`;
    return { error: { code: 'USER_CODE', message }, stack: undefined };
  }
}

/** Details are JSON-able by contract; those that are not are replaced by the reason. */
function withDetails(body: ErrorBody, details: unknown): ErrorBody {
  if (details === undefined) return body;
  try {
    const text = JSON.stringify(details) as string | undefined;
    return text === undefined ? body : { ...body, details: JSON.parse(text) as unknown };
  } catch (cause) {
    return { ...body, details: `not JSON: ${cause instanceof Error ? cause.message : typeof cause}` };
  }
}
