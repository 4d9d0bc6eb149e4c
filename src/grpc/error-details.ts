import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { ErrorBody } from '../errors.js';
import { PROTO_FOLDER } from './protos.js';
import { shorten } from './shorten.js';

// A failure in Google's error model: what the trailer `grpc-status-details-bin` carries, for clients that branch on more
// than the status.
// D1 Clients refuse answers with more than 8 KiB of headers. So violations are left out from the end until all is within
//    MAX_BYTES, and ErrorInfo says how many were.

const DOMAIN = 'jubako';

/** Base64 makes 4 KiB of it, and the percent-encoded `grpc-message` beside it takes up to 3 KiB. */
const MAX_BYTES = 3072;
const MAX_PATH_BYTES = 128;
const MAX_DESCRIPTION_BYTES = 256;
const MAX_JSON_BYTES = 1024;
/** Tags, lengths and type URLs around the violations, and the entry of ErrorInfo that says how many were left out. */
const FRAMES_BYTES = 128;
const VIOLATION_FRAME_BYTES = 12;
const MAX_VIOLATIONS = MAX_BYTES / VIOLATION_FRAME_BYTES;

interface Violation {
  readonly field: string;
  readonly description: string;
}

export interface FailureFacts {
  /** Number of the gRPC status. */
  readonly code: number;
  /** The same text as `grpc-message`. */
  readonly message: string;
  readonly error: ErrorBody;
  readonly retryAfterSeconds: number | undefined;
  readonly requestId: string;
}

type Codec = MessageTypeDefinition<object, object>;

// With the module, so that an answer to a failure waits for no file.
const PROTOS = loadSync(`${PROTO_FOLDER}google-rpc.proto`, { keepCase: true });

/** The descriptors of these messages, for reflection. */
export const ERROR_FILES: readonly Buffer[] = (PROTOS['google.rpc.Status'] as Codec).fileDescriptorProtos;

/** @returns the bytes of a google.rpc.Status. */
export function encodeDetails(facts: FailureFacts): Buffer {
  const { error, retryAfterSeconds } = facts;
  const rest =
    retryAfterSeconds === undefined ? [] : [any('RetryInfo', { retry_delay: { seconds: retryAfterSeconds } })];
  const violations = toViolations(error.details);
  if (violations === undefined) return encode(facts, jsonOf(error.details), rest);
  const plain = encode(facts, {}, rest);
  const fitting = firstWithin(violations, MAX_BYTES - FRAMES_BYTES - plain.length); // D1
  if (fitting.length > 0) rest.push(any('BadRequest', { field_violations: fitting }));
  const omitted = (error.details as readonly unknown[]).length - fitting.length;
  return encode(facts, omitted > 0 ? { omittedViolations: String(omitted) } : {}, rest);
}

function encode(facts: FailureFacts, more: Readonly<Record<string, string>>, rest: readonly object[]): Buffer {
  const { code, message, error, requestId } = facts;
  const info = any('ErrorInfo', { reason: error.code, domain: DOMAIN, metadata: { requestId, ...more } });
  return serialize('Status', { code, message, details: [info, ...rest] });
}

function any(type: string, message: object): object {
  return { type_url: `type.googleapis.com/google.rpc.${type}`, value: serialize(type, message) };
}

function serialize(type: string, message: object): Buffer {
  return (PROTOS[`google.rpc.${type}`] as Codec).serialize(message);
}

/** `[{ path, message }]`, as checks of values give it; undefined: it is something else. */
function toViolations(details: unknown): readonly Violation[] | undefined {
  if (!Array.isArray(details)) return undefined;
  const violations: Violation[] = [];
  for (const one of details.slice(0, MAX_VIOLATIONS) as readonly unknown[]) {
    if (typeof one !== 'object' || one === null) return undefined;
    const { path, message } = one as Readonly<Record<string, unknown>>;
    if (typeof path !== 'string' || typeof message !== 'string') return undefined;
    violations.push({
      field: shorten(path, MAX_PATH_BYTES),
      description: shorten(message, MAX_DESCRIPTION_BYTES),
    });
  }
  return violations;
}

function firstWithin(violations: readonly Violation[], maxBytes: number): readonly Violation[] {
  let bytes = 0;
  const tooMany = violations.findIndex(({ field, description }) => {
    bytes += Buffer.byteLength(field) + Buffer.byteLength(description) + VIOLATION_FRAME_BYTES;
    return bytes > maxBytes;
  });
  return tooMany === -1 ? violations : violations.slice(0, tooMany);
}

/** Details of any other form travel as one text, where they are JSON and short enough to be of use. */
function jsonOf(details: unknown): Readonly<Record<string, string>> {
  if (details === undefined) return {};
  try {
    const json = JSON.stringify(details);
    return Buffer.byteLength(json) > MAX_JSON_BYTES ? {} : { details: json };
  } catch {
    return {}; // a cycle, a bigint, a function
  }
}
