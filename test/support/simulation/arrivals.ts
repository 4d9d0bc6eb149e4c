import type { Random } from './random.js';
import type { Arrival } from './trace.js';

// Ways in which calls come. Rates are in rows per ms.

export type Rows = (random: Random) => number;

/** The calls of a trace, drawn from its numbers. */
export type Arrivals = (random: Random) => readonly Arrival[];

const oneRow: Rows = () => 1;

/** Calls whose gaps are `gapMs`. */
export function calls(
  durationMs: number,
  gapMs: (random: Random, atMs: number) => number,
  rows: Rows = oneRow,
): Arrivals {
  return (random) => {
    const arrivals: Arrival[] = [];
    for (let atMs = gapMs(random, 0); atMs < durationMs; atMs += gapMs(random, atMs)) {
      arrivals.push({ atMs, rows: rows(random) });
    }
    return arrivals;
  };
}

export function poisson(durationMs: number, rowsPerMs: number, rows: Rows = oneRow, meanRows = 1): Arrivals {
  return calls(durationMs, (random) => random.exponential(meanRows / rowsPerMs), rows);
}

/** `size` calls within `spreadMs`, again and again. */
export function bursts(durationMs: number, everyMs: number, size: Rows, spreadMs: number): Arrivals {
  return (random) => {
    const arrivals: Arrival[] = [];
    for (let atMs = 5; atMs < durationMs; atMs += everyMs * random.between(0.8, 1.2)) {
      const count = size(random);
      for (let i = 0; i < count; i += 1) arrivals.push({ atMs: atMs + random.between(0, spreadMs), rows: 1 });
    }
    return arrivals;
  };
}

/** Poisson with a rate that is on for some time and off for some. */
export function onOff(durationMs: number, onMs: number, offMs: number, rowsPerMs: number): Arrivals {
  return calls(durationMs, (random, atMs) => {
    const gapMs = random.exponential(1 / rowsPerMs);
    const intoMs = atMs % (onMs + offMs);
    return intoMs + gapMs < onMs ? gapMs : onMs + offMs - intoMs + random.exponential(1 / rowsPerMs);
  });
}

/** Calls with something about each drawn anew. */
export function marked(arrivals: Arrivals, mark: (random: Random) => Partial<Arrival>): Arrivals {
  return (random) => arrivals(random).map((arrival) => ({ ...arrival, ...mark(random) }));
}
