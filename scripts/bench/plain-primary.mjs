import cluster from 'node:cluster';

/** The primary of a plain cluster: `count` workers, all ended by SIGTERM. */
export function forkPlainWorkers(count) {
  const workers = Array.from({ length: count }, () => cluster.fork());
  process.on('SIGTERM', () => {
    cluster.on('exit', () => {
      if (workers.every((worker) => worker.isDead())) process.exit(0);
    });
    for (const worker of workers) worker.process.kill('SIGKILL'); // it may be in the middle of its start
  });
}
