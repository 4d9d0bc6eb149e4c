// How close batching comes to what a device could do that is never idle and has all waiting requests in each run.
import { measureServer } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { startLoad } from './load.mjs';
import { startJubako, stopAll, TWO_AND_ONE } from './servers.mjs';
import { inTurn, median, threeDigits } from './statistics.mjs';
import { withBatchRows } from './tally.mjs';

export const ACCELERATOR = { fixedMs: 10, perRowMs: 0.1 };
export const ACCELERATOR_BODY = '[[1,2,3]]';
const MAX_ROWS = 64;
/** Wanted share of the ideal by connections. */
const LEAST = { 1: 0.95, 8: 0.95, 32: 0.9, 128: 0.9 };
export const ACCELERATOR_CONNECTIONS = Object.keys(LEAST).map(Number);

export const acceleratorCase = {
  name: 'accelerator',
  title: 'A simulated accelerator',
  about:
    `A model that takes ${ACCELERATOR.fixedMs} ms a run and ${ACCELERATOR.perRowMs} ms a row without using a core, one run at a time, at most ${MAX_ROWS} rows. POST /predict ` +
    `with ${ACCELERATOR_BODY}, 2 API workers and 1 runner worker, against the closed-loop ideal: a device that is never idle and has all connections in each run ` +
    `(or ${MAX_ROWS} of them), with HTTP, the link and the client for nothing.`,
  async run({ rounds, warmUpMs, measureMs }) {
    const load = startLoad();
    try {
      const jubako = await startJubako(
        'scripts/bench/accelerator-service.ts',
        TWO_AND_ONE,
        acceleratorEnvironment(ACCELERATOR),
      );
      await jubako.untilComplete('/predict', ACCELERATOR_BODY);
      const measure = (connections, ms) => {
        const plan = { path: '/predict', bodies: [ACCELERATOR_BODY], connections, measureMs: ms };
        return withBatchRows(jubako.port, () => measureServer(load, jubako, plan));
      };
      for (const connections of ACCELERATOR_CONNECTIONS) await measure(connections, warmUpMs / 2);
      const sides = ACCELERATOR_CONNECTIONS.map((connections) => [connections, () => measure(connections, measureMs)]);
      const measured = await inTurn(rounds, Object.fromEntries(sides));
      const rowsOfSide = (connections) =>
        rowsOf(
          connections,
          measured.map((round) => round[connections]),
        );
      return { rows: ACCELERATOR_CONNECTIONS.flatMap(rowsOfSide) };
    } finally {
      load.stop();
      await stopAll();
    }
  },
};

/** @param maxLatencyMs - 0: none. */
export function acceleratorEnvironment({ fixedMs, perRowMs }, maxLatencyMs = 0) {
  return { BENCH_FIXED_MS: `${fixedMs}`, BENCH_PER_ROW_MS: `${perRowMs}`, BENCH_MAX_LATENCY_MS: `${maxLatencyMs}` };
}

export function idealPerSecond({ fixedMs, perRowMs }, connections) {
  const rows = Math.min(connections, MAX_ROWS);
  return (rows * 1000) / (fixedMs + perRowMs * rows);
}

function rowsOf(connections, measured) {
  const what = connections === 1 ? '1 connection' : `${connections} connections`;
  const ideal = { perSecond: idealPerSecond(ACCELERATOR, connections), batchRows: Math.min(connections, MAX_ROWS) };
  const rounds = measured.map((a) => ({ a, b: ideal }));
  const why = whySlower(measured, ideal);
  return [
    compare(`${what}: requests per second`, '/s', rounds, 'perSecond', { atLeast: LEAST[connections], why }),
    compare(`${what}: mean rows of a batch`, 'rows', rounds, 'batchRows'),
  ];
}

/** The device runs or is idle: from the answers per second and the rows of a run follows how long. */
function whySlower(measured, ideal) {
  const batchRows = median(measured.map((round) => round.batchRows));
  const idleMs = median(
    measured.map(
      (round) =>
        (1000 * round.batchRows) / round.perSecond - ACCELERATOR.fixedMs - ACCELERATOR.perRowMs * round.batchRows,
    ),
  );
  return (
    `A batch held ${threeDigits(batchRows)} of ${ideal.batchRows} rows, and the device was idle for ${threeDigits(idleMs)} ms between two runs, in which the ` +
    'answers went out and the next requests came in.'
  );
}
