import type { IncomingHttpHeaders } from 'node:http';
import { JubakoError } from '../errors.js';

/** Milliseconds that the client waits for its answer, as `grpc-timeout` says it in gRPC. Lower case, as Node gives headers. */
export const TIMEOUT_HEADER = 'x-request-timeout-ms';

/** 11 days: as much as fits, and more than anybody means. */
const TIMEOUT = /^\d{1,9}$/;

/**
 * Until when the client waits; undefined: it did not say. The setting `timeout` holds beside it.
 * @throws {JubakoError} INVALID_INPUT - the header is no number of milliseconds.
 */
export function deadlineOf(headers: IncomingHttpHeaders, startedAtMs: number): number | undefined {
  const given = headers[TIMEOUT_HEADER];
  if (given === undefined) return undefined;
  if (typeof given === 'string' && TIMEOUT.test(given)) return startedAtMs + Number(given);
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot use the header ${TIMEOUT_HEADER} "${String(given)}": wanted whole milliseconds, at most 9 digits`,
  );
}
