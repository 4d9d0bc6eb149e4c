// What settings about clients may look like: origins, keys, rates, address ranges.
import { isIP } from 'node:net';
import { JubakoError } from '../errors.js';
import { list, type Format } from './formats.js';

/** What a header can carry without quoting. */
const API_KEY = /^[\w.~+/=:-]{16,512}$/;
const MAX_RATE = 1_000_000;

function refuse(why: string): never {
  throw new JubakoError('CONFIG_INVALID', why);
}

/** `https://app.example.com`, with neither path nor slash at the end; or `*`. */
export const origin: Format<string> = {
  placeholder: 'ORIGIN',
  read(value) {
    if (value === '*') return value;
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
    const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && url.origin === value;
    return isOrigin && !url.hostname.includes('*') // which would match no origin
      ? url.origin
      : refuse('wanted origins such as https://app.example.com (no path, no slash at the end), or *');
  },
};

const KEY_LIST = list<string>('KEYS', {
  placeholder: 'KEY',
  read: (value) =>
    typeof value === 'string' && API_KEY.test(value)
      ? value
      : refuse('wanted keys of 16 to 512 letters, digits or . _ ~ + / = : -'),
});

/** The value never stands in a message. */
export const apiKeys: Format<readonly string[]> = {
  placeholder: KEY_LIST.placeholder,
  read(value, base) {
    const keys = KEY_LIST.read(value, base);
    // Whoever names a file of keys would believe that they are asked for.
    if (typeof value === 'string' && keys.length === 0) refuse('it holds no key; to let everybody call, leave it out');
    return keys;
  },
};

/** Requests per second. */
export const rate: Format<number> = {
  placeholder: 'PER_SECOND',
  read(value) {
    const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
    return typeof number === 'number' && number >= 0 && number <= MAX_RATE
      ? number
      : refuse(`wanted requests per second as a number from 0 to ${MAX_RATE}`);
  },
};

/** `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`. */
export const addressRange: Format<string> = {
  placeholder: 'RANGE',
  read(value) {
    const [address = '', prefix, ...rest] = typeof value === 'string' ? value.split('/') : [];
    const family = isIP(address);
    const bits = prefix === undefined ? 0 : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    return family !== 0 && rest.length === 0 && bits <= (family === 4 ? 32 : 128)
      ? String(value)
      : refuse('wanted addresses or CIDR ranges such as 10.0.0.0/8');
  },
};
