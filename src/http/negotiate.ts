import { fitsMediaType } from '../descriptor/media-type.js';
import { parseMediaType } from './media-type.js';

// Which of several forms a client likes best, by its `Accept` and its `Accept-Encoding`.
// @see https://www.rfc-editor.org/rfc/rfc9110#section-12.5

interface Weighted {
  /** In lower case. */
  readonly value: string;
  /** 0: not acceptable. */
  readonly weight: number;
}

const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/**
 * The offer that the client likes best. Of equals the one that it names more exactly, then the one that it names earlier, then
 * the first offer. Nothing fits: the first offer. RFC 9110 allows that in place of a 406, which no client of a model expects: it
 * would hide an answer that has been computed.
 * @param offers - by media type in lower case, the usual one first; at least one.
 */
export function chooseOffer<T extends { readonly type: string }>(accept: string | undefined, offers: readonly T[]): T {
  const [usual] = offers as readonly [T, ...T[]];
  if (accept === undefined || accept === '*/*' || accept === usual.type) return usual;
  const ranges = mediaRanges(accept);
  let best = usual;
  let bestRank = NONE;
  for (const offer of offers) {
    const rank = rankOf(offer.type, ranges);
    if (rank.weight > 0 && isBetter(rank, bestRank)) {
      best = offer;
      bestRank = rank;
    }
  }
  return best;
}

interface Rank {
  readonly weight: number;
  /** 4: by name, 3: by one of the names that the offer stands for, 2: `image/*`, 1: `*\/*`. */
  readonly exactness: number;
  readonly at: number;
}

const NONE: Rank = { weight: 0, exactness: 0, at: Infinity };

function isBetter(a: Rank, b: Rank): boolean {
  if (a.weight !== b.weight) return a.weight > b.weight;
  if (a.exactness !== b.exactness) return a.exactness > b.exactness;
  return a.at < b.at;
}

/** The most exact range decides: `image/png;q=0, image/*` refuses PNG. An offer with a `*` fits what it stands for. */
function rankOf(type: string, ranges: readonly Weighted[]): Rank {
  let rank = NONE;
  ranges.forEach(({ value, weight }, at) => {
    const exactness = exactnessOf(type, value);
    if (exactness > rank.exactness) rank = { weight, exactness, at };
  });
  return rank;
}

function exactnessOf(type: string, range: string): number {
  if (range === type) return 4;
  if (range === '*/*') return 1;
  if (fitsMediaType(range, type)) return 3;
  return fitsMediaType(type, range) ? 2 : 0;
}

/** Entries that are malformed are left out; so is one with a comma in quotes, which nobody sends. */
function mediaRanges(accept: string): readonly Weighted[] {
  const ranges: Weighted[] = [];
  for (const entry of accept.split(',')) {
    const parsed = parseMediaType(entry);
    const weight = weightOf(parsed?.parameters['q']);
    if (parsed !== undefined && weight !== undefined) ranges.push({ value: parsed.type, weight });
  }
  return ranges;
}

/** Undefined: it is none. */
function weightOf(text: string | undefined): number | undefined {
  if (text === undefined) return 1;
  return WEIGHT.test(text) ? Number(text) : undefined;
}

/**
 * The coding that the client likes best; undefined: none, the bytes as they are.
 * @param codings - in lower case, the best first.
 */
export function chooseCoding<T extends string>(acceptEncoding: string, codings: readonly T[]): T | undefined {
  const weights = new Map<string, number>();
  for (const entry of acceptEncoding.toLowerCase().split(',')) {
    const [name = '', ...parameters] = entry.split(';').map((part) => part.trim());
    const weight = weightOf(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2));
    if (name !== '' && weight !== undefined && !weights.has(name)) weights.set(name, weight);
  }
  const other = weights.get('*') ?? 0;
  let best: T | undefined;
  let bestWeight = 0;
  for (const coding of codings) {
    const weight = weights.get(coding) ?? other;
    if (weight > bestWeight) {
      best = coding;
      bestWeight = weight;
    }
  }
  return bestWeight >= (weights.get('identity') ?? 0) ? best : undefined;
}
