// What the runner link costs beside the least that a link could be.
import { join } from 'node:path';
import { compare } from './compare.mjs';
import { twoCores } from './cores.mjs';
import { startLinkSide } from './link-sides.mjs';
import { interleave, ratioOf, threeDigits } from './statistics.mjs';
import { temporaryFolder } from './temporary-folder.mjs';

const IN_FLIGHT = 64;
const SIZES = { '100 B': 100, '4 KB': 4096 };
const MOST_CPU = 1.5;

export const linkCase = {
  name: 'link',
  title: 'The runner link alone',
  about:
    `An echo of a float32 tensor between two processes over a unix socket, ${IN_FLIGHT} calls in flight, caller and answerer on a core each: RunnerLinks against ` +
    'LinkServer, which answers each call with its own body, against length-prefixed frames with ids whose writes are gathered per loop turn, and nothing else. ' +
    'CPU of both processes together.',
  async run({ rounds, warmUpMs, measureMs }) {
    const folder = temporaryFolder();
    const links = [];
    try {
      const jubako = await startLink('jubako', folder, links);
      const bare = await startLink('bare', folder, links);
      const rows = [];
      for (const [size, bytes] of Object.entries(SIZES)) {
        for (const link of [jubako, bare]) await measure(link, bytes, warmUpMs / 2);
        const measured = await interleave(
          rounds,
          () => measure(jubako, bytes, measureMs / 2),
          () => measure(bare, bytes, measureMs / 2),
        );
        const why = whyMore(measured);
        rows.push(compare(`${size}: CPU per call`, 'µs', measured, 'cpuUs', { atMost: MOST_CPU, why }));
        rows.push(compare(`${size}: of that the caller`, 'µs', measured, 'callerUs'));
        rows.push(compare(`${size}: of that the answerer`, 'µs', measured, 'answererUs'));
        rows.push(compare(`${size}: calls per second`, '/s', measured, 'perSecond'));
      }
      return { rows };
    } finally {
      for (const { caller, answerer } of links) {
        caller.stop();
        answerer.stop();
      }
    }
  },
};

async function startLink(kind, folder, links) {
  const [callerCore, answererCore] = twoCores();
  const link = { caller: startLinkSide(callerCore), answerer: startLinkSide(answererCore) };
  links.push(link);
  const path = join(folder, `${kind}.sock`);
  await link.answerer.ask('listen', { kind, path });
  await link.caller.ask('connect', { kind, path });
  return link;
}

async function measure({ caller, answerer }, bytes, measureMs) {
  const before = [await caller.ask('cpuUs'), await answerer.ask('cpuUs')];
  const startedAtMs = performance.now();
  const calls = await caller.ask('run', { bytes, inFlight: IN_FLIGHT, measureMs });
  const elapsedMs = performance.now() - startedAtMs;
  const callerUs = ((await caller.ask('cpuUs')) - before[0]) / calls;
  const answererUs = ((await answerer.ask('cpuUs')) - before[1]) / calls;
  return { cpuUs: callerUs + answererUs, callerUs, answererUs, perSecond: (calls * 1000) / elapsedMs };
}

function whyMore(rounds) {
  const [both, caller, answerer] = ['cpuUs', 'callerUs', 'answererUs'].map((metric) => ratioOf(rounds, metric));
  return (
    `The real link takes ${threeDigits(both.a - both.b)} µs a call more, ${threeDigits(caller.a - caller.b)} µs of them in the caller (choice of the worker, deadline, ` +
    `table of calls, encoding, decoding) and ${threeDigits(answerer.a - answerer.b)} µs in the answerer (checks, timings and load on the reply); ${MOST_CPU}x leaves room ` +
    `for ${threeDigits((MOST_CPU - 1) * both.b)} µs.`
  );
}
