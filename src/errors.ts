// The catalogue of failures: one class, one row per code. A new failure is a row here and a row in ARCHITECTURE.md.
// E1 `code` survives every hop unchanged; `message` is for people and may change.
// E2 What an internal failure says goes to the log, never to the client (`toPublic`).

/** How a failure looks from outside: HTTP status, gRPC status name, exit code of a command that ends with it. */
export interface ErrorKind {
  readonly http: number;
  readonly grpc: GrpcStatusName;
  readonly exit: number;
  /** Sent as `Retry-After` (seconds) where the caller may try again. */
  readonly retryAfterSeconds?: number;
  /** True: the message may tell about the inside and stays in the log. */
  readonly internal?: true;
}

export type GrpcStatusName =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'UNAUTHENTICATED';

// 78 is EX_CONFIG of sysexits.h: the systemd unit has RestartPreventExitStatus=78, so a bad service is not restarted.
const KINDS = {
  INVALID_INPUT: { http: 400, grpc: 'INVALID_ARGUMENT', exit: 1 },
  UNAUTHENTICATED: { http: 401, grpc: 'UNAUTHENTICATED', exit: 1 },
  FORBIDDEN: { http: 403, grpc: 'PERMISSION_DENIED', exit: 1 },
  NOT_FOUND: { http: 404, grpc: 'NOT_FOUND', exit: 1 },
  METHOD_NOT_ALLOWED: { http: 405, grpc: 'UNIMPLEMENTED', exit: 1 },
  TOO_LARGE: { http: 413, grpc: 'RESOURCE_EXHAUSTED', exit: 1 },
  UNSUPPORTED_MEDIA: { http: 415, grpc: 'INVALID_ARGUMENT', exit: 1 },
  RATE_LIMITED: { http: 429, grpc: 'RESOURCE_EXHAUSTED', exit: 1, retryAfterSeconds: 1 },
  QUEUE_FULL: { http: 503, grpc: 'RESOURCE_EXHAUSTED', exit: 1, retryAfterSeconds: 1 },
  NOT_READY: { http: 503, grpc: 'UNAVAILABLE', exit: 1, retryAfterSeconds: 1 },
  DRAINING: { http: 503, grpc: 'UNAVAILABLE', exit: 1, retryAfterSeconds: 1 },
  RUNNER_LOST: { http: 503, grpc: 'UNAVAILABLE', exit: 1, retryAfterSeconds: 1 },
  DEADLINE_EXCEEDED: { http: 504, grpc: 'DEADLINE_EXCEEDED', exit: 1 },
  CLIENT_GONE: { http: 499, grpc: 'CANCELLED', exit: 1 },
  USER_CODE: { http: 500, grpc: 'INTERNAL', exit: 1, internal: true },
  INTERNAL: { http: 500, grpc: 'INTERNAL', exit: 1, internal: true },
  LINK_PROTOCOL: { http: 500, grpc: 'INTERNAL', exit: 1, internal: true },
  BIND_FAILED: { http: 500, grpc: 'INTERNAL', exit: 1, internal: true },
  CONFIG_INVALID: { http: 500, grpc: 'INTERNAL', exit: 78, internal: true },
  SERVICE_INVALID: { http: 500, grpc: 'INTERNAL', exit: 78, internal: true },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof KINDS;

/** All codes with their rows, for the tests and the documents. */
export const ERROR_KINDS: Readonly<Record<ErrorCode, ErrorKind>> = KINDS;

/** What a client may see of a failure; also what travels between processes. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: unknown;
}

export interface JubakoErrorOptions extends ErrorOptions {
  /** JSON-able facts for the client, e.g. `[{ path: '/pixels/3', message: 'must be <= 16' }]`. */
  readonly details?: unknown;
  /** Where it is known better than the row says; rounded up. */
  readonly retryAfterSeconds?: number;
}

/** Shared by every copy of this package: an error that the service's copy made keeps its code here. */
const BRAND = Symbol.for('jubako.error');

/** The only error that leaves a room. Handlers and models may throw it to choose the answer; anything else they throw is USER_CODE. */
export class JubakoError extends Error {
  override readonly name = 'JubakoError';
  readonly code: ErrorCode;
  readonly details: unknown;
  /** What `Retry-After` says: whole seconds; undefined: nothing. */
  readonly retryAfterSeconds: number | undefined;

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  constructor(code: ErrorCode, message: string, options?: JubakoErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = options?.details;
    const wanted = options?.retryAfterSeconds;
    this.retryAfterSeconds = wanted === undefined ? this.kind.retryAfterSeconds : Math.ceil(wanted);
  }

  get [BRAND](): true {
    return true;
  }

  get kind(): ErrorKind {
    return KINDS[this.code];
  }

  /** Any thrown value; a stranger becomes `otherwise` and keeps its `cause` for the log. */
  static from(thrown: unknown, otherwise: ErrorCode = 'INTERNAL'): JubakoError {
    if (thrown instanceof JubakoError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new JubakoError(otherwise, message, { cause: thrown });
  }

  /** Rebuilds an error that crossed a process border; an unknown code becomes INTERNAL. */
  static fromBody(body: { readonly code: string; readonly message: string; readonly details?: unknown }): JubakoError {
    const code = isErrorCode(body.code) ? body.code : 'INTERNAL';
    return new JubakoError(code, body.message, { details: body.details });
  }

  /** For the next process of ours: everything but cause and stack. */
  toBody(): ErrorBody {
    return { code: this.code, message: this.message, ...(this.details !== undefined && { details: this.details }) };
  }

  /** For the client (E2). */
  toPublic(): ErrorBody {
    if (this.kind.internal !== true) return this.toBody();
    const message =
      this.code === 'USER_CODE'
        ? 'The code of the service failed; the log has the cause under this request id'
        : 'Internal error; the log has the cause under this request id';
    return { code: this.code, message };
  }
}

export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(KINDS, value);
}
