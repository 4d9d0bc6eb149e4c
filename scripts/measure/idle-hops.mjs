// How long a simulated accelerator is idle between two runs: behind Jubako, and behind bare sockets that do nothing else.
// Usage: node scripts/measure/idle-hops.mjs [SECONDS]
import { ACCELERATOR, ACCELERATOR_CONNECTIONS, runMsOf, startAccelerator } from '../bench/accelerator-case.mjs';
import { threeDigits } from '../bench/statistics.mjs';
import { measureBareHops } from './bare-hops.mjs';

const ROUNDS = 3;
const measureMs = Number(process.argv[2] ?? 3) * 1000;

const accelerator = await startAccelerator(measureMs);
try {
  console.log('ms beyond the run: idle between runs, p50       bare sockets          Jubako');
  for (const connections of ACCELERATOR_CONNECTIONS) {
    const { runMs, rows } = runMsOf(connections);
    for (let round = 0; round < ROUNDS; round += 1) {
      const bare = await measureBareHops(ACCELERATOR, connections, measureMs);
      const { perSecond, p50Ms } = await accelerator.measure(connections, measureMs);
      const jubako = { idleMs: (1000 * rows) / perSecond - runMs, p50Ms: p50Ms - runMs };
      const columns = [bare, jubako].map((side) =>
        `${threeDigits(side.idleMs)}, ${threeDigits(side.p50Ms)}`.padEnd(22),
      );
      console.log(`${connections} connections`.padEnd(47), ...columns);
    }
  }
} finally {
  await accelerator.stop();
}
