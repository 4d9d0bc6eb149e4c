// What a value may look like, whoever gave it: text (flags, environment) or typed (files, functions).
// F1 `read` accepts both spellings of the same value and gives the resolved one.
// F2 A refusal says why and what was wanted; the caller adds the name, the value and where it came from.
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { JubakoError } from '../errors.js';
import { parseRunnerMap, type RunnerMap } from './addresses.js';

export interface Format<T> {
  /** Stands for the value in help: `--port PORT`. Empty: a flag without a value. */
  readonly placeholder: string;
  /**
   * @param base - the folder that relative paths are relative to.
   * @throws {JubakoError} CONFIG_INVALID
   */
  read(value: unknown, base: string): T;
}

/** setTimeout takes 2^31 - 1 ms; beyond that Node fires at once. */
const MAX_SECONDS = Math.floor((2 ** 31 - 1) / 1000);
const UNITS: Readonly<Record<string, number>> = { '': 1, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };
/** The same rule as for runners in a service. */
const RUNNER_NAME = /^[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const DNS_NAME =
  /^(?=.{1,253}\.?$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i;

function refuse(why: string): never {
  throw new JubakoError('CONFIG_INVALID', why);
}

export function integer(placeholder: string, min: number, max: number, also?: number): Format<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  const wanted = also === undefined ? range : `${range}, or ${also}`;
  return {
    placeholder,
    read(value) {
      const number = toNumber(value, /^-?\d+$/);
      const fits = Number.isSafeInteger(number) && number >= min && number <= max;
      return fits || number === also ? number : refuse(`wanted ${wanted}`);
    },
  };
}

/** Fractions are allowed; `lowest` is 0 or, where 0 has no meaning, the smallest timer of 1 ms. */
export function seconds(lowest: 0 | 0.001): Format<number> {
  return {
    placeholder: 'SECONDS',
    read(value) {
      const number = toNumber(value, /^\d+(\.\d+)?$/);
      return number >= lowest && number <= MAX_SECONDS
        ? number
        : refuse(`wanted seconds as a number from ${lowest} to ${MAX_SECONDS}`);
    },
  };
}

/** A number, or text such as `32MiB`. */
export function bytes(lowest: 0 | 1): Format<number> {
  return {
    placeholder: 'BYTES',
    read(value) {
      const [, digits, unit = ''] = typeof value === 'string' ? (/^(\d+)\s*([KMG]iB)?$/i.exec(value.trim()) ?? []) : [];
      const number = digits === undefined ? value : Number(digits) * (UNITS[unit.toUpperCase()] ?? Number.NaN);
      return typeof number === 'number' && Number.isSafeInteger(number) && number >= lowest
        ? number
        : refuse(`wanted bytes as an integer of at least ${lowest}, or with a unit: KiB, MiB or GiB`);
    },
  };
}

export const boolean: Format<boolean> = {
  placeholder: '',
  read(value) {
    if (typeof value === 'boolean') return value;
    const word = typeof value === 'string' ? value.toLowerCase() : '';
    if (['true', '1', 'yes', 'on'].includes(word)) return true;
    if (['false', '0', 'no', 'off'].includes(word)) return false;
    return refuse('wanted true or false');
  },
};

export function oneOf<const T extends string>(...names: readonly T[]): Format<T> {
  const wanted = `wanted ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  return {
    placeholder: names.join('|'),
    read: (value) => names.find((name) => name === value) ?? refuse(wanted),
  };
}

export const host: Format<string> = {
  placeholder: 'HOST',
  read(value) {
    const name = typeof value === 'string' ? value.replace(/^\[(.*)\]$/, '$1') : '';
    // `10.0.1` and `999.1.1.1` pass as DNS names, but nobody means one whose last label is a number.
    const isName = DNS_NAME.test(name) && !/(^|\.)\d+\.?$/.test(name);
    return isIP(name) !== 0 || isName ? name : refuse('wanted an IP address or a DNS name, without scheme and port');
  },
};

export function text(placeholder: string): Format<string> {
  return {
    placeholder,
    read: (value) =>
      typeof value === 'string' && value !== ''
        ? value
        : refuse('wanted text that is not empty (in quotes, in a file)'),
  };
}

/** A name of a runner in a service. */
export const runnerName: Format<string> = {
  placeholder: 'NAME',
  read: (value) =>
    typeof value === 'string' && RUNNER_NAME.test(value)
      ? value
      : refuse('wanted 1 to 63 letters, digits, ".", "_" or "-", with a letter or digit at both ends'),
};

/** Resolved to an absolute path, so that a worker in another folder finds the same file. */
export function path(placeholder: 'FILE' | 'FOLDER'): Format<string> {
  return {
    placeholder,
    read: (value, base) =>
      typeof value === 'string' && value !== '' && !value.includes('\0')
        ? resolve(base, value)
        : refuse(`wanted the path of a ${placeholder.toLowerCase()}`),
  };
}

const OLD_TLS: Readonly<Record<string, string>> = {
  0: 'SSL 2.0',
  1: 'SSL 3.0',
  2: 'PROTOCOL_TLS, which also takes TLS 1.0,',
  3: 'TLS 1.0',
  4: 'TLS 1.1',
  TLSV1: 'TLS 1.0',
  'TLSV1.0': 'TLS 1.0',
  'TLSV1.1': 'TLS 1.1',
};

/** The lowest version that is accepted. 16 and 17 (any secure version) and 5 (TLS 1.2) are the numbers of Python's `ssl`. */
export const tlsVersion: Format<string> = {
  placeholder: 'TLSv1.2|TLSv1.3',
  read(value) {
    const word = typeof value === 'string' || typeof value === 'number' ? String(value).toUpperCase() : '';
    if (['TLSV1.2', '5', '16', '17'].includes(word)) return 'TLSv1.2';
    if (word === 'TLSV1.3') return 'TLSv1.3';
    const old = Object.hasOwn(OLD_TLS, word) ? `${OLD_TLS[word]} is refused as insecure; ` : '';
    return refuse(`${old}wanted TLSv1.2 or TLSv1.3, the lowest version to accept`);
  },
};

const CERT_REQS = ['none', 'optional', 'required'];

/** Names, or the numbers of Python's `ssl.CERT_*`. */
export const certReqs: Format<string> = {
  placeholder: 'none|optional|required',
  read(value) {
    const word = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    const name = /^[0-2]$/.test(word) ? CERT_REQS[Number(word)] : CERT_REQS.find((candidate) => candidate === word);
    return name ?? refuse('wanted none, optional or required (or 0, 1 or 2)');
  },
};

/** `{"<runner>": ["<address>", …]}` as value or as JSON text. */
export const runnerMap: Format<RunnerMap> = {
  placeholder: 'JSON',
  read(value) {
    const map = typeof value === 'string' ? parseJson(value) : value;
    if (typeof map === 'object' && map !== null) for (const name of Object.keys(map)) runnerName.read(name, '');
    return parseRunnerMap(map, 'the runner map');
  },
};

/** `name=address`, split at the first `=`: an address may hold more of them. */
export function readRemoteRunner(value: string): readonly [name: string, address: string] {
  const equals = value.indexOf('=');
  if (equals < 1) return refuse('wanted name=address');
  const name = runnerName.read(value.slice(0, equals), '');
  const [address = ''] = parseRunnerMap({ [name]: value.slice(equals + 1) }, 'the remote runners')[name] ?? [];
  return [name, address];
}

/** Several values: a list, or text with commas or line ends between them. Empty text is an empty list. */
export function list<T>(placeholder: string, item: Format<T>): Format<readonly T[]> {
  return {
    placeholder,
    read(value, base) {
      const items: unknown = typeof value === 'string' ? splitList(value) : value;
      return Array.isArray(items) ? items.map((one) => item.read(one, base)) : refuse('wanted a list');
    },
  };
}

function splitList(value: string): string[] {
  return value
    .split(/[,\n]/)
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** Also null; `word` is its spelling where only text can be given. */
export function nullable<T>(format: Format<T>, word?: string): Format<T | null> {
  return {
    placeholder: word === undefined ? format.placeholder : `${format.placeholder}|${word}`,
    read(value, base) {
      if (value === null || (word !== undefined && value === word)) return null;
      return format.read(value, base);
    },
  };
}

function toNumber(value: unknown, shape: RegExp): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && shape.test(value) ? Number(value) : Number.NaN;
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return refuse('it is not JSON; wanted {"<runner>": ["<address>", …]}');
  }
}
