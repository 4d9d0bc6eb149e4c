// The same rows for the same model in each of the forms that a client may send them in.
import { measureGrpc, measureServer } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { moveToCore, twoCores } from './cores.mjs';
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
const LAYOUTS = {
  own: ['--api-workers', '1', '--grpc-workers', '1', '--runner-workers', '1', '--no-access-log'],
  shared: ['--api-workers', '2', '--grpc-workers', '1', '--runner-workers', '1', '--no-access-log'],
};
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
/** Form → what measures it. */
const SIDES = {
  ...Object.fromEntries(Object.entries(FORMS).map(([form, request]) => [form, overHttp(request)])),
  grpc: overGrpc(inferRequest('classifier', [1, COLUMNS], BYTES)),
};

function overHttp({ path, headers, body }) {
  return (load, jubako, measureMs) =>
    measureServer(load, jubako, { path, headers, bodies: [body], connections: CONNECTIONS, measureMs });
}

function overGrpc(message) {
  const plan = { connections: GRPC_CONNECTIONS, lanes: CONNECTIONS / GRPC_CONNECTIONS };
  return (load, jubako, measureMs) =>
    measureGrpc(load, jubako, { ...plan, method: INFERENCE.ModelInfer, message, measureMs });
}

export const oipCase = {
  name: 'oip',
  title: 'The Open Inference Protocol: JSON against binary',
  about:
    `One row of ${COLUMNS} float32 for a model that answers the first ten of them, so that what a form costs shows. Jubako on both sides: each form is compared with POST ` +
    `${PATH} in JSON, its numbers to the last digit, as numpy and with it Triton's client write them (${EXACT.length} B); where it says so, with four decimals ` +
    `(${ROUNDED.length} B). Binary: the binary tensor data extension both ways (${BINARY_HEAD.length} + ${BYTES.length} B). Raw: POST /classify, an API in front of the same model, with the ` +
    `bytes alone. gRPC: ModelInfer with raw contents. ${CONNECTIONS} requests in flight. 1 API worker (of gRPC for gRPC) with a core to itself; the runner worker, the ` +
    'primary and the client have the other one. At the end the same with 2 API workers and everything on both cores.',
  async run(effort) {
    const own = await measureForms(effort, 'own', Object.keys(SIDES));
    const shared = await measureForms(effort, 'shared', ['binary', 'json']);
    return { rows: [...rowsOfForms(own), ...rowsOfShared(shared)] };
  },
};

async function measureForms({ rounds, warmUpMs, measureMs }, layout, forms) {
  const [otherCore, apiCore] = layout === 'own' ? twoCores() : [];
  const load = startLoad(otherCore);
  const grpcLoad = startGrpcLoad(otherCore);
  try {
    const jubako = await startJubakoWithGrpc('scripts/bench/protocols-service.ts', LAYOUTS[layout], {}, otherCore);
    await jubako.untilComplete(PATH, EXACT);
    if (apiCore !== undefined) moveToCore(apiCore, [...jubako.httpPids, ...jubako.grpcPids]);
    const measure = (form, ms) => SIDES[form](form === 'grpc' ? grpcLoad : load, jubako, ms);
    for (const form of forms) await measure(form, warmUpMs / 2);
    const measures = forms.map((form) => [form, () => measure(form, measureMs / 2)]);
    return await inTurn(rounds, Object.fromEntries(measures));
  } finally {
    load.stop();
    grpcLoad.stop();
    await stopAll();
  }
}

function rowsOfForms(measured) {
  const pairs = (a, b) => measured.map((round) => ({ a: round[a], b: round[b] }));
  const binary = pairs('binary', 'json');
  const api = ratioOf(binary, 'apiCpuUs');
  const why = `An API worker takes ${threeDigits(api.a)} µs of CPU for a binary row and ${threeDigits(api.b)} µs for one of JSON.`;
  return [
    compare('Binary: rows per second', '/s', binary, 'perSecond', { atLeast: LEAST_PER_SECOND, why }),
    compare('Binary: API-side CPU per row', 'µs', binary, 'apiCpuUs'),
    compare('Binary: median latency', 'ms', binary, 'p50Ms'),
    compare('Binary, against four decimals: rows per second', '/s', pairs('binary', 'rounded'), 'perSecond'),
    compare('Binary, against four decimals: API-side CPU per row', 'µs', pairs('binary', 'rounded'), 'apiCpuUs'),
    compare('Raw: rows per second', '/s', pairs('raw', 'json'), 'perSecond'),
    compare('Raw: API-side CPU per row', 'µs', pairs('raw', 'json'), 'apiCpuUs'),
    compare('gRPC: rows per second', '/s', pairs('grpc', 'json'), 'perSecond'),
    compare('gRPC: API-side CPU per row', 'µs', pairs('grpc', 'json'), 'apiCpuUs'),
  ];
}

function rowsOfShared(measured) {
  const rounds = measured.map(({ binary, json }) => ({ a: binary, b: json }));
  return [
    compare('Binary, everything on both cores: rows per second', '/s', rounds, 'perSecond', sharedGoal(rounds)),
    compare('Binary, everything on both cores: CPU per row of all processes', 'µs', rounds, 'allCpuUs'),
    compare('Binary, everything on both cores: CPU per row of the load client', 'µs', rounds, 'clientCpuUs'),
  ];
}

function sharedGoal(rounds) {
  const servers = ratioOf(rounds, 'allCpuUs');
  const client = ratioOf(rounds, 'clientCpuUs');
  const [binary, text] = [servers.a + client.a, servers.b + client.b];
  const why =
    `With the client's part a binary row takes ${threeDigits(binary)} µs of CPU and a JSON row ${threeDigits(text)} µs, so full cores ` +
    `cannot give more than ${threeDigits(text / binary)}x.`;
  return { atLeast: LEAST_PER_SECOND, why };
}
