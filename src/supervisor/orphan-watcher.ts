// Entry of a small process that outlives the primary: foreign applications know nothing of a primary whose death would be
// theirs, so this one ends them. Their process groups come as lines on its standard input, `+PID` and `-PID`; the end of
// that input is the primary's end, in whatever way that came.
import { createInterface } from 'node:readline';
import { signalGroup } from './process-group.js';

/** API workers answer for half a second more when the primary has died: until then applications may finish. */
const GRACE_MS = 1000;

const groups = new Set<number>();

// A signal to all of the server's processes is the primary's business.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const pid = Number(line.slice(1));
    if (line.startsWith('+')) groups.add(pid);
    else groups.delete(pid);
  })
  .on('close', () => {
    for (const pid of groups) signalGroup(pid, 'SIGTERM');
    if (groups.size === 0) process.exit(0);
    setTimeout(() => {
      for (const pid of groups) signalGroup(pid, 'SIGKILL');
      process.exit(0);
    }, GRACE_MS);
  });
