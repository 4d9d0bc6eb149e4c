import { JubakoError, type ErrorBody } from '../errors.js';

/** Details that JSON cannot hold are left out: the failure must arrive. */
export function encodeErrorBody(error: JubakoError | ErrorBody): Buffer {
  const { code, message, details } = error;
  try {
    return Buffer.from(JSON.stringify({ code, message, ...(details !== undefined && { details }) }));
  } catch {
    return Buffer.from(JSON.stringify({ code, message }));
  }
}

/** @throws {JubakoError} LINK_PROTOCOL */
export function parseErrorBody(body: Buffer): JubakoError {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new JubakoError('LINK_PROTOCOL', `Cannot read an error: ${(cause as Error).message}`, { cause });
  }
  const { code, message, details } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  if (typeof code !== 'string' || typeof message !== 'string') {
    throw new JubakoError(
      'LINK_PROTOCOL',
      `Cannot read an error: wanted { code, message }, got ${body.toString('utf8', 0, 200)}`,
    );
  }
  return JubakoError.fromBody({ code, message, details });
}
