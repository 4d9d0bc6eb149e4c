import { bursts, calls, marked, onOff, poisson } from './arrivals.js';
import { accelerator, cpuNetwork, smallModel, tiledDevice, type Cost } from './costs.js';
import type { Random } from './random.js';
import { recorded } from './recorded.js';
import type { Loop, ModelSpec, Stall, Trace } from './trace.js';

// The traces of the batching page and of the tests. Rates are in rows per ms.

const ROOMY_QUEUE = 4096;

function model(cost: Cost, maxLatencyMs: number | null, maxSize = 64): ModelSpec {
  return { cost, maxSize, maxQueueSize: ROOMY_QUEUE, maxLatencyMs };
}

/** Most rows per ms that full batches give. */
export function capacityOf({ cost, maxSize }: ModelSpec): number {
  return maxSize / cost(maxSize);
}

const ACCELERATOR = model(accelerator, 50);
const ACCELERATOR_RATE = capacityOf(ACCELERATOR);
const CPU_NETWORK = model(cpuNetwork, 50);
const CPU_NETWORK_RATE = capacityOf(CPU_NETWORK);
const SMALL_MODEL = model(smallModel, 5);

/** About twice a second something else has the machine. */
const STALLS: readonly Stall[] = [340, 1030, 1480, 1960, 2700].map((atMs) => ({ atMs, ms: 100 }));

/** Over HTTP, the link and back: what a caller on the same machine takes for its next call. */
const returnMs = (random: Random): number => random.between(0.4, 1);

function callersOf(count: number): string {
  return count === 1 ? '1 caller' : `${count} callers`;
}

function loop(callers: number): readonly Loop[] {
  return [{ callers, returnMs }];
}

type Given = Pick<Trace, 'name' | 'about' | 'durationMs'> & Partial<Trace>;

function trace(given: Given): Trace {
  const models = given.models ?? [ACCELERATOR];
  return { models, lanes: 1, latencyMs: models[0]?.maxLatencyMs ?? 1000, ...given };
}

const openLoop: readonly Given[] = [
  { name: 'steady-low', about: '40/s at even gaps', durationMs: 5000, arrivals: calls(5000, () => 25) },
  { name: 'steady-high', about: '3000/s at even gaps', durationMs: 1500, arrivals: calls(1500, () => 1 / 3) },
  ...[0.01, 0.1, 0.3, 0.6, 0.8, 0.95].map((load): Given => {
    const durationMs = Math.min(5000, 800 / load);
    return {
      name: `poisson-${Math.round(100 * load)}`,
      about: `Poisson at ${Math.round(100 * load)} % of what full batches give`,
      durationMs,
      arrivals: poisson(durationMs, load * ACCELERATOR_RATE),
    };
  }),
  ...[0.3, 0.8].map((load): Given => ({
    name: `cpu-poisson-${100 * load}`,
    about: `CPU network, Poisson at ${100 * load} %`,
    durationMs: 1000,
    models: [CPU_NETWORK],
    arrivals: poisson(1000, load * CPU_NETWORK_RATE),
  })),
  {
    name: 'small-poisson',
    about: 'Small model (0.06 ms), Poisson at 20000/s',
    durationMs: 200,
    models: [SMALL_MODEL],
    arrivals: poisson(200, 20),
  },
  {
    name: 'tiled-poisson',
    about: 'Device with tiles of 16 rows, Poisson at 70 %',
    durationMs: 800,
    models: [model(tiledDevice, 40)],
    arrivals: poisson(800, 0.7 * (64 / tiledDevice(64))),
  },
  {
    name: 'bursts',
    countFromMs: 600,
    about: '150 calls within 2 ms, every 100 ms',
    durationMs: 3000,
    arrivals: bursts(3000, 100, () => 150, 2),
  },
  {
    name: 'bursts-tight',
    countFromMs: 600,
    about: '64 calls within 2 ms every 60 ms, target 22 ms',
    durationMs: 3000,
    models: [model(accelerator, 22)],
    arrivals: bursts(3000, 60, () => 64, 2),
  },
  {
    name: 'bursts-random',
    countFromMs: 600,
    about: '1 to 300 calls within 5 ms, every 80 ms',
    durationMs: 3000,
    arrivals: bursts(3000, 80, (random) => random.integer(1, 300), 5),
  },
  {
    name: 'on-off',
    about: '200 ms at 130 % of capacity, 300 ms nothing',
    durationMs: 3000,
    arrivals: onOff(3000, 200, 300, 1.3 * ACCELERATOR_RATE),
  },
  {
    name: 'heavy-tail-gaps',
    about: 'Pareto gaps (1.4), 50 % load',
    durationMs: 2500,
    arrivals: calls(2500, (random) => random.pareto(0.147, 1.4)),
  },
  {
    name: 'heavy-tail-rows',
    about: 'Pareto rows (1.3, up to 200), 60 % load',
    durationMs: 2500,
    models: [model(accelerator, 100)],
    arrivals: poisson(2500, 0.6 * ACCELERATOR_RATE, (random) => Math.min(200, Math.floor(random.pareto(1, 1.3))), 3),
  },
  {
    name: 'mixed-rows',
    about: '1 to 40 rows a call, 70 % load',
    durationMs: 2000,
    models: [model(accelerator, 80)],
    arrivals: poisson(2000, 0.7 * ACCELERATOR_RATE, (random) => random.integer(1, 40), 20.5),
  },
  {
    name: 'oversize-rows',
    about: '1 row, or 100 in one call of ten, 60 % load',
    durationMs: 2000,
    models: [model(accelerator, 120)],
    arrivals: poisson(2000, 0.6 * ACCELERATOR_RATE, (random) => (random.next() < 0.1 ? 100 : 1), 10.9),
  },
];

