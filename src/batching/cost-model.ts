// How long the model takes for a batch of n rows, learned from the runs as they happen. Pure: fed with times, asked for times.
// M1 Useful from the first run on: one known size says something about all sizes, within what is possible: more rows never
//    take less time, and never more than as many runs of fewer rows.
// M2 time(n) = level × shape(n). The level follows drift of the whole (a slower machine) at every size at once, also at sizes
//    that have not run for long; the shape follows what sizes cost compared with each other.
// M3 Where runs vary, sizes learn from each other: the more they vary, the closer the shape is to a straight line through all
//    known sizes. One strange run moves a prediction by a few percent, however strange; three in a row that are strange in
//    the same way are the new level.
// M4 What has not been tried is taken for cheap: nothing is learned from what is not tried.

/** Weight of a new run in the level (less where runs vary), in its place of the shape, and in the deviation. */
const LEVEL_WEIGHT = 0.4;
const SHAPE_WEIGHT = 0.1;
const DEVIATION_WEIGHT = 0.1;
/** A run counts as at most so far off, in logarithms: a little, and a few times the usual deviation (M3). */
const SURPRISE = 0.1;
const SURPRISE_DEVIATIONS = 2.5;
/** Strange runs of one direction that make a new level. */
const STREAK = 3;
/** A deviation for which the line counts as much as one run of a size. */
const LINE_DEVIATION = 0.05;
/** Runs of a size that count, at most. */
const MAX_WEIGHT = 20;
/** Before much is known, predictions are taken to be this far off. */
const FIRST_DEVIATION = 0.2;
/** Runs of all sizes during which a model gets faster by itself. */
const SETTLING_RUNS = 8;
/** Runs after which predictions are good enough to refuse a call by; and those of one size during which it is still learned. */
const WARM_RUNS = 3;

/** Places up to a million rows, and a few to spare. */
const MAX_KNOTS = 96;
/** Sizes whose predictions are kept until the next run. */
const KEPT_SIZES = 129;

interface Point {
  /** Mean rows and time (over the level) of the runs in this place. */
  rows: number;
  time: number;
  runs: number;
}

export class CostModel {
  /** By `placeOf(rows)`: sizes 1 to 8 each, then four places to a doubling. */
  readonly #points: (Point | undefined)[] = [];
  /** The shape as it is used: known sizes in their order, with times that agree with M1. */
  readonly #knotRows = new Float64Array(MAX_KNOTS);
  readonly #knotTimes = new Float64Array(MAX_KNOTS);
  readonly #knotWeights = new Float64Array(MAX_KNOTS);
  #knots = 0;
  #knotSlope = 0;
  /** The shape of the sizes that were asked for since the last run; NaN: not asked. */
  readonly #asked = new Float64Array(KEPT_SIZES).fill(NaN);
  #level = 1;
  #runs = 0;
  /** Mean of |log(time / prediction)|. */
  #deviation = FIRST_DEVIATION;
  #surprises = 2;
  /** The last strange runs, all of one direction: logarithms of time / prediction. */
  #streak: number[] = [];
  #slowestMs = 0;

  get isWarm(): boolean {
    return this.#runs >= WARM_RUNS;
  }

  get runs(): number {
    return this.#runs;
  }

  /** The longest run that is not long forgotten, in ms; 0 before the first. */
  get slowestMs(): number {
    return this.#slowestMs;
  }

  /** A run of `rows` rows took `ms`, from its start to its end as the main thread sees them. */
  observe(rows: number, ms: number): void {
    const timeMs = Math.max(ms, 1e-3);
    this.#slowestMs = Math.max(timeMs, this.#slowestMs * 0.99);
    const predictedMs = this.predictMs(rows);
    this.#runs += 1;
    if (predictedMs === undefined) this.#level = timeMs;
    this.#learn(rows, timeMs, predictedMs ?? timeMs);
    this.#shapeKnots();
  }

