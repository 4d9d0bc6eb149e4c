import { JubakoError } from '../errors.js';
import type { Media } from './descriptor.js';

/** In lower case, without parameters: `image/png`, `image/*`. */
const PATTERN = /^[a-z0-9!#$&^_.+-]+\/(?:\*|[a-z0-9!#$&^_.+-]+)$/;

/** True for one media type in lower case, without parameters and without `*`. */
export function isMediaType(text: string): boolean {
  return PATTERN.test(text) && !text.endsWith('/*');
}

/** True where `mediaType` is the pattern, or falls under it: `image/*`, `*\/*`. */
export function fitsMediaType(mediaType: string, pattern: string): boolean {
  if (pattern === mediaType || pattern === '*/*') return true;
  return pattern.endsWith('/*') && mediaType.startsWith(pattern.slice(0, -1));
}

/** @throws {JubakoError} UNSUPPORTED_MEDIA - names the type and those that fit. */
export function refuseMediaType(what: string, mediaType: string, patterns: readonly string[]): void {
  if (patterns.some((pattern) => fitsMediaType(mediaType, pattern))) return;
  const given = mediaType === '' ? `${what} without a media type` : `${what} of type "${mediaType}"`;
  throw new JubakoError('UNSUPPORTED_MEDIA', `Cannot accept ${given}: wanted ${patterns.join(' or ')}`);
}

/**
 * A media type that a descriptor was given, in lower case.
 * @throws {JubakoError} SERVICE_INVALID - it is none.
 */
export function parseMediaType(what: string, mediaType: unknown): string {
  const lower = typeof mediaType === 'string' ? mediaType.toLowerCase() : '';
  if (PATTERN.test(lower)) return lower;
  throw new JubakoError(
    'SERVICE_INVALID',
    `Cannot describe ${what} by the media type "${String(mediaType)}": wanted one such as "image/png", without parameters`,
  );
}

/** One that values are written as. @throws {JubakoError} SERVICE_INVALID - it is none, or stands for many. */
export function parseConcreteType(what: string, mediaType: unknown): string {
  const lower = parseMediaType(what, mediaType);
  if (!lower.endsWith('/*')) return lower;
  throw new JubakoError('SERVICE_INVALID', `Cannot write ${what} as "${lower}": wanted one media type, without "*"`);
}

/**
 * Refuses bytes that are text in another encoding than UTF-8.
 * @throws {JubakoError} UNSUPPORTED_MEDIA - names the charset.
 */
export function refuseCharset({ mediaType, parameters }: Media): void {
  const charset = parameters?.['charset'];
  if (charset === undefined || /^(?:utf-?8|us-ascii)$/i.test(charset)) return;
  throw new JubakoError(
    'UNSUPPORTED_MEDIA',
    `Cannot read ${mediaType === '' ? 'text' : mediaType} of charset "${charset}": wanted utf-8`,
  );
}

/** @throws {JubakoError} SERVICE_INVALID - a limit of a descriptor is no whole number >= 1. */
export function parseLimit(what: string, limit: number | undefined): number | null {
  if (limit === undefined) return null;
  if (Number.isInteger(limit) && limit >= 1) return limit;
  throw new JubakoError('SERVICE_INVALID', `Cannot use ${what} of ${String(limit)}: wanted a whole number >= 1`);
}
