// How many rows will arrive in the next moments, learned from what arrived after moments like this one. Pure.
// R1 Two kinds of moments tell of arrivals to come: a batch was answered (callers in a loop come back), and work came to an
//    idle runner (requests come in bursts). For each a curve says how many rows came by which time after it.
// R2 A curve is learned from every such moment, whatever was decided there; before the first it predicts nothing.
// R3 After an answer of m rows at most m come back, and each that has come back is expected no more: what is predicted is the
//    chance of those still away. A loop that has ended is waited for once, for as long as it usually took.
// R4 Callers are in a loop as far as more rows come soon after an answer than come later: at even gaps, or by chance, they
//    come because of nothing that was done here.
// R5 As many answers are watched at a time as batches may run; who comes is taken for one of the oldest of them.

const FIRST_EDGE_MS = 0.1;
const EDGES_PER_DOUBLING = 3;
const EDGE_COUNT = 32; // up to 129 ms
const EDGE_RATIO = Math.cbrt(2);
/** Times after a moment at which the curves are known, in ms. */
const EDGES_MS: readonly number[] = Array.from(
  { length: EDGE_COUNT },
  (_, i) => FIRST_EDGE_MS * powerOf(EDGE_RATIO, i),
);
/** Weight of the newest moment, once some are known. */
const WEIGHT = 0.15;
/** Share of an answer's rows that comes sooner than at even gaps: up to the first by chance, from the second on a loop. */
const CHANCE_EXCESS = 0.4;
const LOOP_EXCESS = 0.7;
/** Chance of coming later than all that is known, at least: keeps the chance of the others finite. */
const LEAST_REST = 0.02;

/** Rows by time after a moment: means over such moments, the newer ones counting more. */
class Curve {
  readonly #means = new Float64Array(EDGE_COUNT);
  readonly #moments = new Uint32Array(EDGE_COUNT);
  /** The means, where later edges were seen less often, kept from falling. */
  readonly #known = new Float64Array(EDGE_COUNT);
  /** Area under them, up to each edge. */
  readonly #area = new Float64Array(EDGE_COUNT);

