// What batching gains: a small model behind a batching runner against the same model run once per request.
import { readFileSync } from 'node:fs';
import { compareClosedLoops } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { startModelRows } from './model-rows.mjs';
import { start, startJubako, startPlain, stopAll } from './servers.mjs';
import { interleave } from './statistics.mjs';

const CONNECTIONS = 64;
const WORKERS = 2;
const CALLS_IN_FLIGHT = 128;

export const digitsCase = {
  name: 'digits',
  title: 'Digits through batches',
  about:
    `A small network (64 pixels to 10 probabilities) in onnxruntime. Over HTTP: POST /classify, ${CONNECTIONS} keep-alive connections, ${WORKERS} API ` +
    `workers and 1 runner worker against Fastify under node:cluster with ${WORKERS} workers that each run the model once per request. ` +
    `Model alone: single rows, ${CALLS_IN_FLIGHT} calls in flight over the link to 1 runner worker, against session.run in one process, ` +
    'with 1 row a run, and with 64 rows a run, which is the most that batching could give.',
  async run(effort) {
    const http = await compareHttp(effort);
    const { single, full } = await compareModel(effort);
    return {
      rows: [
        compare('HTTP: requests per second', '/s', http, 'perSecond'),
        compare('HTTP: CPU per request of all processes', 'µs', http, 'allCpuUs'),
        compare('HTTP: median latency', 'ms', http, 'p50Ms'),
        compare('HTTP: p99 latency', 'ms', http, 'p99Ms'),
        compare('Model: rows per second, against 1 row a run', '/s', single, 'rowsPerSecond'),
        compare('Model: CPU per row with the caller, against 1 row a run', 'µs', single, 'cpuUs'),
        compare('Model: rows per second, against 64 rows a run', '/s', full, 'rowsPerSecond'),
        compare('Model: mean rows of the batch that a call was in', 'rows', single, 'batchRows'),
      ],
    };
  },
};

function compareHttp(effort) {
  const images = JSON.parse(readFileSync(new URL('../../examples/digits/images.json', import.meta.url), 'utf8'));
  const bodies = images.map(({ pixels }) => JSON.stringify({ pixels }));
  const workers = `${WORKERS}`;
  const flags = ['--api-workers', workers, '--runner-workers', '1', '--no-grpc', '--no-access-log'];
  const starts = [
    () => startJubako('examples/digits', flags),
    () => startPlain('plain-digits.mjs', ['--workers', workers]),
  ];
  return compareClosedLoops(effort, starts, { path: '/classify', bodies, connections: CONNECTIONS });
}

async function compareModel({ rounds, warmUpMs, measureMs }) {
  const rows = startModelRows();
  try {
    const runner = await start((port) => [
      ...['dist/primary.js', 'start-runner-server', 'examples/digits', '--runner-name', 'digits'],
      ...['--host', '127.0.0.1', '--port', `${port}`, '--runner-workers', '1'],
    ]);
    await runner.untilReady();
    const ms = Math.ceil(measureMs / 2);
    const { port, pids } = runner;
    const measureRunner = (forMs) => rows.measure({ kind: 'runner', port, inFlight: CALLS_IN_FLIGHT, pids }, forMs);
    const measureSession = (batchRows, forMs) => rows.measure({ kind: 'session', batchRows }, forMs);
    await measureRunner(warmUpMs);
    await measureSession(1, warmUpMs / 2);
    const measured = await interleave(
      rounds,
      () => measureRunner(ms),
      async () => ({ single: await measureSession(1, ms), full: await measureSession(64, ms) }),
    );
    return {
      single: measured.map(({ a, b }) => ({ a, b: b.single })),
      full: measured.map(({ a, b }) => ({ a, b: b.full })),
    };
  } finally {
    rows.stop();
    await stopAll();
  }
}
