// A simulated accelerator: a run takes a fixed time and some more for each row, and no CPU.
import { defineRunner, defineService, json, tensor, type Tensor } from 'jubako';
import { numberFrom } from './environment.js';
import { count, newTally, tallyOutput, type Tally } from './tally.js';

/** The kernel wakes a waiter some 0.1 ms late: the last part of a wait is spun, so that a run takes what it should take. */
const SPUN_MS = 0.15;
const MAX_SIZE = 64;

interface Accelerator {
  readonly fixedMs: number;
  readonly perRowMs: number;
  readonly tally: Tally;
}

const never = new Int32Array(new SharedArrayBuffer(4));

function run({ fixedMs, perRowMs, tally }: Accelerator, batch: Tensor<'float32'>): Tensor<'float32'> {
  const endAtMs = performance.now() + fixedMs + perRowMs * batch.rows;
  count(tally, batch.rows);
  Atomics.wait(never, 0, 0, endAtMs - performance.now() - SPUN_MS);
  while (performance.now() < endAtMs);
  return batch;
}

const rows = tensor('float32', [-1, 3]);
/** 0: none. */
const maxLatencyMs = numberFrom('BENCH_MAX_LATENCY_MS');

const accelerator = defineRunner({
  name: 'accelerator',
  load: () => ({ fixedMs: numberFrom('BENCH_FIXED_MS'), perRowMs: numberFrom('BENCH_PER_ROW_MS'), tally: newTally() }),
  methods: {
    predict: {
      input: rows,
      output: rows,
      batch: { maxSize: MAX_SIZE, ...(maxLatencyMs > 0 && { maxLatencyMs }) },
      run,
    },
    tally: { input: json(), output: tallyOutput, run: ({ tally }) => tally },
  },
});

export default defineService({
  name: 'accelerator',
  runners: [accelerator],
  apis: {
    predict: { input: rows, output: rows, handler: (input, { runners }) => runners.accelerator.predict(input) },
    tally: { input: json(), output: tallyOutput, handler: (_input, { runners }) => runners.accelerator.tally(null) },
  },
});