  #learn(rows: number, timeMs: number, predictedMs: number): void {
    const place = placeOf(rows);
    const point = this.#points[place];
    // The first run beyond the known sizes is all that is known there; between them, the line between them is known as well.
    const isFirst = point === undefined && !this.#isBetween(rows);
    // The first runs are slow, until code is compiled and caches are filled: a faster one is believed at once.
    const isNew = this.#runs <= SETTLING_RUNS;
    const isFaster = isNew && point !== undefined && timeMs < point.time * this.#level;
    if (isFirst || isFaster) {
      const time = timeMs / this.#level;
      this.#points[place] = { rows, time, runs: (point?.runs ?? 0) + 1 };
      for (let i = place - 1; i > 0 && isNew; i -= 1) {
        const smaller = this.#points[i];
        if (smaller !== undefined) smaller.time = Math.min(smaller.time, time);
      }
      return;
    }
    const surprise = Math.log(timeMs / predictedMs);
    const most = SURPRISE + SURPRISE_DEVIATIONS * this.#deviation;
    if (this.#isNewLevel(surprise, most)) return;
    const counted = clamp(surprise, -most, most);
    this.#surprises += 1;
    this.#deviation += Math.max(DEVIATION_WEIGHT, 1 / this.#surprises) * (Math.abs(counted) - this.#deviation);
    // The first runs of a size say what it costs; later ones say whether everything has become faster or slower.
    if (point !== undefined && point.runs >= WARM_RUNS)
      this.#level *= Math.exp((LEVEL_WEIGHT * counted) / (1 + this.#deviation / LINE_DEVIATION));
    const time = (predictedMs * Math.exp(counted)) / this.#level;
    if (point === undefined) {
      this.#points[place] = { rows, time, runs: 1 };
      return;
    }
    const weight = Math.max(1 / (point.runs + 1), SHAPE_WEIGHT);
    point.runs += 1;
    point.rows += weight * (rows - point.rows);
    point.time += weight * (time - point.time);
  }

  #isBetween(rows: number): boolean {
    const known = this.#knots;
    return known > 0 && rows >= (this.#knotRows[0] as number) && rows <= (this.#knotRows[known - 1] as number);
  }

  /** M3: the middle one of the strange runs is the new level. */
  #isNewLevel(surprise: number, most: number): boolean {
    const streak = this.#streak;
    if (streak.length > 0 && (Math.abs(surprise) <= most || Math.sign(surprise) !== Math.sign(streak[0] ?? 0))) {
      this.#streak = [];
    }
    if (Math.abs(surprise) <= most) return false;
    this.#streak.push(surprise);
    if (this.#streak.length < STREAK) return false;
    const [, middle = 0] = this.#streak.sort((a, b) => a - b);
    this.#level *= Math.exp(middle);
    this.#streak = [];
    return true;
  }