const overload: readonly Given[] = [
  {
    name: 'overload-2x',
    about: 'Poisson at twice what full batches give',
    durationMs: 1100,
    arrivals: poisson(1100, 2 * ACCELERATOR_RATE),
  },
  {
    name: 'overload-10x',
    about: 'Poisson at ten times what full batches give',
    durationMs: 300,
    arrivals: poisson(300, 10 * ACCELERATOR_RATE),
  },
  {
    name: 'overload-tight',
    about: 'twice the capacity, target 25 ms (a full batch takes 16.5)',
    durationMs: 1100,
    models: [model(accelerator, 25)],
    arrivals: poisson(1100, 2 * ACCELERATOR_RATE),
  },
  {
    name: 'overload-short',
    about: 'twice the capacity, target 15 ms: shorter than a full batch',
    durationMs: 3000,
    models: [model(accelerator, 15)],
    arrivals: poisson(3000, 2 * ACCELERATOR_RATE),
  },
  {
    name: 'overload-cpu',
    about: 'CPU network at 1.5 times its capacity',
    durationMs: 900,
    models: [CPU_NETWORK],
    arrivals: poisson(900, 1.5 * CPU_NETWORK_RATE),
  },
  {
    name: 'overload-small',
    about: 'Small model at twice its capacity, target 2 ms',
    durationMs: 20,
    models: [model(smallModel, 2)],
    arrivals: poisson(20, 2 * capacityOf(SMALL_MODEL)),
  },
  {
    name: 'overload-rows',
    about: '1 to 40 rows a call, twice the capacity',
    durationMs: 900,
    models: [model(accelerator, 80)],
    arrivals: poisson(900, 2 * ACCELERATOR_RATE, (random) => random.integer(1, 40), 20.5),
  },
  {
    name: 'overload-noisy',
    about: 'twice the capacity, runs vary (sigma 0.2), the model stands still for 100 ms now and then',
    durationMs: 1100,
    arrivals: poisson(1100, 2 * ACCELERATOR_RATE),
    noise: 0.2,
    stalls: STALLS,
  },
];

