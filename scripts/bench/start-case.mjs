// How long until a server that was just started gives its first answer.
import { compare } from './compare.mjs';
import { startJubako, startPlain, stopAll } from './servers.mjs';
import { interleave, ratioOf, threeDigits } from './statistics.mjs';

const WORKERS = '2';
const JUBAKO_FLAGS = ['--api-workers', WORKERS, '--runner-workers', '1', '--no-grpc'];
const PIXELS = JSON.stringify({ pixels: Array.from({ length: 64 }, () => 0) });

export const startCase = {
  name: 'start',
  title: 'Start to the first answer',
  about:
    'From the spawn of the process to the end of the first answer 200, asked for every 5 ms. 2 API workers and 1 runner worker against Fastify under ' +
    'node:cluster with 2 workers, of which the digits one opens the same model.',
  async run({ starts }) {
    try {
      const echo = await interleave(
        starts,
        () => timeStart(() => startJubako('examples/echo', JUBAKO_FLAGS), '/echo', '{}'),
        () => timeStart(() => startPlain('plain-fastify.mjs', ['--workers', WORKERS]), '/echo', '{}'),
      );
      const digits = await interleave(
        starts,
        () => timeStart(() => startJubako('examples/digits', JUBAKO_FLAGS), '/classify', PIXELS),
        () => timeStart(() => startPlain('plain-digits.mjs', ['--workers', WORKERS]), '/classify', PIXELS),
      );
      return {
        rows: [
          compare('Echo', 'ms', echo, 'firstAnswerMs', { jubakoAtMost: 1000, why: whyStart(echo) }),
          compare('Digits', 'ms', digits, 'firstAnswerMs'),
        ],
      };
    } finally {
      await stopAll();
    }
  },
};

function whyStart(rounds) {
  const { b, ratio } = ratioOf(rounds, 'firstAnswerMs');
  return (
    'Three generations of Node processes start one after the other (primary, describer, workers), two in the plain cluster, which ' +
    `took ${threeDigits(b)} ms in the same rounds: ${threeDigits(ratio)}x of that.`
  );
}

async function timeStart(startServer, path, body) {
  const server = await startServer();
  const firstAnswerMs = await server.untilAnswer(path, body);
  await server.stop();
  return { firstAnswerMs };
}