  /** @param counts - rows by edge; @param watchedMs - later times were not seen and learn nothing; @param per - what rows are divided by. */
  learn(counts: Float64Array, watchedMs: number, per: number): void {
    let sum = 0;
    let most = 0;
    for (let edge = 0; edge < EDGE_COUNT; edge += 1) {
      sum += counts[edge] as number;
      if ((EDGES_MS[edge] as number) <= watchedMs) {
        const moments = Math.min((this.#moments[edge] as number) + 1, 1e6);
        this.#moments[edge] = moments;
        const mean = this.#means[edge] as number;
        this.#means[edge] = mean + Math.max(WEIGHT, 1 / moments) * (sum / per - mean);
      }
      const before = most;
      if ((this.#moments[edge] as number) > 0) most = Math.max(most, this.#means[edge] as number);
      this.#known[edge] = most;
      const lowMs = edge === 0 ? 0 : (EDGES_MS[edge - 1] as number);
      const area = edge === 0 ? 0 : (this.#area[edge - 1] as number);
      this.#area[edge] = area + (((EDGES_MS[edge] as number) - lowMs) * (before + most)) / 2;
    }
  }

  /** Mean rows by `afterMs`, a straight line between the edges; where nothing was seen, as at the last time seen. */
  at(afterMs: number): number {
    if (afterMs <= 0) return 0;
    const known = this.#known;
    const edge = edgeAfter(afterMs);
    if (edge === 0) return ((known[0] as number) * afterMs) / FIRST_EDGE_MS;
    if (edge >= EDGE_COUNT) return known[EDGE_COUNT - 1] as number;
    const lowMs = EDGES_MS[edge - 1] as number;
    const highMs = EDGES_MS[edge] as number;
    const low = known[edge - 1] as number;
    return low + (((known[edge] as number) - low) * (afterMs - lowMs)) / (highMs - lowMs);
  }

  /** Time that rows have been there by `afterMs`, in all: the area under the curve. */
  areaAt(afterMs: number): number {
    const edge = Math.min(edgeAfter(afterMs), EDGE_COUNT) - 1;
    if (edge < 0) return (afterMs * this.at(afterMs)) / 2;
    const sinceMs = afterMs - (EDGES_MS[edge] as number);
    return (this.#area[edge] as number) + (sinceMs * ((this.#known[edge] as number) + this.at(afterMs))) / 2;
  }

  /** Largest share of the rows (of one at least) that came by some time before `endMs` and would not have at even gaps. */
  excessBy(endMs: number): number {
    const total = this.at(endMs);
    const perMs = total / endMs;
    let most = 0;
    for (let edge = 0; edge < EDGE_COUNT && (EDGES_MS[edge] as number) < endMs; edge += 1) {
      most = Math.max(most, (this.#known[edge] as number) - perMs * (EDGES_MS[edge] as number));
    }
    return most / Math.max(1, total);
  }

  /** Mean rows in all. */
  get total(): number {
    return this.#known[EDGE_COUNT - 1] as number;
  }
}

/** A moment that is being watched. */
class Watch {
  readonly counts = new Float64Array(EDGE_COUNT);
  atMs = -Infinity;
  /** Rows of the answer. */
  rows = 0;
  /** Rows that have come since. */
  came = 0;

  begin(rows: number, nowMs: number): void {
    this.counts.fill(0);
    this.atMs = nowMs;
    this.rows = rows;
    this.came = 0;
  }

  add(rows: number, nowMs: number): void {
    const edge = edgeAfter(nowMs - this.atMs);
    if (edge < EDGE_COUNT) this.counts[edge] = (this.counts[edge] as number) + rows;
    this.came += rows;
  }
}

/** The first edge that is not before `afterMs`. */
function edgeAfter(afterMs: number): number {
  if (afterMs <= FIRST_EDGE_MS) return 0;
  return Math.ceil(EDGES_PER_DOUBLING * Math.log2(afterMs / FIRST_EDGE_MS) - 1e-9);
}

function powerOf(base: number, exponent: number): number {
  let power = 1;
  for (let i = 0; i < exponent; i += 1) power *= base;
  return power;
}

export class ArrivalModel {
  readonly #returns = new Curve();
  readonly #bursts = new Curve();
  /** All that comes after an answer, who it may be. */
  readonly #flows = new Curve();
  readonly #flow = new Watch();
  #flowMs = 0;
  #loopShare = 0;
  /** The newest answers in the order of time, from `#oldest` round; unused ones have no rows. */
  readonly #answers: readonly Watch[];
  #oldest = 0;
  readonly #burst = new Watch();
  #isBurstWatched = false;

  /** @param slots - batches that may run at a time. */
  constructor(slots: number) {
    this.#answers = Array.from({ length: Math.min(slots, 8) }, () => new Watch());
  }

  /** @param wasIdle - nothing ran and nothing waited. */
  arrived(rows: number, wasIdle: boolean, nowMs: number): void {
    this.#flow.add(rows, nowMs);
    let left = rows;
    for (let i = 0; i < this.#answers.length && left > 0; i += 1) {
      const answer = this.#answer(i);
      const counted = Math.min(left, answer.rows - answer.came);
      if (counted <= 0) continue;
      answer.add(counted, nowMs);
      left -= counted;
    }
    if (wasIdle) {
      this.#endBurst(nowMs);
      this.#isBurstWatched = true;
      this.#burst.begin(0, nowMs);
    } else if (this.#isBurstWatched) this.#burst.add(rows, nowMs);
  }

  /** A batch of `rows` rows has been answered. */
  answered(rows: number, nowMs: number): void {
    this.#endBurst(nowMs); // from here on it is those who come back
    this.#endFlow(rows, nowMs);
    const answer = this.#answer(0);
    if (answer.rows > 0) this.#returns.learn(answer.counts, nowMs - answer.atMs, answer.rows);
    answer.begin(rows, nowMs);
    this.#oldest = (this.#oldest + 1) % this.#answers.length;
  }

  /** Rows that may come at all. */
  expectAtMost(): number {
    let rows = this.#isBurstWatched ? (1 - this.#loopShare) * this.#bursts.total : 0;
    for (const answer of this.#answers) rows += answer.rows - answer.came;
    return rows;
  }

  /** Rows expected to arrive within `withinMs` from now. */
  expect(withinMs: number, nowMs: number): number {
    let returning = 0;
    for (const answer of this.#answers) {
      const away = answer.rows - answer.came;
      if (away <= 0) continue;
      const sinceMs = nowMs - answer.atMs;
      const before = this.#returns.at(sinceMs);
      const chance = (this.#returns.at(sinceMs + withinMs) - before) / Math.max(1 - before, LEAST_REST); // R3
      returning += away * Math.min(1, Math.max(0, chance));
    }
    // In a loop it is known who may come.
    return Math.max(returning, (1 - this.#loopShare) * this.#expectBurst(withinMs, nowMs));
  }

  /** How long a caller who is answered now will have waited again by `afterMs` from now, on average. */
  expectReturned(afterMs: number): number {
    return this.#loopShare === 0 ? 0 : this.#loopShare * this.#returns.areaAt(afterMs); // R4
  }

  #expectBurst(withinMs: number, nowMs: number): number {
    if (!this.#isBurstWatched || this.#loopShare === 1) return 0;
    const sinceMs = nowMs - this.#burst.atMs;
    const before = this.#bursts.at(sinceMs);
    // A burst that began with more than others goes on with more.
    const size = (this.#burst.came + 1) / (before + 1);
    return Math.max(0, size * (this.#bursts.at(sinceMs + withinMs) - before));
  }

  #endFlow(rows: number, nowMs: number): void {
    const flow = this.#flow;
    if (flow.rows > 0 && nowMs > flow.atMs) {
      const watchedMs = nowMs - flow.atMs;
      this.#flows.learn(flow.counts, watchedMs, flow.rows);
      this.#flowMs += (this.#flowMs === 0 ? 1 : WEIGHT) * (watchedMs - this.#flowMs);
      const excess = this.#flows.excessBy(this.#flowMs);
      this.#loopShare = Math.min(1, Math.max(0, (excess - CHANCE_EXCESS) / (LOOP_EXCESS - CHANCE_EXCESS)));
    }
    flow.begin(rows, nowMs);
  }

  #endBurst(nowMs: number): void {
    if (!this.#isBurstWatched) return;
    this.#isBurstWatched = false;
    this.#bursts.learn(this.#burst.counts, nowMs - this.#burst.atMs, 1);
  }

  /** The i-th oldest. */
  #answer(i: number): Watch {
    return this.#answers[(this.#oldest + i) % this.#answers.length] as Watch;
  }
}
