// What Jubako adds to grpc-js: the gRPC worker against a server of grpc-js and nothing else.
import { measureGrpc } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { moveToCore, twoCores } from './cores.mjs';
import { askOnce, startGrpcLoad } from './grpc-load.mjs';
import { BENTO, INFERENCE, inferRequest, toValue } from './grpc-messages.mjs';
import { startJubakoWithGrpc, startPlain, stopAll } from './servers.mjs';
import { interleave, ratioOf, threeDigits } from './statistics.mjs';

const COLUMNS = 784;
const CONNECTIONS = 4;
const LANES = 8;
const FLAGS = ['--api-workers', '1', '--grpc-workers', '1', '--runner-workers', '1', '--no-access-log'];
const MOST_CPU = 1.3;

const DOCUMENT = {
  id: 4711,
  name: 'a JSON body of about a hundred bytes',
  tags: ['one', 'two', 'three'],
  ok: true,
};
const TENSOR = Buffer.from(Float32Array.from({ length: COLUMNS }, (_, i) => i / COLUMNS).buffer);

const KINDS = [
  {
    what: 'Call, answered by the API',
    method: BENTO.Call,
    message: { api_name: 'echo', json: toValue(DOCUMENT) },
    hasGoal: true,
    isEcho: ({ json }) => json?.structValue?.fields?.id?.numberValue === DOCUMENT.id,
  },
  inferKind('ModelInfer, runner in a process of its own', 'far', true),
  inferKind('ModelInfer, embedded runner', 'near', false),
];

function inferKind(what, model, hasGoal) {
  return {
    what,
    method: INFERENCE.ModelInfer,
    message: inferRequest(model, [1, COLUMNS], TENSOR),
    hasGoal,
    isEcho: ({ raw_output_contents: [bytes] }) => TENSOR.equals(bytes),
  };
}

export const grpcCase = {
  name: 'grpc',
  title: 'gRPC: unary calls against bare grpc-js',
  about:
    `CPU per call of the one process that speaks gRPC, user and system time of all its threads, with a core to itself; client, primary and runner have the other one. ` +
    `${CONNECTIONS} connections with ${LANES} calls in flight each. Plain: a server of grpc-js whose handler answers at once with what it was sent, with the same messages from the same ` +
    `.proto files. Call: BentoService/Call with ${JSON.stringify(DOCUMENT).length} B of JSON as google.protobuf.Value for an API that gives it back, so that the difference is what Jubako ` +
    `does between grpc-js and a handler. ModelInfer: a row of ${COLUMNS} float32 as raw contents, echoed by a runner, to which the gRPC worker sends it over the link, or in a ` +
    'thread of its own (embedded), while the plain server goes nowhere.',
  async run({ rounds, warmUpMs, measureMs }) {
    const [otherCore, apiCore] = twoCores();
    const load = startGrpcLoad(otherCore);
    try {
      const [jubako, plain] = [
        await startJubakoWithGrpc('scripts/bench/protocols-service.ts', FLAGS, {}, otherCore),
        await startPlain('plain-grpc.mjs', []),
      ];
      await jubako.untilComplete('/echo', '{}');
      for (const server of [jubako, plain]) await checkAnswer(server, KINDS[0]);
      moveToCore(apiCore, [...jubako.grpcPids, ...plain.pids]);
      const rows = [];
      for (const kind of KINDS) {
        for (const server of [jubako, plain]) await checkAnswer(server, kind);
        const { method, message } = kind;
        const measure = (server, ms) =>
          measureGrpc(load, server, { method, message, connections: CONNECTIONS, lanes: LANES, measureMs: ms });
        await measure(jubako, warmUpMs);
        await measure(plain, warmUpMs);
        // the difference is small: more and shorter rounds than elsewhere
        const measured = await interleave(
          2 * rounds,
          () => measure(jubako, measureMs / 2),
          () => measure(plain, measureMs / 2),
        );
        rows.push(...rowsOf(kind, measured));
      }
      return { rows };
    } finally {
      load.stop();
      await stopAll();
    }
  },
};

/** @throws where the answer is not what is to be measured. */
async function checkAnswer({ grpcPort, port }, { method, message, isEcho }) {
  const answer = await askOnce(grpcPort ?? port, method, message);
  if (!isEcho(answer)) throw new Error(`Wanted what was sent, got ${JSON.stringify(answer).slice(0, 200)}`);
}

function rowsOf({ what, hasGoal }, measured) {
  const goals = hasGoal ? [{ atMost: MOST_CPU, why: whyMore(measured) }] : [];
  return [
    compare(`${what}: CPU per call`, 'µs', measured, 'apiCpuUs', ...goals),
    compare(`${what}: CPU per call of all processes`, 'µs', measured, 'allCpuUs'),
    compare(`${what}: calls per second`, '/s', measured, 'perSecond'),
    compare(`${what}: median latency`, 'ms', measured, 'p50Ms'),
  ];
}

function whyMore(rounds) {
  const { a, b } = ratioOf(rounds, 'apiCpuUs');
  return `It takes ${threeDigits(a - b)} µs a call more than bare grpc-js; ${MOST_CPU}x leaves room for ${threeDigits((MOST_CPU - 1) * b)} µs.`;
}
