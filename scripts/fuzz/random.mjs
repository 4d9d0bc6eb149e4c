import { seededRandom } from '../seeded-random.mjs';

/** Draws from a seed; the same seed draws the same. */
export class Random {
  #next;

  /** @param path - what is added to the seed, so that each case draws for itself. */
  constructor(seed, ...path) {
    let mixed = seed >>> 0;
    for (const step of path) mixed = (Math.imul(mixed ^ (step + 0x9e3779b9), 0x85ebca6b) ^ (mixed >>> 13)) >>> 0;
    this.#next = seededRandom(mixed);
  }

  /** From 0 to 1. */
  real() {
    return this.#next();
  }

  below(limit) {
    return Math.floor(this.#next() * limit);
  }

  /** From `low` to `high`, both included. */
  between(low, high) {
    return low + this.below(high - low + 1);
  }

  chance(share) {
    return this.#next() < share;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** `[[3, 'often'], [1, 'seldom']]` */
  weighted(pairs) {
    let left = this.real() * pairs.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of pairs) {
      left -= weight;
      if (left < 0) return value;
    }
    return pairs.at(-1)[1];
  }

  bytes(length) {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.below(256);
    return bytes;
  }

  /** Some of a list, in its order. */
  some(list, share = 0.5) {
    return list.filter(() => this.chance(share));
  }

  /** @param alphabet - default: letters that encodings, quotes and parsers trip over among plain ones. */
  text(maxLength = 12, alphabet = ODD_LETTERS) {
    const letters = [...alphabet];
    return Array.from({ length: this.below(maxLength + 1) }, () => this.pick(letters)).join('');
  }
}

const ODD_LETTERS = 'abcxyzABC0129 -_.,;:/\\\'"{}[]()<>&%#?=+*\t\n\r\0\u007fé你😀\u2028\ufeff';
