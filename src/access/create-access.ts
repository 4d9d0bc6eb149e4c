import { AddressRanges } from '../config/address-ranges.js';
import type { ServerConfig } from '../config/settings.js';
import { OPEN_ACCESS, type Access, type Caller } from '../service/access.js';
import { ApiKeys } from './api-keys.js';
import { ClientAddresses } from './client-address.js';
import { RateLimit, type TokenSource } from './rate-limit.js';
import { TokenBuckets, type RateLimits } from './token-buckets.js';

export type { TokenSource } from './rate-limit.js';

type RateSettings = Pick<ServerConfig, 'rateLimit' | 'rateLimitBurst'>;
type AccessSettings = RateSettings & Pick<ServerConfig, 'apiKeys' | 'trustedProxies'>;

/**
 * For a worker: who may call, and how often.
 * @param source - asked only where the setting `rateLimit` is given.
 */
export function createAccess(config: AccessSettings, source: TokenSource): Access {
  const limits = rateLimitsOf(config);
  if (config.apiKeys.length === 0 && limits === undefined) return OPEN_ACCESS;
  return new GuardedAccess(config, limits === undefined ? undefined : new RateLimit(source, limits));
}

/** For the primary: what the sources of all workers take from; undefined: there is no limit. */
export function createTokenBuckets(config: RateSettings): TokenBuckets | undefined {
  const limits = rateLimitsOf(config);
  return limits === undefined ? undefined : new TokenBuckets(limits);
}

function rateLimitsOf({ rateLimit, rateLimitBurst }: RateSettings): RateLimits | undefined {
  if (rateLimit === 0) return undefined;
  return { perSecond: rateLimit, burst: rateLimitBurst ?? Math.max(1, Math.floor(rateLimit)) };
}

class GuardedAccess implements Access {
  readonly isOpen = false;
  readonly #keys: ApiKeys | undefined;
  readonly #addresses: ClientAddresses;
  readonly #rateLimit: RateLimit | undefined;

  constructor(config: AccessSettings, rateLimit: RateLimit | undefined) {
    this.#keys = config.apiKeys.length === 0 ? undefined : new ApiKeys(config.apiKeys);
    this.#addresses = new ClientAddresses(new AddressRanges(config.trustedProxies));
    this.#rateLimit = rateLimit;
  }

  admit(caller: Caller): void | Promise<void> {
    const position = this.#keys?.positionOf(caller);
    if (this.#rateLimit === undefined) return undefined;
    // What a client is called travels to the primary: the position of its key says nothing about the key.
    const client = position === undefined ? this.#addresses.of(caller) : `key ${position}`;
    return this.#rateLimit.admit(client);
  }
}
