// What batching gains where a run of the model costs far more than the hop: the case that Jubako is made for.
import { compare } from './compare.mjs';
import { calibrate, heavyMs } from './heavy-work.mjs';
import { startLoad } from './load.mjs';
import { startJubako, startPlain, stopAll } from './servers.mjs';
import { interleave, threeDigits } from './statistics.mjs';

const PATH = '/predict';
const BODIES = Array.from({ length: 16 }, (_, seed) => JSON.stringify({ seed }));
const CONNECTIONS = 64;
const FEW_CONNECTIONS = 8;
const WORKERS = 2;
const BATCH_ROWS = 'Mean rows of a batch';
const IDEAL = 'Requests per second, against the ideal';
const FEW_IDEAL = `${FEW_CONNECTIONS} connections: requests per second, against the ideal`;
/** Below this share of the connections the batches are not those of a loop that moves as one. */
const WHOLE_LOOP = 0.75;

export const heavyCase = {
  name: 'heavy',
  title: 'A heavy model through batches',
  about:
    `A model in JavaScript that takes ${heavyMs(0)} ms of CPU a run and ${(heavyMs(1) - heavyMs(0)).toFixed(2)} ms a row. POST ${PATH}, ${CONNECTIONS} keep-alive connections, ` +
    `${WORKERS} API workers and 1 runner worker, at most 64 rows a batch, against Fastify under node:cluster with ${WORKERS} workers that each run ` +
    `the same function once per request (at best ${Math.round(WORKERS * idealPerSecond(1))}/s). The ideal is one model that is never idle and has all connections in each ` +
    'batch, with HTTP, the link and the client for nothing: n rows every 2 + 0.02 n ms.',
  async run({ rounds, warmUpMs, measureMs }) {
    const env = calibrate();
    const load = startLoad();
    try {
      const flags = ['--api-workers', `${WORKERS}`, '--runner-workers', '1', '--no-grpc', '--no-access-log'];
      const jubako = await startJubako('scripts/bench/heavy-service.ts', flags, env);
      const plain = await startPlain('plain-heavy.mjs', ['--workers', `${WORKERS}`], env);
      const measure = async ({ port, pids }, ms, connections = CONNECTIONS) => {
        const plan = { port, path: PATH, bodies: BODIES, connections, measureMs: ms, pids: { all: pids } };
        const { cpuUs, ...rest } = await load.measure(plan);
        return { ...rest, allCpuUs: cpuUs.all };
      };
      await Promise.all([jubako, plain].map((server) => server.untilComplete(PATH, BODIES[0])));
      await measure(jubako, warmUpMs);
      await measure(plain, warmUpMs);
      const many = await interleave(
        rounds,
        () => measure(jubako, measureMs),
        () => measure(plain, measureMs),
      );
      const batchRows = await meanBatchRows(jubako.port);
      const few = [];
      for (let i = 0; i < rounds; i += 1) few.push(await measure(jubako, measureMs, FEW_CONNECTIONS));
      const alone = many.map(({ a }) => a);
      const rows = [
        compare('Requests per second', '/s', many, 'perSecond'),
        compare('Median latency', 'ms', many, 'p50Ms'),
        compare('p99 latency', 'ms', many, 'p99Ms'),
        compare('CPU per request of all processes', 'µs', many, 'allCpuUs'),
        compare(BATCH_ROWS, 'rows', [{ a: { batchRows }, b: { batchRows: 1 } }], 'batchRows'),
        compare(IDEAL, '/s', besideIdeal(alone, CONNECTIONS), 'perSecond'),
        compare(FEW_IDEAL, '/s', besideIdeal(few, FEW_CONNECTIONS), 'perSecond'),
      ];
      return { rows, remark: remarkOn(rows) };
    } finally {
      load.stop();
      await stopAll();
    }
  },
};

function remarkOn(rows) {
  const [batch, ideal, few] = [BATCH_ROWS, IDEAL, FEW_IDEAL].map((name) => rows.find(({ what }) => what === name));
  if (batch.jubako >= WHOLE_LOOP * CONNECTIONS) return undefined;
  const halfOf = (connections) => idealPerSecond(connections / 2);
  return (
    `A batch held ${threeDigits(batch.jubako)} of the ${CONNECTIONS} requests: where a batch leaves before the rest has ` +
    'come, the loop falls into groups, one in the model while the other is on its way. Two halves in turn can reach ' +
    `${threeDigits(halfOf(CONNECTIONS))}/s (${threeDigits(halfOf(CONNECTIONS) / idealPerSecond(CONNECTIONS))}x of the ideal) with ${CONNECTIONS} connections and ` +
    `${threeDigits(halfOf(FEW_CONNECTIONS))}/s (${threeDigits(halfOf(FEW_CONNECTIONS) / idealPerSecond(FEW_CONNECTIONS))}x) with ${FEW_CONNECTIONS}; Jubako reached ` +
    `${threeDigits(ideal.ratio)}x and ${threeDigits(few.ratio)}x.`
  );
}

function besideIdeal(measured, connections) {
  return measured.map((a) => ({ a, b: { perSecond: idealPerSecond(connections) } }));
}

/** A closed loop of `connections`, all in one batch. */
function idealPerSecond(connections) {
  return (connections * 1000) / heavyMs(connections);
}

/** Of all batches since the start, the warm-up's among them. */
async function meanBatchRows(port) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const [sum, count] = ['sum', 'count'].map((part) => {
    const match = new RegExp(`^jubako_runner_batch_rows_${part}{[^}]*} (\\S+)$`, 'm').exec(text);
    if (match === null) throw new Error(`Cannot read the mean batch: /metrics has no jubako_runner_batch_rows_${part}`);
    return Number(match[1]);
  });
  return sum / count;
}
