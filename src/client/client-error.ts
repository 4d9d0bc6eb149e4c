import { ERROR_KINDS, isErrorCode, JubakoError, type ErrorCode } from '../errors.js';

// How failures reach the caller of the typed client.

export interface ClientErrorFacts {
  readonly details?: unknown;
  readonly cause?: unknown;
  readonly requestId?: string | undefined;
  readonly status?: number | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** Shared by every copy of this package, as that of JubakoError. */
const BRAND = Symbol.for('jubako.client-error');

/**
 * A call that failed, with the code that the server gave. Where there is no answer: NOT_READY - the server can't be reached, or
 * the connection broke (`status` undefined: before the answer began; whether the server worked on the call is not known then);
 * DEADLINE_EXCEEDED - `timeoutMs` has passed; INTERNAL - the answer is not what Jubako writes.
 */
export class ClientError extends JubakoError {
  /** Under which the server's log has the call; undefined where no answer came. */
  readonly requestId: string | undefined;
  /** Of the HTTP answer; undefined where none came. */
  readonly status: number | undefined;
  /** What the server asked to wait before the next try; undefined where it did not, and where no answer came. */
  override readonly retryAfterSeconds: number | undefined;

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  constructor(code: ErrorCode, message: string, facts: ClientErrorFacts = {}) {
    super(code, message, { details: facts.details, cause: facts.cause });
    this.requestId = facts.requestId;
    this.status = facts.status;
    this.retryAfterSeconds = facts.retryAfterSeconds;
  }

  get [BRAND](): true {
    return true;
  }
}

/** `fetch` gave no answer. */
export function unreachable(url: string, thrown: unknown): ClientError {
  return new ClientError('NOT_READY', `Cannot reach ${url}: ${reasonOf(thrown)}`, { cause: thrown });
}

/** The answer began and did not come to its end. */
export function brokenOff(response: Response, thrown?: unknown): ClientError {
  const why = thrown === undefined ? 'it stops before its end' : reasonOf(thrown);
  return new ClientError('NOT_READY', `Cannot read the answer of ${response.url} to its end: ${why}`, {
    cause: thrown,
    ...factsOf(response),
  });
}

/** The answer is there, and no client can make sense of it. */
export function unreadable(response: Response, why: string, cause?: unknown): ClientError {
  return new ClientError('INTERNAL', `Cannot read the answer of ${response.url}: ${why}`, {
    cause,
    ...factsOf(response),
  });
}

/** An answer that is an error: ours, or that of a proxy in between. */
export function refusal(response: Response, text: string): ClientError {
  const facts = factsOf(response);
  const { code, message, requestId, details } = errorIn(text);
  if (typeof message === 'string') {
    const known = typeof code === 'string' && isErrorCode(code) ? code : codeOf(response.status);
    // Pages of other origins see only those headers that the server lets them see.
    const retryAfterSeconds = facts.retryAfterSeconds ?? ERROR_KINDS[known].retryAfterSeconds;
    const id = typeof requestId === 'string' ? requestId : facts.requestId;
    return new ClientError(known, message, { ...facts, details, retryAfterSeconds, requestId: id });
  }
  return new ClientError(codeOf(response.status), `${response.url} answered with status ${response.status}`, facts);
}

/** A failure after the first value of a stream, as the stream itself tells it. */
export function streamFailure(
  response: Response,
  error: { readonly code: string; readonly message: string; readonly requestId: string; readonly details?: unknown },
): ClientError {
  const { code, message, requestId, details } = error;
  const known = isErrorCode(code) ? code : 'INTERNAL';
  const { retryAfterSeconds } = ERROR_KINDS[known];
  return new ClientError(known, message, { requestId, details, retryAfterSeconds, status: response.status });
}

function factsOf(response: Response): Pick<ClientErrorFacts, 'requestId' | 'status' | 'retryAfterSeconds'> {
  return {
    status: response.status,
    requestId: response.headers.get('x-request-id') ?? undefined,
    retryAfterSeconds: secondsOf(response.headers.get('retry-after')),
  };
}

/** `Retry-After` is a number of seconds or a date. */
function secondsOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - Date.now()) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.max(seconds, 0);
}

function errorIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const body = JSON.parse(text) as { readonly error?: unknown } | null;
    return typeof body?.error === 'object' && body.error !== null ? (body.error as Record<string, unknown>) : {};
  } catch {
    return {}; // a proxy's page, say: the status tells what there is to tell
  }
}

/** What answers without a code mean: those of proxies and load balancers. */
function codeOf(status: number): ErrorCode {
  if (status === 502) return 'NOT_READY';
  for (const [code, kind] of Object.entries(ERROR_KINDS)) {
    if (kind.http === status && code !== 'QUEUE_FULL' && code !== 'USER_CODE') return code as ErrorCode;
  }
  return status >= 400 && status < 500 ? 'INVALID_INPUT' : 'INTERNAL';
}

/** `fetch` of Node says "fetch failed" and hides why in the cause; a connection that was tried several ways has no message at all. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { cause } = thrown;
  if (!(cause instanceof Error)) return thrown.message;
  const { code } = cause as { readonly code?: unknown };
  return cause.message !== '' ? cause.message : typeof code === 'string' ? code : thrown.message;
}
