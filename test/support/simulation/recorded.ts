import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Arrival } from './trace.js';

// Arrivals that were recorded from a real load, by scripts/simulate/record.mjs. They are replayed as an open loop.

interface Recording {
  readonly about: string;
  /** Between the requests, in µs. */
  readonly gapsUs: readonly number[];
}

const FOLDER = fileURLToPath(new URL('../../../test/support/simulation/recorded/', import.meta.url));

export function recorded(name: string): { readonly about: string; readonly arrivals: readonly Arrival[] } {
  const { about, gapsUs } = JSON.parse(readFileSync(`${FOLDER}${name}.json`, 'utf8')) as Recording;
  let atUs = 0;
  const arrivals = gapsUs.map((gapUs): Arrival => {
    atUs += gapUs;
    return { atMs: atUs / 1000, rows: 1 };
  });
  return { about, arrivals };
}