const changing: readonly Given[] = [
  {
    name: 'drift',
    about: 'cost rises to 2.5 times and falls again, 50 % load at first',
    durationMs: 3000,
    arrivals: poisson(3000, 0.5 * ACCELERATOR_RATE),
    speed: Array.from({ length: 60 }, (_, i) => ({ fromMs: 50 * i, factor: 1 + 1.5 * (1 - Math.abs(1 - i / 30)) })),
  },
  {
    name: 'step',
    about: 'three times the cost for a second in the middle, 40 % load',
    durationMs: 3000,
    arrivals: poisson(3000, 0.4 * ACCELERATOR_RATE),
    speed: [
      { fromMs: 1000, factor: 3 },
      { fromMs: 2000, factor: 1 },
    ],
  },
  {
    name: 'noisy',
    about: 'runs vary (sigma 0.2), the model stands still for 100 ms now and then, 60 % load',
    durationMs: 2000,
    arrivals: poisson(2000, 0.6 * ACCELERATOR_RATE),
    noise: 0.2,
    stalls: STALLS,
  },
  {
    name: 'cold-start',
    about: 'the first 100 calls of a new runner, 60 % load',
    durationMs: 43,
    arrivals: (random) => poisson(100, 0.6 * ACCELERATOR_RATE)(random).slice(0, 100),
  },
  {
    name: 'cold-lone',
    about: 'the first 20 calls of a new runner, one every 40 ms',
    durationMs: 800,
    arrivals: calls(800, () => 39.9),
  },
  {
    name: 'cold-overload',
    about: 'a new runner meets 200 ms at twice its capacity',
    durationMs: 200,
    arrivals: poisson(200, 2 * ACCELERATOR_RATE),
  },
];

const several: readonly Given[] = [
  {
    name: 'two-methods',
    about: 'two models on one lane (10 + 0.1 n and 2 + 0.05 n ms), 50 % load together',
    durationMs: 1500,
    models: [model(accelerator, 80), model((rows) => 2 + 0.05 * rows, 80)],
    arrivals: marked(poisson(1500, 2), (random) => ({ method: random.next() < 0.4 ? 0 : 1 })),
  },
  {
    name: 'mixed-shapes',
    about: 'three shapes that do not batch together, 40 % load',
    durationMs: 1500,
    models: [model(accelerator, 100)],
    arrivals: marked(poisson(1500, 0.4 * ACCELERATOR_RATE), (random) => ({ batchKey: `${random.integer(1, 3)}` })),
  },
  {
    name: 'shapes-overload',
    about: 'three shapes, 1.5 times the capacity',
    durationMs: 1000,
    models: [model(accelerator, 100)],
    arrivals: marked(poisson(1000, 1.5 * ACCELERATOR_RATE), (random) => ({ batchKey: `${random.integer(1, 3)}` })),
  },
  {
    name: 'methods-overload',
    about: 'the same two models at 1.5 times what full batches give',
    durationMs: 1000,
    models: [model(accelerator, 80), model((rows) => 2 + 0.05 * rows, 80)],
    arrivals: marked(poisson(1000, 11), (random) => ({ method: random.next() < 0.4 ? 0 : 1 })),
  },
  {
    name: 'priorities',
    about: 'a fifth high, a fifth low, 1.5 times the capacity',
    durationMs: 1000,
    arrivals: marked(poisson(1000, 1.5 * ACCELERATOR_RATE), (random) => ({
      priority: (['high', 'normal', 'normal', 'normal', 'low'] as const)[random.integer(0, 4)] ?? 'normal',
    })),
  },
  {
    name: 'two-lanes',
    about: 'two compute threads, 70 % load',
    durationMs: 1000,
    lanes: 2,
    arrivals: poisson(1000, 1.4 * ACCELERATOR_RATE),
  },
  {
    name: 'two-lanes-overload',
    about: 'two compute threads, twice their capacity',
    durationMs: 600,
    lanes: 2,
    arrivals: poisson(600, 4 * ACCELERATOR_RATE),
  },
];

