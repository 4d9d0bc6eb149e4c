// How much memory a server holds that has nothing to do.
import { compare } from './compare.mjs';
import { pssBytesOf } from './proc.mjs';
import { startJubako, startPlain, stopAll } from './servers.mjs';
import { interleave } from './statistics.mjs';

const WORKERS = '2';
const IDLE_MS = 2000;

export const memoryCase = {
  name: 'memory',
  title: 'Memory at rest',
  about:
    'PSS of all processes 2 s after the first answer: a page that several processes share counts in parts. 4 processes (primary, 2 API workers, 1 ' +
    'runner worker with its compute thread) against 3 (Fastify under node:cluster with 2 workers).',
  async run({ memoryRounds }) {
    try {
      const rounds = await interleave(
        memoryRounds,
        () => weigh(() => startJubako('examples/echo', ['--api-workers', WORKERS, '--runner-workers', '1'])),
        () => weigh(() => startPlain('plain-fastify.mjs', ['--workers', WORKERS])),
      );
      return { rows: [compare('PSS of all processes', 'MiB', rounds, 'pssMiB', { atMost: 2 })] };
    } finally {
      await stopAll();
    }
  },
};

async function weigh(startServer) {
  const server = await startServer();
  await server.untilAnswer('/echo', '{}');
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const bytes = server.pids.reduce((sum, pid) => sum + pssBytesOf(pid), 0);
  await server.stop();
  return { pssMiB: bytes / 2 ** 20 };
}
