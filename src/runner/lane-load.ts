import type { MethodManifest } from '../service/manifest.js';
import type { Lane } from '../compute/lane.js';

// Which lane takes the next run. A lane works on as many runs at a time as the strictest method among them allows.

interface LaneState {
  readonly lane: Lane;
  /** `concurrency` of each run under way. */
  readonly running: number[];
}

export class LaneLoad {
  readonly #states: readonly LaneState[];

  constructor(lanes: readonly Lane[]) {
    this.#states = lanes.map((lane) => ({ lane, running: [] }));
  }

  /** False: no lane can take a run of any method. */
  get hasRoom(): boolean {
    return this.#states.some(({ running }) => running.length < limitOf(running));
  }

  /** The lane with the fewest runs that can take one of this method. */
  freeFor({ concurrency }: Pick<MethodManifest, 'concurrency'>): Lane | undefined {
    let best: LaneState | undefined;
    for (const state of this.#states) {
      const { length } = state.running;
      if (length >= Math.min(concurrency, limitOf(state.running))) continue;
      if (best === undefined || length < best.running.length) best = state;
    }
    return best?.lane;
  }

  /** @returns what gives the place back. */
  take(lane: Lane, concurrency: number): () => void {
    const state = this.#states.find((one) => one.lane === lane);
    state?.running.push(concurrency);
    return () => {
      state?.running.splice(state.running.indexOf(concurrency), 1);
    };
  }
}

function limitOf(running: readonly number[]): number {
  let limit = Infinity;
  for (const concurrency of running) if (concurrency < limit) limit = concurrency;
  return limit;
}
