// How close batching comes to what a device could do that is never idle and has all waiting requests in each run.
import { measureBareHops } from '../measure/bare-hops.mjs';
import { measureServer } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { startLoad } from './load.mjs';
import { startJubako, stopAll, TWO_AND_ONE } from './servers.mjs';
import { inTurn, median, threeDigits } from './statistics.mjs';
import { withBatchRows } from './tally.mjs';

export const ACCELERATOR = { fixedMs: 10, perRowMs: 0.1, maxRows: 64 };
export const ACCELERATOR_BODY = '[[1,2,3]]';
/** Wanted share of the ideal by connections. */
const LEAST = { 1: 0.95, 8: 0.95, 32: 0.9, 128: 0.9 };
export const ACCELERATOR_CONNECTIONS = Object.keys(LEAST).map(Number);
/** At the hundred requests a second of one connection, code stays unoptimized for a minute, and takes three times as long. */
const WARM_UP_CONNECTIONS = Math.max(...ACCELERATOR_CONNECTIONS);

export const acceleratorCase = {
  name: 'accelerator',
  title: 'A simulated accelerator',
  about:
    `A model that takes ${ACCELERATOR.fixedMs} ms a run and ${ACCELERATOR.perRowMs} ms a row without using a core, one run at a time, at most ${ACCELERATOR.maxRows} rows. POST /predict ` +
    `with ${ACCELERATOR_BODY}, 2 API workers and 1 runner worker, against the closed-loop ideal: a device that is never idle and has all connections in each run ` +
    `(or ${ACCELERATOR.maxRows} of them), with HTTP, the link and the client for nothing.`,
  async run({ rounds, warmUpMs, measureMs }) {
    const accelerator = await startAccelerator(warmUpMs);
    try {
      const sides = ACCELERATOR_CONNECTIONS.map((connections) => [
        connections,
        async () => ({
          ...(await accelerator.measure(connections, measureMs)),
          bare: await measureBareHops(ACCELERATOR, connections, measureMs / 2),
        }),
      ]);
      const measured = await inTurn(rounds, Object.fromEntries(sides));
      const rowsOfSide = (connections) =>
        rowsOf(
          connections,
          measured.map((round) => round[connections]),
        );
      return { rows: ACCELERATOR_CONNECTIONS.flatMap(rowsOfSide) };
    } finally {
      await accelerator.stop();
    }
  },
};

/** Jubako before the accelerator, warm. @returns `measure(connections, measureMs)`, `stop()`. */
export async function startAccelerator(warmUpMs) {
  const load = startLoad();
  const stop = async () => {
    load.stop();
    await stopAll();
  };
  try {
    const jubako = await startJubako(
      'scripts/bench/accelerator-service.ts',
      TWO_AND_ONE,
      acceleratorEnvironment(ACCELERATOR),
    );
    await jubako.untilComplete('/predict', ACCELERATOR_BODY);
    const measure = (connections, measureMs) => {
      const plan = { path: '/predict', bodies: [ACCELERATOR_BODY], connections, measureMs };
      return withBatchRows(jubako.port, () => measureServer(load, jubako, plan));
    };
    await measure(WARM_UP_CONNECTIONS, warmUpMs);
    for (const connections of ACCELERATOR_CONNECTIONS) await measure(connections, warmUpMs / 4);
    return { measure, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/** @param maxLatencyMs - 0: none. */
export function acceleratorEnvironment({ fixedMs, perRowMs }, maxLatencyMs = 0) {
  return { BENCH_FIXED_MS: `${fixedMs}`, BENCH_PER_ROW_MS: `${perRowMs}`, BENCH_MAX_LATENCY_MS: `${maxLatencyMs}` };
}

/** A run of the ideal. */
export function runMsOf(connections, { fixedMs, perRowMs } = ACCELERATOR) {
  const rows = Math.min(connections, ACCELERATOR.maxRows);
  return { rows, runMs: fixedMs + perRowMs * rows };
}

export function idealPerSecond(accelerator, connections) {
  const { rows, runMs } = runMsOf(connections, accelerator);
  return (rows * 1000) / runMs;
}

function rowsOf(connections, measured) {
  const what = connections === 1 ? '1 connection' : `${connections} connections`;
  const ideal = { perSecond: idealPerSecond(ACCELERATOR, connections), batchRows: runMsOf(connections).rows };
  const rounds = measured.map((a) => ({ a, b: ideal }));
  const why = whySlower(measured, ideal, connections);
  return [
    compare(`${what}: requests per second`, '/s', rounds, 'perSecond', { atLeast: LEAST[connections], why }),
    compare(`${what}: mean rows of a batch`, 'rows', rounds, 'batchRows'),
  ];
}

/** The device runs or is idle: from the answers per second and the rows of a run follows how long. */
function whySlower(measured, ideal, connections) {
  const { fixedMs, perRowMs } = ACCELERATOR;
  const batchRows = median(measured.map((round) => round.batchRows));
  const idleMs = median(
    measured.map((round) => (1000 * round.batchRows) / round.perSecond - fixedMs - perRowMs * round.batchRows),
  );
  const bareMs = median(measured.map(({ bare }) => bare.idleMs));
  const { runMs } = runMsOf(connections);
  return (
    `A batch held ${threeDigits(batchRows)} of ${ideal.batchRows} rows, and the device was idle for ${threeDigits(idleMs)} ms between two runs, in which the ` +
    `answers went out and the next requests came in. Bare sockets between the same processes and threads, which wait for all connections and do nothing else, ` +
    `leave it idle for ${threeDigits(bareMs)} ms in the same rounds: with full batches, no more than ${threeDigits(runMs / (runMs + bareMs))}x can be had.`
  );
}
