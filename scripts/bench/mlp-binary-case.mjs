// How much of the model's own speed reaches the client, where neither JSON nor a second model gets in the way.
// M1 "The same core": runner worker and bare loop run on the second core, one after the other. Everything that only a server
//    has (API worker, primary, client) is on the first, since a bare loop leaves that to nobody.
import { measureServer } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { moveToCore, twoCores } from './cores.mjs';
import { startLoad } from './load.mjs';
import { COLUMNS, MLP_TEXT, mlpEnvironment, mlpRows } from './mlp-model.mjs';
import { startOnnxLoop } from './onnx-loop.mjs';
import { startJubako, stopAll } from './servers.mjs';
import { inTurn, ratioOf, threeDigits } from './statistics.mjs';
import { withBatchRows } from './tally.mjs';

const HEADERS = { 'Content-Type': 'application/octet-stream', Accept: 'application/octet-stream' };
const FLAGS = ['--api-workers', '1', '--runner-workers', '1', '--no-grpc', '--no-access-log'];
const LEAST = 0.85;
const BATCHES = [16, 32, 64, 128];
/** Enough for two full batches of 128 rows at any time. */
const KINDS = { single: { rows: 1, connections: 256 }, sixteen: { rows: 16, connections: 16 } };

export const mlpBinaryCase = {
  name: 'mlp-binary',
  title: 'A large network, binary, against the model alone',
  about:
    `POST /predict with rows of float32 as application/octet-stream (${COLUMNS * 4} B each), the answer in the same form, for ${MLP_TEXT}. One core ` +
    'for the model on both sides: the runner worker (at most 128 rows a batch), and in turn with it a loop around session.run in a process of its own, ' +
    `with the best of ${BATCHES.join(', ')} rows a run. The API worker, the primary and the client share the other core. ` +
    `${KINDS.single.connections} keep-alive connections with 1 row a request, ${KINDS.sixteen.connections} with ${KINDS.sixteen.rows}.`,
  async run({ rounds, warmUpMs, measureMs }) {
    const [httpCore, modelCore] = twoCores();
    const env = mlpEnvironment();
    const load = startLoad(httpCore);
    const loop = startOnnxLoop(modelCore);
    try {
      const jubako = await startJubako('scripts/bench/mlp-service.ts', FLAGS, env, httpCore);
      const bodyOf = (rows) => Buffer.from(Float32Array.from(mlpRows(rows).flat()).buffer);
      await jubako.untilComplete('/predict', bodyOf(1), HEADERS);
      moveToCore(modelCore, jubako.runnerPids);
      const measureRows = async ({ rows, connections }, ms) => {
        const plan = { path: '/predict', headers: HEADERS, bodies: [bodyOf(rows)], connections, measureMs: ms };
        const measured = await withBatchRows(jubako.port, () => measureServer(load, jubako, plan));
        const perRow = (us) => us / rows;
        return {
          rowsPerSecond: measured.perSecond * rows,
          cpuUs: perRow(measured.runnerCpuUs),
          otherCpuUs: perRow(measured.allCpuUs - measured.runnerCpuUs + measured.clientCpuUs),
          batchRows: measured.batchRows,
        };
      };
      const measureLoop = (batchRows, ms) => loop.measure({ file: env.BENCH_MLP_FILE, batchRows, measureMs: ms });
      for (const kind of Object.values(KINDS)) await measureRows(kind, warmUpMs);
      const batchRows = await bestBatch((rows) => measureLoop(rows, warmUpMs / 2));
      const measured = await inTurn(rounds, {
        single: () => measureRows(KINDS.single, measureMs),
        sixteen: () => measureRows(KINDS.sixteen, measureMs),
        loop: async () => ({ ...(await measureLoop(batchRows, measureMs)), batchRows }),
      });
      const rowsOfKind = ([kind, { rows }]) =>
        rowsOf(
          rows,
          measured.map((round) => ({ a: round[kind], b: round.loop })),
        );
      return { rows: Object.entries(KINDS).flatMap(rowsOfKind) };
    } finally {
      load.stop();
      loop.stop();
      await stopAll();
    }
  },
};

/** @param measure - rows a run → what the loop gives. */
async function bestBatch(measure) {
  const speeds = [];
  for (const rows of BATCHES) speeds.push((await measure(rows)).rowsPerSecond);
  return BATCHES[speeds.indexOf(Math.max(...speeds))];
}

function rowsOf(rows, rounds) {
  const what = rows === 1 ? '1 row a request' : `${rows} rows a request`;
  return [
    compare(`${what}: rows per second`, '/s', rounds, 'rowsPerSecond', { atLeast: LEAST, why: whySlower(rounds) }),
    compare(`${what}: CPU per row on the core of the model`, 'µs', rounds, 'cpuUs'),
    compare(`${what}: mean rows of a batch`, 'rows', rounds, 'batchRows'),
  ];
}

function whySlower(rounds) {
  const speed = ratioOf(rounds, 'rowsPerSecond');
  const cpu = ratioOf(rounds, 'cpuUs');
  const otherUs = ratioOf(
    rounds.map(({ a }) => ({ a, b: a })),
    'otherCpuUs',
  ).a;
  const busy = (us) => `${Math.round((us * speed.a) / 10_000)} %`;
  return (
    `A row takes ${threeDigits(cpu.a)} µs of the runner's core, ${threeDigits(cpu.a - cpu.b)} µs more than of the bare loop's, which alone allows ` +
    `${threeDigits(cpu.b / cpu.a)}x; that core was ${busy(cpu.a)} busy. It takes ${threeDigits(otherUs)} µs of the core of API worker, primary and client, ` +
    `which was ${busy(otherUs)} busy and can bring at most ${threeDigits(1e6 / otherUs)} rows/s.`
  );
}
