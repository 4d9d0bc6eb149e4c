// What a server does that is asked for ten times what its model can give.
import { setTimeout as sleep } from 'node:timers/promises';
import { ACCELERATOR_BODY, acceleratorEnvironment, idealPerSecond } from './accelerator-case.mjs';
import { measureServer } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { startLoad } from './load.mjs';
import { startOpenLoad } from './open-load.mjs';
import { cpuMsOf, pssBytesOf } from './proc.mjs';
import { startJubako, stopAll, TWO_AND_ONE } from './servers.mjs';
import { inTurn, median, threeDigits } from './statistics.mjs';

/** Slow enough for ten times its capacity to be offered by a client on the same cores. */
const DEVICE = { fixedMs: 50, perRowMs: 0.5 };
const MAX_ROWS = 64;
const FULL_BATCH_MS = DEVICE.fixedMs + DEVICE.perRowMs * MAX_ROWS;
const MAX_LATENCY_MS = 2.5 * FULL_BATCH_MS;
const CAPACITY = idealPerSecond(DEVICE, MAX_ROWS);
const OFFERED = 10 * CAPACITY;
/** Two full batches: one in the device, one that waits. */
const CLOSED_CONNECTIONS = 2 * MAX_ROWS;
const LEAST_GOODPUT = 0.95;
const MOST_REFUSAL_MS = 5;
const MOST_ACCEPTED_MS = 2 * MAX_LATENCY_MS + FULL_BATCH_MS;
/** Of the memory after the first second: what is above that grows. */
const MOST_MEMORY = 1.1;
const MEMORY_AFTER_MS = 1_000;

export const overloadCase = {
  name: 'overload',
  title: 'Ten times too many requests',
  about:
    `An accelerator as above, but slower, so that a client on the same cores can offer ten times what it can do: ${DEVICE.fixedMs} ms a run and ${DEVICE.perRowMs} ms a row, ` +
    `at most ${MAX_ROWS} rows, ${Math.round(CAPACITY)}/s at best; maxLatencyMs ${MAX_LATENCY_MS}. Open loop: ${Math.round(OFFERED)} requests per second by a clock, whatever becomes of those ` +
    `before, latencies from the time that the clock gave. In turn with a closed loop of ${CLOSED_CONNECTIONS} connections, which gives the peak. Memory is the PSS of all processes.`,
  async run({ longRounds, longMs }) {
    const closed = startLoad();
    const open = startOpenLoad();
    try {
      const env = acceleratorEnvironment(DEVICE, MAX_LATENCY_MS);
      const jubako = await startJubako('scripts/bench/accelerator-service.ts', TWO_AND_ONE, env);
      await jubako.untilComplete('/predict', ACCELERATOR_BODY);
      const measureClosed = (ms) => {
        const plan = { path: '/predict', bodies: [ACCELERATOR_BODY], connections: CLOSED_CONNECTIONS, measureMs: ms };
        return measureServer(closed, jubako, { ...plan, allowsRefusals: true });
      };
      await measureClosed(longMs / 2);
      await measureOpen(open, jubako, longMs / 2);
      const measured = await inTurn(longRounds, {
        b: () => measureClosed(longMs),
        a: () => measureOpen(open, jubako, longMs),
      });
      return { rows: rowsOf(measured) };
    } finally {
      closed.stop();
      open.stop();
      await stopAll();
    }
  },
};

async function measureOpen(open, { port, pids }, measureMs) {
  const cpuBefore = cpuMsOf(pids);
  const startedAtMs = performance.now();
  const answer = open.measure({ port, path: '/predict', body: ACCELERATOR_BODY, perSecond: OFFERED, measureMs });
  answer.catch(() => undefined); // awaited below
  await sleep(MEMORY_AFTER_MS);
  const earlyMiB = mebibytesOf(pids);
  const measured = await answer;
  const serverCores = (cpuMsOf(pids) - cpuBefore) / (performance.now() - startedAtMs);
  return { ...measured, earlyMiB, lateMiB: mebibytesOf(pids), serverCores };
}

function mebibytesOf(pids) {
  return pids.reduce((sum, pid) => sum + pssBytesOf(pid), 0) / 2 ** 20;
}

function rowsOf(measured) {
  const against = (metric, valueOf) => measured.map(({ a, b }) => ({ a, b: { [metric]: valueOf(a, b) } }));
  const medianOf = (metric) => threeDigits(median(measured.map(({ a }) => a[metric])));
  const why =
    `The servers kept ${medianOf('serverCores')} cores busy and the client ${medianOf('clientCores')}; the client itself was ${medianOf('lagP99Ms')} ms late (p99), and since ` +
    `they were sent, refusals took ${medianOf('refusedSinceSentP99Ms')} ms (p99).`;
  const memory = [{ a: { mib: measured.at(-1).a.lateMiB }, b: { mib: measured[0].a.earlyMiB } }];
  const least = { atLeast: LEAST_GOODPUT, why };
  return [
    compare(
      'Requests per second offered, against ten times the capacity',
      '/s',
      against('offeredPerSecond', () => OFFERED),
      'offeredPerSecond',
    ),
    compare(
      'Answers 200 per second, against the peak of the closed loop',
      '/s',
      against('goodPerSecond', (_, { perSecond }) => perSecond),
      'goodPerSecond',
      least,
    ),
    compare(
      'p99 of the accepted, against 2 maxLatencyMs and a batch',
      'ms',
      against('acceptedP99Ms', () => MOST_ACCEPTED_MS),
      'acceptedP99Ms',
      { atMost: 1, why },
    ),
    compare(
      'p99 of the refused (503)',
      'ms',
      against('refusedP99Ms', () => MOST_REFUSAL_MS),
      'refusedP99Ms',
      { atMost: 1, why },
    ),
    compare(
      'Late client: p99 from the clock to the sending, against its timer',
      'ms',
      against('lagP99Ms', () => 1),
      'lagP99Ms',
    ),
    compare('Memory at the end of all rounds, against the second 1 of the first', 'MiB', memory, 'mib', {
      atMost: MOST_MEMORY,
      why,
    }),
  ];
}