const closed: readonly Given[] = [
  ...[1, 8, 32, 64, 96, 128, 256].map((callers): Given => ({
    name: `loop-${callers}`,
    about: `${callersOf(callers)}, back 0.4 to 1 ms after the answer`,
    durationMs: 1500,
    countFromMs: 300,
    loops: loop(callers),
  })),
  ...[8, 64].map((callers): Given => ({
    name: `loop-${callers}-no-target`,
    about: `${callers} callers, no latency target set`,
    durationMs: 1500,
    countFromMs: 300,
    models: [model(accelerator, null)],
    loops: loop(callers),
  })),
  ...[4, 32, 100].map((callers): Given => ({
    name: `cpu-loop-${callers}`,
    about: `CPU network, ${callers} callers`,
    durationMs: 800,
    models: [CPU_NETWORK],
    loops: loop(callers),
  })),
  ...[1, 32, 128].map((callers): Given => ({
    name: `small-loop-${callers}`,
    about: `Small model, ${callersOf(callers)}`,
    durationMs: 160,
    countFromMs: 10,
    models: [SMALL_MODEL],
    loops: loop(callers),
  })),
  ...[32, 128].map((callers): Given => ({
    name: `two-lanes-loop-${callers}`,
    about: `two compute threads, ${callers} callers`,
    durationMs: 1500,
    countFromMs: 300,
    lanes: 2,
    loops: loop(callers),
  })),
  {
    name: 'loop-spread',
    about: '48 callers, back after an exponential time of 5 ms',
    durationMs: 2500,
    countFromMs: 300,
    loops: [{ callers: 48, returnMs: (random) => 0.4 + random.exponential(5) }],
  },
  {
    name: 'loop-noisy',
    about: '32 callers, runs vary (sigma 0.2), the model stands still for 100 ms now and then',
    durationMs: 1500,
    models: [model(accelerator, 100)],
    loops: loop(32),
    noise: 0.2,
    stalls: STALLS,
  },
];

const recordings: readonly Given[] = ['http-48', 'http-phases'].map((name) => {
  const { about, arrivals } = recorded(name);
  return {
    name: `recorded-${name}`,
    about,
    durationMs: arrivals.at(-1)?.atMs ?? 0,
    // What it was recorded with.
    models: [model((rows) => 5 + 0.05 * rows, 20)],
    arrivals: () => arrivals,
  };
});

/** As on the page. */
export const GROUPS: readonly { readonly title: string; readonly traces: readonly Trace[] }[] = [
  { title: 'Open loop', traces: openLoop.map(trace) },
  { title: 'Overload', traces: overload.map(trace) },
  { title: 'Change, and new runners', traces: changing.map(trace) },
  { title: 'Several methods, shapes, priorities, lanes', traces: several.map(trace) },
  { title: 'Recorded', traces: recordings.map(trace) },
  { title: 'Loops', traces: closed.map(trace) },
];

export const TRACES: readonly Trace[] = GROUPS.flatMap(({ traces }) => traces);

/** The first part of a trace. */
export function shortened(whole: Trace, share: number): Trace {
  const { arrivals, countFromMs = 0 } = whole;
  const durationMs = countFromMs + share * (whole.durationMs - countFromMs);
  if (arrivals === undefined) return { ...whole, durationMs };
  return { ...whole, durationMs, arrivals: (random) => arrivals(random).filter(({ atMs }) => atMs < durationMs) };
}

/** What is about the start or about times within the trace; and what is over in a moment. */
const STAYS_WHOLE = /^(cold|step|drift|noisy|recorded|small|overload-(short|tight|10x))/;
const QUICK_SHARE = 0.35;

/** As much of a trace as shows what it is about. */
export function quick(whole: Trace): Trace {
  return STAYS_WHOLE.test(whole.name) ? whole : shortened(whole, QUICK_SHARE);
}

export function traceNamed(name: string): Trace {
  const found = TRACES.find((known) => known.name === name);
  if (found === undefined) {
    throw new Error(`Cannot find the trace "${name}": there are ${TRACES.map((known) => known.name).join(', ')}`);
  }
  return found;
}
