// What the hop costs: a JSON echo through Jubako's runner against one that a plain Fastify worker answers itself.
import { compareClosedLoops } from './closed-loop.mjs';
import { compare, leastPerSecond } from './compare.mjs';
import { startJubako, startPlain } from './servers.mjs';
import { ratioOf, threeDigits } from './statistics.mjs';

const BODY = JSON.stringify({
  id: 4711,
  name: 'a JSON body of about a hundred bytes',
  tags: ['one', 'two', 'three'],
  ok: true,
});
const CONNECTIONS = 32;
const WORKERS = 2;
/** Wanted ratios to the plain side. */
const MOST_API_CPU = 1.4;
const LEAST_PER_SECOND = [0.7, 0.8];

export const echoCase = {
  name: 'echo',
  title: 'Echo through the runner',
  about:
    `POST /echo with ${BODY.length} B of JSON, ${CONNECTIONS} keep-alive connections. Jubako: ${WORKERS} API workers that call 1 runner ` +
    `worker for each request. Plain: Fastify under node:cluster with ${WORKERS} workers that answer by themselves.`,
  async run(effort) {
    const silent = await compareEchoes(effort, ['--no-access-log'], []);
    const logged = effort.withLogs ? await compareEchoes(effort, ['--access-log'], ['--log']) : undefined;
    const wanted = LEAST_PER_SECOND.map((ratio) => leastPerSecond(silent, ratio));
    return {
      rows: [
        compare('API-side CPU per request', 'µs', silent, 'apiCpuUs', { atMost: MOST_API_CPU, why: whyApiCpu(silent) }),
        compare('CPU per request of all processes', 'µs', silent, 'allCpuUs'),
        compare('Requests per second', '/s', silent, 'perSecond', ...wanted),
        compare('Median latency', 'ms', silent, 'p50Ms'),
        compare('p99 latency', 'ms', silent, 'p99Ms'),
        compare('CPU per request of the load client', 'µs', silent, 'clientCpuUs'),
        ...(logged === undefined ? [] : rowsWithLogs(logged)),
      ],
    };
  },
};

function whyApiCpu(rounds) {
  const { a, b } = ratioOf(rounds, 'apiCpuUs');
  return (
    `Beside HTTP, an API worker sends a call to the runner and reads the reply. It takes ${threeDigits(a - b)} µs a request more than ` +
    `the plain worker; ${MOST_API_CPU}x leaves room for ${threeDigits((MOST_API_CPU - 1) * b)} µs.`
  );
}

/** Fastify writes two lines a request, Jubako one. */
function rowsWithLogs(logged) {
  return [
    compare('With request logs to /dev/null: API-side CPU per request', 'µs', logged, 'apiCpuUs'),
    compare('With request logs: CPU per request of all processes', 'µs', logged, 'allCpuUs'),
    compare('With request logs: requests per second', '/s', logged, 'perSecond'),
  ];
}

function compareEchoes(effort, jubakoFlags, plainFlags) {
  const workers = `${WORKERS}`;
  const starts = [
    () => startJubako('examples/echo', ['--api-workers', workers, ...jubakoFlags]),
    () => startPlain('plain-fastify.mjs', ['--workers', workers, ...plainFlags]),
  ];
  return compareClosedLoops(effort, starts, { path: '/echo', bodies: [BODY], connections: CONNECTIONS });
}
