import { JubakoError } from '../errors.js';
import type { Exchange } from './exchange.js';

// Web pages of other origins (https://fetch.spec.whatwg.org/#http-cors-protocol).
// C1 Cookies are never asked for: a page must know a key to call what needs one, so even `*` gives nothing away.
// C2 Every answer says what it depends on, also those to requests without an origin, for the sake of caches in between.

/** Route of preflights, in log and metrics. */
const PREFLIGHT = '(preflight)';
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
/** Browsers keep an answer at most that long: a change of the setting reaches them as soon. */
const MAX_AGE_SECONDS = 600;
const NONE: readonly string[] = [];
const VARIES: readonly string[] = ['Vary', 'Origin'];

export class Cors {
  readonly #allowsAll: boolean;
  readonly #headers = new Map<string, readonly string[]>();

  /** @param origins - not empty. */
  constructor(origins: readonly string[]) {
    this.#allowsAll = origins.includes('*');
    for (const origin of origins) {
      this.#headers.set(origin, origin === '*' ? allowing(origin) : [...allowing(origin), ...VARIES]);
    }
  }

  /** Of a request that nothing has been done with. True: it was a preflight, and has its answer. */
  begin(exchange: Exchange): boolean {
    const { headers, method } = exchange.request;
    const { origin } = headers;
    const allowed = origin === undefined ? undefined : this.#allowed(origin);
    exchange.headers = allowed ?? (this.#allowsAll ? NONE : VARIES); // C2
    const isPreflight = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
    if (origin === undefined || !isPreflight) return false;
    exchange.route = PREFLIGHT;
    if (allowed === undefined) {
      const message = `Cannot let pages of ${origin} call: the origin is not among those of the setting corsOrigins`;
      exchange.fail(new JubakoError('FORBIDDEN', message));
    } else exchange.answer(200, 'text/plain', '', preflightHeaders(headers['access-control-request-headers']));
    return true;
  }

  #allowed(origin: string): readonly string[] | undefined {
    return this.#headers.get(this.#allowsAll ? '*' : origin);
  }
}

function allowing(origin: string): readonly string[] {
  // Without cookies `*` stands for every header: x-request-id, retry-after, those of tensors, those of plugins.
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', '*'];
}

/** @param wanted - names of headers that the page wants to send. */
function preflightHeaders(wanted: string | undefined): readonly string[] {
  return [
    'Access-Control-Allow-Methods',
    METHODS,
    ...(wanted === undefined ? [] : ['Access-Control-Allow-Headers', wanted]),
    'Access-Control-Max-Age',
    String(MAX_AGE_SECONDS),
    'Vary',
    'Access-Control-Request-Headers',
  ];
}
