import { hash, timingSafeEqual } from 'node:crypto';
import { JubakoError } from '../errors.js';
import type { Caller } from '../service/access.js';

// K1 How long a look-up takes tells nothing about a key: digests are compared, all of them, each in constant time.

const BEARER = /^bearer +(\S+)\s*$/i;

export class ApiKeys {
  readonly #digests: readonly Buffer[];

  constructor(keys: readonly string[]) {
    this.#digests = keys.map(digestOf);
  }

  /**
   * The position of the key that a caller shows, by either header: an application behind a mount may want `authorization`
   * for itself.
   * @throws {JubakoError} UNAUTHENTICATED
   */
  positionOf({ authorization, apiKey }: Pick<Caller, 'authorization' | 'apiKey'>): number {
    const token = authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
    if (apiKey === undefined && token === undefined) {
      throw new JubakoError(
        'UNAUTHENTICATED',
        'Cannot let the request in: wanted a key, as "authorization: Bearer <key>" or as "x-api-key: <key>"',
      );
    }
    const position = Math.max(this.#find(apiKey), this.#find(token));
    if (position === -1) throw new JubakoError('UNAUTHENTICATED', 'Cannot let the request in: its key is not known');
    return position;
  }

  /** -1: not known. */
  #find(key: string | undefined): number {
    if (key === undefined) return -1;
    const digest = digestOf(key);
    let found = -1;
    for (const [position, known] of this.#digests.entries()) if (timingSafeEqual(known, digest)) found = position; // K1
    return found;
  }
}

function digestOf(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}
