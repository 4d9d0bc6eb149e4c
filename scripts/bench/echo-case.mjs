// What the hop costs: a JSON echo through Jubako's runner against one that a plain Fastify worker answers itself.
import { availableParallelism } from 'node:os';
import { compare } from './compare.mjs';
import { startLoad } from './load.mjs';
import { startJubako, startPlain, stopAll } from './servers.mjs';
import { interleave, ratioOf, threeDigits } from './statistics.mjs';

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
const LEAST_PER_SECOND = 0.7;

export const echoCase = {
  name: 'echo',
  title: 'Echo through the runner',
  about:
    `POST /echo with ${BODY.length} B of JSON, ${CONNECTIONS} keep-alive connections. Jubako: ${WORKERS} API workers that call 1 runner ` +
    `worker for each request. Plain: Fastify under node:cluster with ${WORKERS} workers that answer by themselves.`,
  async run(effort) {
    const silent = await compareEchoes(effort, ['--no-access-log'], []);
    const logged = effort.withLogs ? await compareEchoes(effort, ['--access-log'], ['--log']) : undefined;
    return [
      compare('API-side CPU per request', 'µs', silent, 'apiCpuUs', { atMost: MOST_API_CPU, why: whyApiCpu(silent) }),
      compare('CPU per request of all processes', 'µs', silent, 'allCpuUs'),
      compare('Requests per second', '/s', silent, 'perSecond', {
        atLeast: LEAST_PER_SECOND,
        why: whyPerSecond(silent),
      }),
      compare('Median latency', 'ms', silent, 'p50Ms'),
      compare('p99 latency', 'ms', silent, 'p99Ms'),
      compare('CPU per request of the load client', 'µs', silent, 'clientCpuUs'),
      ...(logged === undefined ? [] : rowsWithLogs(logged)),
    ];
  },
};

function whyApiCpu(rounds) {
  const { a, b } = ratioOf(rounds, 'apiCpuUs');
  return (
    `Beside HTTP, an API worker sends a call to the runner and reads the reply. It takes ${threeDigits(a - b)} µs a request more than ` +
    `the plain worker; ${MOST_API_CPU}x leaves room for ${threeDigits((MOST_API_CPU - 1) * b)} µs.`
  );
}

/** In a closed loop on full cores the answers per second are the cores over the CPU that a request takes in all. */
function whyPerSecond(rounds) {
  const servers = ratioOf(rounds, 'allCpuUs');
  const client = ratioOf(rounds, 'clientCpuUs');
  const jubako = servers.a + client.a;
  const plain = servers.b + client.b;
  const wanted = plain / LEAST_PER_SECOND - client.a;
  return (
    `With the client's part a request takes ${threeDigits(jubako)} µs of CPU on Jubako's side and ${threeDigits(plain)} µs on the other, so ` +
    `${availableParallelism()} full cores cannot give more than ${threeDigits(plain / jubako)}x. For ${LEAST_PER_SECOND}x, API workers, runner ` +
    `and primary together would have to take ${threeDigits(wanted)} µs instead of ${threeDigits(servers.a)} µs.`
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

async function compareEchoes({ rounds, warmUpMs, measureMs }, jubakoFlags, plainFlags) {
  const load = startLoad();
  try {
    const jubako = await startJubako('examples/echo', ['--api-workers', `${WORKERS}`, ...jubakoFlags]);
    const plain = await startPlain('plain-fastify.mjs', ['--workers', `${WORKERS}`, ...plainFlags]);
    const measure = async (server, ms) => {
      const pids = { api: server.httpPids, all: server.pids };
      const plan = { port: server.port, path: '/echo', bodies: [BODY], connections: CONNECTIONS, measureMs: ms, pids };
      const { cpuUs, ...rest } = await load.measure(plan);
      return { ...rest, apiCpuUs: cpuUs.api, allCpuUs: cpuUs.all };
    };
    await Promise.all([jubako, plain].map((server) => server.untilComplete('/echo', BODY)));
    await measure(jubako, warmUpMs);
    await measure(plain, warmUpMs);
    return await interleave(
      rounds,
      () => measure(jubako, measureMs),
      () => measure(plain, measureMs),
    );
  } finally {
    load.stop();
    await stopAll();
  }
}
