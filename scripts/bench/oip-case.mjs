// The same rows for the same model in each of the forms that a client may send them in.
import { measureGrpc, measureServer } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { startGrpcLoad } from './grpc-load.mjs';
import { INFERENCE, inferRequest } from './grpc-messages.mjs';
import { startLoad } from './load.mjs';
import { startJubakoWithGrpc, stopAll } from './servers.mjs';
import { inTurn, ratioOf, threeDigits } from './statistics.mjs';
import { seededRandom } from '../seeded-random.mjs';

const COLUMNS = 784;
const ROW_SEED = 11;
const CONNECTIONS = 32;
/** Of gRPC: few connections with many calls each, as its clients have them. */
const GRPC_CONNECTIONS = 4;
const FLAGS = ['--api-workers', '2', '--grpc-workers', '2', '--runner-workers', '1', '--no-access-log'];
const LEAST_PER_SECOND = 3;
const PATH = '/v2/models/classifier/infer';

const random = seededRandom(ROW_SEED);
const ROW = Float32Array.from({ length: COLUMNS }, () => 2 * random() - 1);
const BYTES = Buffer.from(ROW.buffer);

const INPUT = { name: 'input', datatype: 'FP32', shape: [1, COLUMNS] };
/** As `tolist()` of numpy gives a float32, which is what Triton's client sends: each number to its last digit. */
const EXACT = JSON.stringify({ inputs: [{ ...INPUT, data: Array.from(ROW) }] });
const ROUNDED = JSON.stringify({ inputs: [{ ...INPUT, data: Array.from(ROW, (value) => Number(value.toFixed(4))) }] });
const BINARY_HEAD = JSON.stringify({
  inputs: [{ ...INPUT, parameters: { binary_data_size: BYTES.length } }],
  parameters: { binary_data_output: true },
});

const FORMS = {
  binary: {
    path: PATH,
    headers: {
      'Content-Type': 'application/octet-stream',
      'Inference-Header-Content-Length': `${BINARY_HEAD.length}`,
    },
    body: Buffer.concat([Buffer.from(BINARY_HEAD), BYTES]),
  },
  json: { path: PATH, headers: {}, body: EXACT },
  rounded: { path: PATH, headers: {}, body: ROUNDED },
  raw: {
    path: '/classify',
    headers: { 'Content-Type': 'application/octet-stream', Accept: 'application/octet-stream' },
    body: BYTES,
  },
};
const GRPC_REQUEST = inferRequest('classifier', [1, COLUMNS], BYTES);

export const oipCase = {
  name: 'oip',
  title: 'The Open Inference Protocol: JSON against binary',
  about:
    `One row of ${COLUMNS} float32 for a model that answers the first ten of them, so that what a form costs shows. Jubako on both sides, 2 API workers and 1 ` +
    `runner worker, ${CONNECTIONS} connections. Compared with POST ${PATH} in JSON, its numbers to the last digit, as numpy and with it Triton's client write ` +
    `them (${EXACT.length} B); where it says so, with four decimals each (${ROUNDED.length} B). Binary: the binary tensor data extension both ways ` +
    `(${BINARY_HEAD.length} + ${BYTES.length} B). Raw: POST /classify, an API with the same model behind it, with the bytes alone. gRPC: ModelInfer with raw contents by ` +
    `grpc-js, whose client takes far more of the two cores than that of HTTP: its rows per second are the client's.`,
  async run({ rounds, warmUpMs, measureMs }) {
    const load = startLoad();
    const grpcLoad = startGrpcLoad();
    try {
      const jubako = await startJubakoWithGrpc('scripts/bench/protocols-service.ts', FLAGS);
      await jubako.untilComplete(PATH, FORMS.json.body);
      const overHttp = ({ path, headers, body }, ms) =>
        measureServer(load, jubako, { path, headers, bodies: [body], connections: CONNECTIONS, measureMs: ms });
      const sides = {
        ...Object.fromEntries(Object.entries(FORMS).map(([name, form]) => [name, (ms) => overHttp(form, ms)])),
        grpc: (ms) =>
          measureGrpc(grpcLoad, jubako, {
            method: INFERENCE.ModelInfer,
            message: GRPC_REQUEST,
            connections: GRPC_CONNECTIONS,
            lanes: CONNECTIONS / GRPC_CONNECTIONS,
            measureMs: ms,
          }),
      };
      for (const measure of Object.values(sides)) await measure(warmUpMs / 2);
      const measures = Object.entries(sides).map(([name, measure]) => [name, () => measure(measureMs / 2)]);
      return { rows: rowsOf(await inTurn(rounds, Object.fromEntries(measures))) };
    } finally {
      load.stop();
      grpcLoad.stop();
      await stopAll();
    }
  },
};

function rowsOf(measured) {
  const pairs = (a, b) => measured.map((round) => ({ a: round[a], b: round[b] }));
  const exact = pairs('binary', 'json');
  const rounded = pairs('binary', 'rounded');
  const goal = (rounds) => ({ atLeast: LEAST_PER_SECOND, why: whySlower(rounds) });
  return [
    compare('Binary: rows per second', '/s', exact, 'perSecond', goal(exact)),
    compare('Binary: API-side CPU per row', 'µs', exact, 'apiCpuUs'),
    compare('Binary: CPU per row of all processes', 'µs', exact, 'allCpuUs'),
    compare('Binary: CPU per row of the load client', 'µs', exact, 'clientCpuUs'),
    compare('Binary: median latency', 'ms', exact, 'p50Ms'),
    compare('Binary: rows per second, against four decimals', '/s', rounded, 'perSecond'),
    compare('Binary: API-side CPU per row, against four decimals', 'µs', rounded, 'apiCpuUs'),
    compare('Raw: rows per second', '/s', pairs('raw', 'json'), 'perSecond'),
    compare('Raw: API-side CPU per row', 'µs', pairs('raw', 'json'), 'apiCpuUs'),
    compare('gRPC: rows per second', '/s', pairs('grpc', 'json'), 'perSecond'),
    compare('gRPC: API-side CPU per row', 'µs', pairs('grpc', 'json'), 'apiCpuUs'),
  ];
}

function whySlower(rounds) {
  const servers = ratioOf(rounds, 'allCpuUs');
  const client = ratioOf(rounds, 'clientCpuUs');
  const [binary, text] = [servers.a + client.a, servers.b + client.b];
  return (
    `With the client's part a binary row takes ${threeDigits(binary)} µs of CPU and a JSON row ${threeDigits(text)} µs, so full cores ` +
    `cannot give more than ${threeDigits(text / binary)}x.`
  );
}
