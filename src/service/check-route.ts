import type { Refuse } from './check-descriptors.js';

/** What Jubako answers itself. */
const RESERVED = ['/', '/livez', '/readyz', '/healthz', '/metrics', '/docs.json'];
/** With everything below them. */
const RESERVED_TREES = ['/v2', '/jubako'];

/** @param what - for messages, with the path in it. */
export function checkRoute(path: string, what: string, refuse: Refuse): void {
  if (typeof path !== 'string' || !/^\/[^?#:*\s]*$/.test(path) || path.startsWith('//'))
    refuse(`${what} must start with one "/" and hold no "?", "#", ":", "*" or space`);
  if (RESERVED.includes(path) || RESERVED_TREES.some((tree) => isAtOrBelow(path, tree))) refuse(`${what} is reserved`);
}

export function isAtOrBelow(path: string, tree: string): boolean {
  return path === tree || path.startsWith(`${tree}/`);
}
