// The window in which a closed-loop client counts, whatever protocol it speaks.
// L1 CPU of the servers is read here, at the two ends of the window, so that it covers what the window covers.
import { cpuMsOf } from './proc.mjs';
import { percentile } from './statistics.mjs';

/** From the first request to the window: all connections are open, and as deep in their loop as they will be. */
const RAMP_MS = 150;

/** What the clients of one plan count. @typedef {{ isOpen: boolean, latenciesMs: number[], refused: number }} LoadWindow */

/**
 * @param {{ port: number, measureMs: number, pids: Readonly<Record<string, readonly number[]>> }} plan - `pids`: processes by a
 *   name of the caller's.
 * @param start - given the window, starts the clients: each with `failed`, a promise that only ever rejects, and `close()`.
 * @returns requests per second, latencies, CPU per request by name.
 */
export async function measureWindow({ port, measureMs, pids }, start) {
  const window = { isOpen: false, latenciesMs: [], refused: 0 };
  const clients = start(window);
  try {
    const failed = Promise.race(clients.map((client) => client.failed));
    failed.catch(() => undefined); // looked at in the races below
    await Promise.race([pause(RAMP_MS), failed]);
    const before = readCpu(pids);
    const ownBefore = process.cpuUsage();
    const startedAtMs = performance.now();
    window.isOpen = true;
    await Promise.race([pause(measureMs), failed]);
    const hasAnswers = () => window.latenciesMs.length + window.refused > 0;
    while (!hasAnswers()) await Promise.race([pause(1), failed]); // ends by the limit of a connection
    window.isOpen = false;
    const elapsedMs = performance.now() - startedAtMs;
    const own = process.cpuUsage(ownBefore);
    const after = readCpu(pids);
    const count = window.latenciesMs.length;
    if (count === 0) throw new Error(`Port ${port} refused all of ${window.refused} requests`);
    return {
      perSecond: (count * 1000) / elapsedMs,
      p50Ms: percentile(window.latenciesMs, 0.5),
      p99Ms: percentile(window.latenciesMs, 0.99),
      refusedShare: window.refused / (window.refused + count),
      clientCpuUs: (own.user + own.system) / count,
      /** Per request, by the names of `pids`. */
      cpuUs: Object.fromEntries(Object.keys(pids).map((name) => [name, ((after[name] - before[name]) * 1000) / count])),
    };
  } finally {
    for (const client of clients) client.close();
  }
}

function readCpu(pids) {
  return Object.fromEntries(Object.entries(pids).map(([name, group]) => [name, cpuMsOf(group)]));
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
