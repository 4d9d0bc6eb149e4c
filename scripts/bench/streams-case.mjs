// What a value of a stream costs in each of the forms that an API streams in.
import { measureGrpc, measureServer } from './closed-loop.mjs';
import { compare } from './compare.mjs';
import { startGrpcLoad } from './grpc-load.mjs';
import { STREAMS } from './grpc-messages.mjs';
import { startLoad } from './load.mjs';
import { startJubakoWithGrpc, startPlain, stopAll } from './servers.mjs';
import { inTurn } from './statistics.mjs';

const VALUES = 500;
const CONNECTIONS = 8;
const FLAGS = ['--api-workers', '1', '--grpc-workers', '1', '--runner-workers', '1', '--no-access-log'];
const PATH = '/tokens';
const BODY = `${VALUES}`;

/** What a client accepts, and what an answer of all values then holds. */
const FORMS = {
  NDJSON: { accept: 'application/x-ndjson', isComplete: (text) => text.split('\n').length === VALUES + 1 },
  'Server-sent events': {
    accept: 'text/event-stream',
    isComplete: (text) => text.includes(`id: ${VALUES}\n`) && text.includes('event: end'),
  },
  'vnd.jubako.values': {
    accept: 'application/vnd.jubako.values',
    isComplete: (text) => text.includes(`token ${VALUES - 1}`) && text.endsWith('\u0001\0\0\0\u0001'),
  },
};

export const streamsCase = {
  name: 'streams',
  title: 'Streams of values',
  about:
    `POST ${PATH} to an API that is an async generator of ${VALUES} small objects ({"index":7,"text":"token 7"}), ${CONNECTIONS} streams at a time, 1 API worker, no runner; in each form ` +
    'that a client may ask for, and by gRPC (CallStream). Plain: Fastify in one process, which sends the lines that an async generator gives; in the last rows a server of ' +
    'grpc-js and nothing else, which sends the same messages.',
  async run({ rounds, warmUpMs, measureMs }) {
    const load = startLoad();
    const grpcLoad = startGrpcLoad();
    try {
      const [jubako, plain, plainGrpc] = [
        await startJubakoWithGrpc('scripts/bench/protocols-service.ts', FLAGS),
        await startPlain('plain-stream.mjs', []),
        await startPlain('plain-grpc.mjs', []),
      ];
      for (const server of [jubako, plain]) await server.untilComplete(PATH, BODY);
      for (const form of Object.values(FORMS)) await checkAnswer(jubako.port, form);
      const overHttp = (server, accept, ms) => {
        const plan = {
          path: PATH,
          headers: { Accept: accept },
          bodies: [BODY],
          connections: CONNECTIONS,
          measureMs: ms,
        };
        return measureServer(load, server, plan);
      };
      const overGrpc = (server, ms) =>
        measureGrpc(grpcLoad, server, {
          method: STREAMS.CallStream,
          message: { api_name: 'tokens', json: { numberValue: VALUES } },
          values: VALUES,
          connections: CONNECTIONS,
          lanes: 1,
          measureMs: ms,
        });
      const forms = Object.entries(FORMS).map(([name, { accept }]) => [name, (ms) => overHttp(jubako, accept, ms)]);
      const sides = {
        plain: (ms) => overHttp(plain, FORMS.NDJSON.accept, ms),
        ...Object.fromEntries(forms),
        gRPC: (ms) => overGrpc(jubako, ms),
        plainGrpc: (ms) => overGrpc(plainGrpc, ms),
      };
      for (const measure of Object.values(sides)) await measure(warmUpMs / 2);
      const measures = Object.entries(sides).map(([name, measure]) => [
        name,
        async () => perValue(await measure(measureMs / 2)),
      ]);
      const measured = await inTurn(rounds, Object.fromEntries(measures));
      const overFastify = [...Object.keys(FORMS), 'gRPC'].flatMap((form) => rowsOf(form, measured, form, 'plain'));
      return { rows: [...overFastify, ...rowsOf('gRPC against grpc-js', measured, 'gRPC', 'plainGrpc')] };
    } finally {
      load.stop();
      grpcLoad.stop();
      await stopAll();
    }
  },
};

/** @throws where the first answer is not what is to be measured. */
async function checkAnswer(port, { accept, isComplete }) {
  const response = await fetch(`http://127.0.0.1:${port}${PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: BODY,
  });
  const text = Buffer.from(await response.arrayBuffer()).toString('latin1');
  if (response.status !== 200 || response.headers.get('content-type')?.startsWith(accept) !== true || !isComplete(text))
    throw new Error(`Wanted ${VALUES} values as ${accept}, got ${response.status}: ${text.slice(-200)}`);
}

function perValue({ perSecond, apiCpuUs }) {
  return { perSecond: perSecond * VALUES, apiCpuUs: apiCpuUs / VALUES };
}

function rowsOf(what, measured, form, plain) {
  const rounds = measured.map((round) => ({ a: round[form], b: round[plain] }));
  return [
    compare(`${what}: API-side CPU per value`, 'µs', rounds, 'apiCpuUs'),
    compare(`${what}: values per second`, '/s', rounds, 'perSecond'),
  ];
}
