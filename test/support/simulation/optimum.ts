import { HOP_MS, type Cost } from './costs.js';
import { Random } from './random.js';
import { endAfterStalls, speedAt, type Arrival, type Loop, type SpeedChange, type Trace } from './trace.js';

// What no policy can exceed, knowing all arrivals beforehand.
//
// Exact optimum (one lane, one model, open loop): each row is a job of its own, which only helps, with the time of its call
// and the deadline that `latencyMs` gives it. Deadlines come in the order of arrivals. Take any schedule: give its batches,
// in the order of their starts, each the earliest rows that have come and can still be in time, and the same number of rows
// is in time (an exchange of two rows at a time). So there is an optimum in which every batch is a run of consecutive rows
// and rows are passed over only because they are late. It is found by going through the rows: for each number of rows
// answered in time so far, the earliest time at which the lane is free again. Where the cost changes with time, a batch may
// end at the earliest end of any later start. Noise of single runs is taken at its mean: that makes it an estimate.
//
// Rate bound (several lanes, models or shapes): every row takes at least the least time per row of any batch of its model,
// on lanes that never idle while something waits; and it is answered one run of its own after its arrival at the earliest.
//
// Loop bound: (a) With n rows a run on average, lanes give n / T(n); and of c callers those who are not away are in a run at
// least, so X (E[return] + T) <= c (Little). The best mixture of batch sizes under both. (b) Two batches after one another
// with more rows than callers share a caller, who needs the shortest return between them: the best pair of sizes.

/** Orders drawn for each size of batch, and sweeps over the values. */
const DRAWS = 24;
const SWEEPS = 12;

/** Rows per second that are answered within `latencyMs`, at most; for loops rows per second at all. */
export interface Bound {
  readonly rowsPerSecond: number;
  readonly kind: 'optimum' | 'rate bound' | 'loop bound';
}

export function boundOf(trace: Trace, all: readonly Arrival[]): Bound {
  const { loops = [], models, lanes, durationMs, countFromMs = 0, stalls = [] } = trace;
  const arrivals = all.filter(({ atMs }) => atMs >= countFromMs); // without the others it can only be better
  const [model] = models;
  const [loop] = loops;
  if (model === undefined) throw new TypeError('A trace needs a model');
  if (loop !== undefined) {
    const stalledMs = stalls.reduce(
      (sum, { atMs, ms }) => sum + (atMs >= countFromMs && atMs + ms <= durationMs ? ms : 0),
      0,
    );
    const busyShare = 1 - stalledMs / (durationMs - countFromMs);
    return { rowsPerSecond: busyShare * loopBound(model.cost, model.maxSize, lanes, loop), kind: 'loop bound' };
  }
  const shapes = new Set(arrivals.map(({ batchKey = '', method = 0 }) => `${method}:${batchKey}`));
  const isExact = lanes === 1 && shapes.size === 1;
  const rows = isExact ? optimalRows(trace, arrivals, model.cost, model.maxSize) : rateBoundRows(trace, arrivals);
  return { rowsPerSecond: (rows * 1000) / (durationMs - countFromMs), kind: isExact ? 'optimum' : 'rate bound' };
}

function optimalRows(trace: Trace, arrivals: readonly Arrival[], cost: Cost, maxSize: number): number {
  const { latencyMs, speed, stalls } = trace;
  const isSteady = speed === undefined && stalls === undefined;
  const atMs = Float64Array.from(
    arrivals.flatMap((arrival) => Array.from({ length: arrival.rows }, () => arrival.atMs)),
  );
  const count = atMs.length;
  const costMs = Float64Array.from({ length: maxSize + 1 }, (_, rows) => (rows === 0 ? 0 : cost(rows)));
  let bestRate = 0;
  for (let rows = 1; rows <= maxSize; rows += 1) {
    bestRate = Math.max(bestRate, rows / fastestMs(costMs[rows] as number, speed));
  }
  // freeAt[(i % ring) * width + g]: earliest time at which the lane is free, the first i rows done with or passed over, g of
  // them in time. What is known of row i + maxSize and before is enough.
  const ring = maxSize + 1;
  const width = count + 1;
  const freeAt = new Float64Array(ring * width).fill(Infinity);
  const least = new Int32Array(ring).fill(width);
  const most = new Int32Array(ring).fill(-1);
  const put = (i: number, rows: number, ms: number): void => {
    const slot = i % ring;
    const at = slot * width + rows;
    if (ms >= (freeAt[at] as number)) return;
    freeAt[at] = ms;
    if (rows < (least[slot] as number)) least[slot] = rows;
    if (rows > (most[slot] as number)) most[slot] = rows;
  };
  put(0, 0, 0);
  for (let i = 0; i < count; i += 1) {
    const slot = i % ring;
    const firstMs = atMs[i] as number;
    const latestMs = firstMs + latencyMs;
    const sizes = Math.min(maxSize, count - i);
    let earliestMs = Infinity;
    let lead = -Infinity;
    for (let rows = most[slot] as number; rows >= (least[slot] as number); rows -= 1) {
      const at = slot * width + rows;
      const ms = Math.max(freeAt[at] as number, firstMs);
      freeAt[at] = Infinity;
      // Behind in rows, and not so far ahead in time that the best batches could make up for it.
      if (ms >= earliestMs || rows - bestRate * ms + maxSize <= lead) continue;
      earliestMs = ms;
      lead = Math.max(lead, rows - bestRate * ms);
      put(i + 1, rows, ms); // the row is passed over
      for (let size = 1; size <= sizes; size += 1) {
        const fromMs = Math.max(ms, atMs[i + size - 1] as number);
        const runMs = costMs[size] as number;
        const endMs = isSteady ? fromMs + runMs + HOP_MS : endOf(fromMs, runMs, trace);
        if (endMs > latestMs) break;
        put(i + size, rows + size, endMs);
      }
    }
    least[slot] = width;
    most[slot] = -1;
  }
  return Math.max(0, most[count % ring] as number);
}

