/** Of an even count the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param share - 0.99 for p99. Nearest rank; sorts `values` in place. */
export function percentile(values, share) {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.ceil(values.length * share) - 1)];
}

/**
 * Compares two sides that were measured in turn. The ratio is taken within each round, so that what the machine did
 * meanwhile is in both of its sides; the median of the rounds is what counts.
 * @param rounds - [{ a, b }], the same metrics in each.
 */
export function ratioOf(rounds, metric) {
  const ratios = rounds.map(({ a, b }) => a[metric] / b[metric]);
  return {
    a: median(rounds.map(({ a }) => a[metric])),
    b: median(rounds.map(({ b }) => b[metric])),
    ratio: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
  };
}

/** For a reader: as many digits as mean something. */
export function threeDigits(value) {
  if (value >= 100) return String(Math.round(value));
  if (value >= 10) return value.toFixed(1);
  return value >= 0.1 ? value.toFixed(2) : value.toFixed(3);
}

/** `count` rounds of both sides in turn; which goes first changes with each round. */
export function interleave(count, measureA, measureB) {
  return inTurn(count, { a: measureA, b: measureB });
}

/** `count` rounds of all sides in turn, each round beginning with the next of them: [{ <name>: what it measured }]. */
export async function inTurn(count, measures) {
  const names = Object.keys(measures);
  const rounds = [];
  for (let i = 0; i < count; i += 1) {
    const round = {};
    for (let j = 0; j < names.length; j += 1) {
      const name = names[(i + j) % names.length];
      round[name] = await measures[name]();
    }
    rounds.push(round);
  }
  return rounds;
}