  /** In ms; undefined before the first run. */
  predictMs(rows: number): number | undefined {
    if (this.#runs === 0) return undefined;
    return this.#level * this.#shape(rows);
  }

  /** What a run of `rows` rows takes at most, most of the time. */
  predictHighMs(rows: number): number | undefined {
    const ms = this.predictMs(rows);
    return ms === undefined ? undefined : ms * Math.exp(2 * this.#deviation);
  }

  #shape(rows: number): number {
    if (rows >= KEPT_SIZES || rows !== Math.trunc(rows)) return this.#interpolate(rows);
    const kept = this.#asked[rows] as number;
    if (!Number.isNaN(kept)) return kept;
    const shape = this.#interpolate(rows);
    this.#asked[rows] = shape;
    return shape;
  }

  /** Straight lines between the known sizes; beyond them, what M1 and M4 allow. */
  #interpolate(rows: number): number {
    const knotRows = this.#knotRows;
    const knotTimes = this.#knotTimes;
    const known = this.#knots;
    let at = 0;
    while (at < known && (knotRows[at] as number) < rows) at += 1;
    const highRows = knotRows[at] as number;
    const highTime = knotTimes[at] as number;
    if (at === 0) {
      // Smaller than all that is known: half of its cost is taken for fixed, where nothing more is known.
      const perRow = known > 1 ? this.#knotSlope : highTime / 2 / highRows;
      return clamp(highTime - perRow * (highRows - rows), (highTime * rows) / highRows, highTime);
    }
    const lowRows = knotRows[at - 1] as number;
    const lowTime = knotTimes[at - 1] as number;
    if (at === known) return Math.min(lowTime + this.#knotSlope * (rows - lowRows), (lowTime * rows) / lowRows);
    return lowTime + ((highTime - lowTime) * (rows - lowRows)) / (highRows - lowRows);
  }

  /** The points as a curve that is possible (M1). Once a run: predictions are asked for more often. */
  #shapeKnots(): void {
    const rows = this.#knotRows;
    const times = this.#knotTimes;
    const weights = this.#knotWeights;
    let known = 0;
    for (const point of this.#points) {
      if (point === undefined || known === MAX_KNOTS) continue;
      rows[known] = point.rows;
      times[known] = point.time;
      weights[known] = Math.min(point.runs, MAX_WEIGHT);
      known += 1;
    }
    this.#knots = known;
    this.#drawToLine(known);
    pool(times, weights, known);
    for (let i = 1; i < known; i += 1) {
      const size = rows[i] as number;
      for (let j = i - 1; j >= 0 && (rows[j] as number) * 3 >= size; j -= 1) {
        times[i] = Math.min(times[i] as number, (times[j] as number) * Math.ceil(size / (rows[j] as number)));
      }
    }
    this.#asked.fill(NaN);
  }

  /** M3 */
  #drawToLine(known: number): void {
    const rows = this.#knotRows;
    const times = this.#knotTimes;
    const weights = this.#knotWeights;
    let sum = 0;
    let meanRows = 0;
    let meanTime = 0;
    for (let i = 0; i < known; i += 1) {
      const weight = weights[i] as number;
      sum += weight;
      meanRows += (weight * ((rows[i] as number) - meanRows)) / sum;
      meanTime += (weight * ((times[i] as number) - meanTime)) / sum;
    }
    let above = 0;
    let below = 0;
    for (let i = 0; i < known; i += 1) {
      const fromMean = (weights[i] as number) * ((rows[i] as number) - meanRows);
      above += fromMean * ((times[i] as number) - meanTime);
      below += fromMean * ((rows[i] as number) - meanRows);
    }
    this.#knotSlope = below > 0 ? Math.max(0, above / below) : 0; // M4 where only one is known
    if (known < 3) return;
    const ratio = this.#deviation / LINE_DEVIATION;
    const lineWeight = Math.min(ratio * ratio, MAX_WEIGHT);
    for (let i = 0; i < known; i += 1) {
      const line = Math.max(0, meanTime + this.#knotSlope * ((rows[i] as number) - meanRows));
      const weight = weights[i] as number;
      times[i] = (weight * (times[i] as number) + lineWeight * line) / (weight + lineWeight);
    }
  }
}

/** Makes the times rise: neighbours that do not become their mean. */
function pool(times: Float64Array, weights: Float64Array, known: number): void {
  for (let i = 1; i < known; i += 1) {
    let first = i;
    let mean = times[i] as number;
    let weight = weights[i] as number;
    while (first > 0 && (times[first - 1] as number) > mean) {
      first -= 1;
      mean += ((weights[first] as number) * ((times[first] as number) - mean)) / (weight + (weights[first] as number));
      weight += weights[first] as number;
    }
    for (let j = first; j <= i; j += 1) times[j] = mean;
  }
}

function placeOf(rows: number): number {
  return rows <= 8 ? rows : 8 + Math.ceil(4 * Math.log2(rows / 8));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