/** End of a run that may begin at `fromMs`, or later if it then ends sooner. */
function endOf(fromMs: number, costMs: number, { speed, stalls }: Pick<Trace, 'speed' | 'stalls'>): number {
  if (speed === undefined) return endAfterStalls(stalls, fromMs, costMs + HOP_MS);
  let endMs = fromMs + costMs * speedAt(speed, fromMs);
  for (const change of speed) {
    if (change.fromMs <= fromMs) continue;
    if (change.fromMs >= endMs) break;
    endMs = Math.min(endMs, change.fromMs + costMs * change.factor);
  }
  return endMs + HOP_MS;
}

function fastestMs(costMs: number, speed: readonly SpeedChange[] | undefined): number {
  return HOP_MS + costMs * Math.min(1, ...(speed ?? []).map(({ factor }) => factor));
}

function rateBoundRows({ models, lanes, latencyMs, speed }: Trace, arrivals: readonly Arrival[]): number {
  const perRowMs = models.map(({ cost, maxSize }) => {
    let least = Infinity;
    for (let rows = 1; rows <= maxSize; rows += 1) least = Math.min(least, fastestMs(cost(rows), speed) / rows);
    return least;
  });
  let freeAtMs = 0;
  let inTime = 0;
  for (const { atMs, rows, method = 0 } of arrivals) {
    for (let row = 0; row < rows; row += 1) {
      const endMs = Math.max(freeAtMs, atMs) + (perRowMs[method] ?? 0) / lanes;
      if (endMs > atMs + latencyMs) continue;
      freeAtMs = endMs;
      inTime += 1;
    }
  }
  return inTime;
}

function loopBound(cost: Cost, maxSize: number, lanes: number, { callers, returnMs }: Loop): number {
  const returns = sampleReturns(returnMs);
  const meanMs = returns.reduce((sum, ms) => sum + ms, 0) / returns.length;
  const most = Math.min(maxSize, callers);
  const runMs = Array.from({ length: most + 1 }, (_, rows) => cost(Math.max(1, rows)) + HOP_MS);
  const littleBound = bisect(0, callers / meanMs, (rate) => isPossible(rate, runMs, lanes, callers, meanMs));
  if (lanes > 1) return 1000 * littleBound;
  return 1000 * Math.min(littleBound, sequenceBound(runMs, callers, returnMs));
}

/**
 * Most rows per ms of a sequence of batches on one lane. A batch of b after one of a needs a + b - callers of the callers
 * of the first, so it begins no sooner than so many of them are back. Which b is best is decided knowing when each of the
 * first comes back, and all others are taken to be there. Solved by relative values, over returns drawn once.
 */
function sequenceBound(runMs: readonly number[], callers: number, returnMs: Loop['returnMs']): number {
  const most = runMs.length - 1;
  const random = new Random('sequence');
  /** By rows of the first batch: some orders in which its callers come back. */
  const orders = runMs.map((_, rows) =>
    Array.from({ length: DRAWS }, () => Array.from({ length: rows }, () => returnMs(random)).sort((a, b) => a - b)),
  );
  const values = new Float64Array(most + 1);
  const gainAt = (rate: number): number => {
    // Value of the best sequence at a price of `rate` per ms: it grows for ever where more than `rate` can be had.
    values.fill(0);
    let drift = 0;
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      const next = orders.map((draws, first) => {
        if (first === 0) return 0;
        let sum = 0;
        for (const returns of draws) {
          let best = -Infinity;
          for (let rows = 1; rows <= most; rows += 1) {
            const needed = first + rows - callers;
            const gapMs = needed > 0 ? (returns[needed - 1] ?? Infinity) : 0;
            const value = rows - rate * (gapMs + (runMs[rows] ?? 0)) + (values[rows] ?? 0);
            if (value > best) best = value;
          }
          sum += best;
        }
        return sum / draws.length;
      });
      drift = Math.max(...next.slice(1).map((value, i) => value - (values[i + 1] ?? 0)));
      const base = next[most] ?? 0;
      next.forEach((value, i) => (values[i] = value - base));
    }
    return drift;
  };
  return bisect(0, most / (runMs[most] ?? 1), (rate) => gainAt(rate) > 0, 12);
}

/** Is there a mixture of batch sizes with which lanes and callers allow `rate` rows per ms? Two sizes are always enough. */
function isPossible(rate: number, runMs: readonly number[], lanes: number, callers: number, meanMs: number): boolean {
  const margins = runMs.slice(1).map((ms, i) => {
    const rows = i + 1;
    return { lane: lanes * rows - rate * ms, loop: rows * (callers - rate * (meanMs + ms)) };
  });
  return margins.some((a) =>
    margins.some((b) => {
      // Some share s of a and 1 - s of b with both sums >= 0.
      let [low, high] = [0, 1];
      for (const key of ['lane', 'loop'] as const) {
        const slope = a[key] - b[key];
        if (Math.abs(slope) < 1e-12) {
          if (b[key] < 0) return false;
        } else if (slope > 0) low = Math.max(low, -b[key] / slope);
        else high = Math.min(high, -b[key] / slope);
      }
      return low <= high + 1e-12;
    }),
  );
}

function bisect(low: number, high: number, holds: (value: number) => boolean, steps = 40): number {
  for (let i = 0; i < steps; i += 1) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return high;
}

function sampleReturns(returnMs: Loop['returnMs']): readonly number[] {
  const random = new Random('returns');
  return Array.from({ length: 4096 }, () => returnMs(random));
}
