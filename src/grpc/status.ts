import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import { JubakoError, type ErrorCode } from '../errors.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';
import { encodeDetails } from './error-details.js';
import type { ForeignStatus } from './rpc-life.js';
import { shorten } from './shorten.js';

// G1 What a client reads of a failure is `CODE: message`, the gRPC status of its row, and the metadata below.
// G2 The text goes into a header: it is cut to a size that every client accepts, and to well-formed UTF-16, since grpc-js
//    encodes it with encodeURI, which throws on half a surrogate pair.

/** Trailing metadata that carries the code of the catalogue. */
export const ERROR_CODE_KEY = 'x-error-code';

/** What the specification of gRPC calls Status-Details: bytes of a google.rpc.Status. */
export const STATUS_DETAILS_KEY = 'grpc-status-details-bin';

/** Clients accept 8 KiB of trailers by default; percent-encoding may triple the text. */
const MAX_MESSAGE_BYTES = 1024;

/** What ends an RPC that failed (G1). @param code - where the protocol wants another status than that of the row. */
export function toStatus(error: JubakoError, requestId: string, code: status = status[error.kind.grpc]): StatusObject {
  const body = error.toPublic();
  const details = shorten(`${body.code}: ${body.message}`, MAX_MESSAGE_BYTES);
  const { retryAfterSeconds } = error;
  const metadata = new Metadata();
  metadata.set(REQUEST_ID_HEADER, requestId);
  metadata.set(ERROR_CODE_KEY, body.code);
  metadata.set(
    STATUS_DETAILS_KEY,
    encodeDetails({ code, message: details, error: body, retryAfterSeconds, requestId }),
  );
  return { code, details, metadata };
}

const UNDECOMPRESSED = 'Failed to decompress message';

/** What a status says that grpc-js made by itself, without a handler having a say. */
export function errorOfStatus({ code, details }: ForeignStatus): JubakoError {
  if (details === UNDECOMPRESSED)
    return new JubakoError(
      'INVALID_INPUT',
      'Cannot decompress a message: it is not in the form that grpc-encoding names',
    );
  if (code === status.RESOURCE_EXHAUSTED) return new JubakoError('TOO_LARGE', details); // beyond maxMessageLength, either way
  return new JubakoError(code === status.INTERNAL ? 'INTERNAL' : codeOf(code), details);
}

/**
 * Adds to a status what a client finds in every other failure. Its code and its text stay: an interceptor or a service of
 * the user has chosen them.
 */
export function completeStatus({ code, details, metadata }: ForeignStatus, requestId: string): StatusObject {
  const text = shorten(details, MAX_MESSAGE_BYTES);
  const errorCode = codeOf(code);
  const complete = metadata?.clone() ?? new Metadata();
  complete.set(REQUEST_ID_HEADER, requestId);
  complete.set(ERROR_CODE_KEY, errorCode);
  if (complete.get(STATUS_DETAILS_KEY).length === 0) {
    const error = { code: errorCode, message: text };
    const facts = { code, message: text, error, retryAfterSeconds: undefined, requestId };
    complete.set(STATUS_DETAILS_KEY, encodeDetails(facts));
  }
  return { code, details: text, metadata: complete };
}

const CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [status.CANCELLED, 'CLIENT_GONE'],
  [status.INVALID_ARGUMENT, 'INVALID_INPUT'],
  [status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED'],
  [status.NOT_FOUND, 'NOT_FOUND'],
  [status.ALREADY_EXISTS, 'INVALID_INPUT'],
  [status.PERMISSION_DENIED, 'FORBIDDEN'],
  [status.RESOURCE_EXHAUSTED, 'QUEUE_FULL'],
  [status.FAILED_PRECONDITION, 'INVALID_INPUT'],
  [status.ABORTED, 'INVALID_INPUT'],
  [status.OUT_OF_RANGE, 'INVALID_INPUT'],
  [status.UNIMPLEMENTED, 'INVALID_INPUT'], // also a compression that does not exist, a request of no message or of two
  [status.UNAVAILABLE, 'NOT_READY'],
  [status.UNAUTHENTICATED, 'UNAUTHENTICATED'],
]);

/** The row of the catalogue that is nearest to a status which somebody else has chosen. */
function codeOf(code: number): ErrorCode {
  return CODES.get(code) ?? 'USER_CODE';
}
