// What the hop costs where the input is large: a picture of 600 KB in, ten numbers out.
import { compareClosedLoops } from './closed-loop.mjs';
import { compare, leastPerSecond } from './compare.mjs';
import { PLAIN_WORKERS, startJubako, startPlain, TWO_AND_ONE } from './servers.mjs';

const PICTURE = Buffer.from(Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => i / 1000).buffer);
const CONNECTIONS = 16;
const LEAST_PER_SECOND = 0.7;

export const tensor600kCase = {
  name: 'tensor600k',
  title: 'Tensors of 600 KB',
  about:
    `POST /classify with a float32 tensor 1x3x224x224 as application/octet-stream (${PICTURE.length} B), ten numbers of JSON back; ${CONNECTIONS} ` +
    'keep-alive connections. Jubako: 2 API workers that call 1 runner worker (batches of at most 8). Plain: Fastify under node:cluster with 2 ' +
    'workers that take the body as a buffer and answer by themselves.',
  async run(effort) {
    const starts = [
      () => startJubako('scripts/bench/picture-service.ts', TWO_AND_ONE),
      () => startPlain('plain-picture.mjs', PLAIN_WORKERS),
    ];
    const headers = { 'Content-Type': 'application/octet-stream' };
    const plan = { path: '/classify', bodies: [PICTURE], headers, connections: CONNECTIONS };
    const rounds = await compareClosedLoops(effort, starts, plan);
    return {
      rows: [
        compare('Requests per second', '/s', rounds, 'perSecond', leastPerSecond(rounds, LEAST_PER_SECOND)),
        compare('API-side CPU per request', 'µs', rounds, 'apiCpuUs'),
        compare('CPU per request of all processes', 'µs', rounds, 'allCpuUs'),
        compare('CPU per request of the load client', 'µs', rounds, 'clientCpuUs'),
        compare('Median latency', 'ms', rounds, 'p50Ms'),
        compare('p99 latency', 'ms', rounds, 'p99Ms'),
      ],
    };
  },
};
