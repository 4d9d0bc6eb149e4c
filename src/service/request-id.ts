import { randomBytes } from 'node:crypto';

/** The header of HTTP and the metadata key of gRPC, in and out. */
export const REQUEST_ID_HEADER = 'x-request-id';

const ACCEPTED = /^[\w.:/+=@-]{1,128}$/;

// Random once per process, then counted: unique as a random id is, at a fraction of its cost.
const PREFIX = randomBytes(8).toString('hex');
let count = 0;

/** The caller's id where it is safe to log and to send on, else a new one. */
export function requestIdFrom(given: unknown): string {
  if (typeof given === 'string' && ACCEPTED.test(given)) return given;
  count += 1;
  return `${PREFIX}${count.toString(16).padStart(8, '0')}`;
}
