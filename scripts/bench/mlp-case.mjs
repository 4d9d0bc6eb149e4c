// A network whose run costs as much as hundreds of hops, as JSON: what batching gains against running it where the request is.
import { compareClosedLoops } from './closed-loop.mjs';
import { compare, leastPerSecond } from './compare.mjs';
import { MLP_TEXT, mlpEnvironment, mlpRows } from './mlp-model.mjs';
import { PLAIN_WORKERS, startJubako, startPlain, TWO_AND_ONE } from './servers.mjs';

const CONNECTIONS = 32;
const LEAST_PER_SECOND = 2.5;
const ROWS = 16;

export const mlpCase = {
  name: 'mlp',
  title: 'A large network through batches',
  about:
    `POST /predict with one row of JSON (7 KB) for ${MLP_TEXT}, in onnxruntime with one thread; ${CONNECTIONS} keep-alive connections, 2 API ` +
    'workers and 1 runner worker, at most 128 rows a batch, against Fastify under node:cluster with 2 workers that each run the model once per request.',
  async run(effort) {
    const env = mlpEnvironment();
    const starts = [
      () => startJubako('scripts/bench/mlp-service.ts', TWO_AND_ONE, env),
      () => startPlain('plain-mlp.mjs', PLAIN_WORKERS, env),
    ];
    const bodies = mlpRows(ROWS).map((row) => JSON.stringify([row]));
    const rounds = await compareClosedLoops(effort, starts, { path: '/predict', bodies, connections: CONNECTIONS });
    return {
      rows: [
        compare('Requests per second', '/s', rounds, 'perSecond', leastPerSecond(rounds, LEAST_PER_SECOND)),
        compare('CPU per request of all processes', 'µs', rounds, 'allCpuUs'),
        compare('CPU per request of the load client', 'µs', rounds, 'clientCpuUs'),
        compare('Median latency', 'ms', rounds, 'p50Ms'),
        compare('p99 latency', 'ms', rounds, 'p99Ms'),
      ],
    };
  },
};
