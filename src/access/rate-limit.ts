import { JubakoError } from '../errors.js';
import { LEASE_MS, type Grant, type RateLimits } from './token-buckets.js';

// The rate limit as one worker applies it, with tokens taken from where all workers' requests are counted.
// R1 A client has one question under way at a time; requests that come meanwhile wait for the same answer.
// R2 The more a client sends, the more tokens one question takes: a hot client costs a question per many requests. Tokens
//    that are not used within LEASE_MS are given up (token-buckets T2).
// R3 A client that was refused is refused without a question until it may send again, and for PAUSE_MS at least: a client
//    that sends too much would cost a question per request. It loses nothing: its tokens gather meanwhile.

/** Clients beyond are forgotten, those first that have not asked for the longest time. */
const MAX_CLIENTS = 16_384;
const PAUSE_MS = 25;

/** Where the tokens of all workers come from. */
export interface TokenSource {
  /** @param wanted - at least 1; all but the first may be kept for LEASE_MS. */
  take(client: string, wanted: number): Promise<Grant>;
}

interface Waiter {
  pass(): void;
  refuse(error: JubakoError): void;
}

/** What a worker has of one client's tokens. */
interface Lease {
  tokens: number;
  untilMs: number;
  /** Tokens that the next question asks for. */
  size: number;
  refusedUntilMs: number;
  isAsking: boolean;
  waiting: Waiter[];
}

export class RateLimit {
  readonly #source: TokenSource;
  readonly #perSecond: number;
  readonly #maxSize: number;
  readonly #pauseMs: number;
  readonly #nowMs: () => number;
  readonly #leases = new Map<string, Lease>();

  constructor(source: TokenSource, { perSecond, burst }: RateLimits, nowMs = (): number => performance.now()) {
    this.#source = source;
    this.#perSecond = perSecond;
    this.#maxSize = Math.max(1, Math.floor((perSecond * LEASE_MS) / 1000));
    this.#pauseMs = Math.min(PAUSE_MS, (burst * 500) / perSecond); // never until the bucket is full
    this.#nowMs = nowMs;
  }

  /** @throws {JubakoError} RATE_LIMITED - says when to try again. */
  admit(client: string): void | Promise<void> {
    const nowMs = this.#nowMs();
    const lease = this.#leases.get(client) ?? newLease();
    if (lease.tokens > 0 && nowMs < lease.untilMs) {
      lease.tokens -= 1;
      return undefined;
    }
    if (nowMs < lease.refusedUntilMs) throw this.#refusal(lease.refusedUntilMs - nowMs);
    return new Promise((resolve, reject) => {
      lease.waiting.push({ pass: resolve, refuse: reject });
      if (!lease.isAsking) void this.#ask(client, lease);
    });
  }

  /** Never rejects. */
  async #ask(client: string, lease: Lease): Promise<void> {
    lease.isAsking = true;
    this.#remember(client, lease);
    let error: JubakoError | undefined;
    while (lease.waiting.length > 0 && error === undefined) {
      const askedAtMs = this.#nowMs();
      this.#resize(lease, askedAtMs);
      try {
        const { granted, waitMs } = await this.#source.take(client, Math.max(lease.size, lease.waiting.length));
        lease.tokens = granted;
        lease.untilMs = askedAtMs + LEASE_MS;
        for (const waiter of lease.waiting.splice(0, granted)) {
          lease.tokens -= 1;
          waiter.pass();
        }
        if (lease.waiting.length > 0 && waitMs > 0) {
          lease.refusedUntilMs = this.#nowMs() + Math.max(waitMs, this.#pauseMs);
          error = this.#refusal(waitMs);
        }
      } catch (thrown) {
        error = JubakoError.from(thrown);
      }
    }
    lease.isAsking = false;
    if (error !== undefined) for (const waiter of lease.waiting.splice(0)) waiter.refuse(error);
  }

  /** Twice as many where the last ones did not last, as many as were used where they were too many. */
  #resize(lease: Lease, nowMs: number): void {
    if (nowMs < lease.untilMs) lease.size = Math.min(lease.size * 2, this.#maxSize);
    else lease.size = Math.max(1, lease.size - lease.tokens);
    lease.tokens = 0;
  }

  #remember(client: string, lease: Lease): void {
    this.#leases.delete(client);
    this.#leases.set(client, lease);
    if (this.#leases.size <= MAX_CLIENTS) return;
    for (const oldest of this.#leases.keys()) {
      this.#leases.delete(oldest);
      break;
    }
  }

  #refusal(waitMs: number): JubakoError {
    return new JubakoError(
      'RATE_LIMITED',
      `Cannot take the request: this client may send ${this.#perSecond} per second (rateLimit)`,
      { retryAfterSeconds: Math.max(waitMs / 1000, Number.MIN_VALUE) },
    );
  }
}

function newLease(): Lease {
  return { tokens: 0, untilMs: 0, size: 1, refusedUntilMs: 0, isAsking: false, waiting: [] };
}
