import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import type { ErrorCode, JubakoError } from '../errors.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';

// G1 What a client reads of a failure is `CODE: message`, the gRPC status of its row, and the metadata below.
// G2 The text goes into a header: it is cut to a size that every client accepts, and to well-formed UTF-16, since grpc-js
//    encodes it with encodeURI, which throws on half a surrogate pair.

/** Trailing metadata that carries the code of the catalogue. */
export const ERROR_CODE_KEY = 'x-error-code';

/** Clients accept 8 KiB of trailers by default; percent-encoding may triple the text. */
const MAX_DETAILS_BYTES = 1024;

/** What ends an RPC that failed (G1). */
export function toStatus(error: JubakoError, requestId: string): StatusObject {
  const { code, message } = error.toPublic();
  const metadata = new Metadata();
  metadata.set(REQUEST_ID_HEADER, requestId);
  metadata.set(ERROR_CODE_KEY, code);
  return { code: status[error.kind.grpc], details: shorten(`${code}: ${message}`), metadata };
}

function shorten(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  return bytes.length <= MAX_DETAILS_BYTES
    ? bytes.toString('utf8')
    : `${bytes.toString('utf8', 0, MAX_DETAILS_BYTES)}…`;
}

const OUTCOMES: ReadonlyMap<number, 'ok' | ErrorCode> = new Map([
  [status.OK, 'ok'],
  [status.CANCELLED, 'CLIENT_GONE'],
  [status.INVALID_ARGUMENT, 'INVALID_INPUT'],
  [status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED'],
  [status.NOT_FOUND, 'NOT_FOUND'],
  [status.RESOURCE_EXHAUSTED, 'TOO_LARGE'], // a message beyond maxMessageLength, either way
  [status.UNAVAILABLE, 'NOT_READY'],
  [status.UNIMPLEMENTED, 'INVALID_INPUT'], // a compression that does not exist, or a request of no message or of two
]);

/** The row of the catalogue for a status that a known RPC got from grpc-js itself, without a handler having a say. */
export function outcomeOfStatus(code: number): 'ok' | ErrorCode {
  return OUTCOMES.get(code) ?? 'INTERNAL';
}
