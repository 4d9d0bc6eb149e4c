// How many requests each client may send, over all workers: what the primary keeps. Pure: the clock is an argument.
// T1 What all holders together let pass in any span of time is at most the burst plus the rate times that span. So tokens
//    that a holder keeps for later count as if they were still in the bucket: it fills up to the burst less what is kept.
// T2 A holder that asks again has used what it kept, or lost it: it keeps tokens for LEASE_MS.

/** How long a worker may keep the tokens that it took beyond the first. */
export const LEASE_MS = 100;
/** Clients beyond are forgotten, those first that have not asked for the longest time; 65,536 of them take about 16 MB. */
const MAX_CLIENTS = 65_536;
/** What sums of fractions may lack of a whole token. */
const ROUNDING = 1e-9;

export interface RateLimits {
  readonly perSecond: number;
  /** Requests at once, a whole number of at least 1. */
  readonly burst: number;
}

export interface Grant {
  /** At most as many as were wanted. */
  readonly granted: number;
  /** Time until there is one more; 0: now. */
  readonly waitMs: number;
}

interface Kept {
  readonly count: number;
  readonly untilMs: number;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
  readonly kept: Map<string, Kept>;
}

export class TokenBuckets {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #maxClients: number;
  /** The one that asked last is the last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor({ perSecond, burst }: RateLimits, maxClients = MAX_CLIENTS) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#maxClients = maxClients;
  }

  get clients(): number {
    return this.#buckets.size;
  }

  /**
   * Takes tokens for a client: the first for now, the others for now or within LEASE_MS.
   * @param wanted - at least 1.
   * @param holder - who takes them, e.g. the name of a worker.
   */
  take(client: string, wanted: number, holder: string, nowMs: number): Grant {
    const bucket = this.#touch(client, nowMs);
    this.#fill(bucket, nowMs);
    bucket.kept.delete(holder); // T2
    const kept = sumOf(bucket.kept);

    // Half of the burst stays for those who ask next, whoever keeps the other half.
    const mayKeep = Math.max(0, Math.floor(this.#burst / 2) - kept);
    const granted = Math.min(wanted, 1 + mayKeep, Math.floor(bucket.tokens + ROUNDING));
    bucket.tokens -= granted;
    if (granted > 1) bucket.kept.set(holder, { count: granted - 1, untilMs: nowMs + LEASE_MS });
    const lacking = 1 - bucket.tokens;
    return { granted, waitMs: lacking > ROUNDING ? lacking / this.#perMs : 0 };
  }

  /** Up to now, in steps: with each lease that ends there is more room (T1). */
  #fill(bucket: Bucket, nowMs: number): void {
    const ended = [...bucket.kept].filter(([, { untilMs }]) => untilMs <= nowMs);
    for (const [holder, { untilMs }] of ended.sort(([, a], [, b]) => a.untilMs - b.untilMs)) {
      this.#fillTo(bucket, untilMs);
      bucket.kept.delete(holder);
    }
    this.#fillTo(bucket, nowMs);
  }

  #fillTo(bucket: Bucket, atMs: number): void {
    const filled = bucket.tokens + (atMs - bucket.filledAtMs) * this.#perMs;
    bucket.tokens = Math.min(this.#burst - sumOf(bucket.kept), filled);
    bucket.filledAtMs = atMs;
  }

  #touch(client: string, nowMs: number): Bucket {
    const known = this.#buckets.get(client);
    if (known !== undefined) this.#buckets.delete(client);
    const bucket = known ?? { tokens: this.#burst, filledAtMs: nowMs, kept: new Map<string, Kept>() };
    this.#buckets.set(client, bucket);
    if (this.#buckets.size > this.#maxClients) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return bucket;
  }
}

function sumOf(kept: ReadonlyMap<string, Kept>): number {
  let sum = 0;
  for (const { count } of kept.values()) sum += count;
  return sum;
}
