// Measures Jubako against plain Fastify and others and writes BENCHMARKS.md. Linux only; needs a build.
// Usage: node scripts/bench/run.mjs [--short] [--only NAME,…] [--peers] [--strict]
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { acceleratorCase } from './accelerator-case.mjs';
import { digitsCase } from './digits-case.mjs';
import { echoCase } from './echo-case.mjs';
import { grpcCase } from './grpc-case.mjs';
import { heavyCase } from './heavy-case.mjs';
import { linkCase } from './link-case.mjs';
import { memoryCase } from './memory-case.mjs';
import { mlpBinaryCase } from './mlp-binary-case.mjs';
import { mlpCase } from './mlp-case.mjs';
import { oipCase } from './oip-case.mjs';
import { overloadCase } from './overload-case.mjs';
import { peersCase } from './peers-case.mjs';
import { renderPage, renderTable } from './report.mjs';
import { stopAll } from './servers.mjs';
import { startCase } from './start-case.mjs';
import { streamsCase } from './streams-case.mjs';
import { tensor600kCase } from './tensor600k-case.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CASES = [
  ...[echoCase, digitsCase, heavyCase, mlpCase, mlpBinaryCase, acceleratorCase, overloadCase, tensor600kCase, linkCase],
  ...[oipCase, grpcCase, streamsCase, startCase, memoryCase, peersCase],
];

/** Rounds are per side; 3 are the fewest whose median survives one disturbed round. */
const FULL = {
  ...{ rounds: 5, warmUpMs: 3000, measureMs: 2000 },
  ...{ longRounds: 3, longMs: 4000, starts: 5, memoryRounds: 3, peerRounds: 3, withLogs: true },
};
const SHORT = {
  ...{ rounds: 3, warmUpMs: 200, measureMs: 150 },
  ...{ longRounds: 1, longMs: 800, starts: 1, memoryRounds: 1, peerRounds: 1, withLogs: false },
};

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
  },
});
const names = values.only?.split(',');
const unknown = (names ?? []).filter((name) => CASES.every((one) => one.name !== name));
if (unknown.length > 0 || process.platform !== 'linux') {
  const why =
    unknown.length > 0
      ? `Cannot run the case "${unknown[0]}": the cases are ${CASES.map(({ name }) => name).join(', ')}`
      : `Cannot measure on ${process.platform}: CPU and memory are read from Linux's /proc`;
  process.stderr.write(`${why}\n`);
  process.exit(64);
}
const chosen = CASES.filter(({ name, isOnDemand }) => names?.includes(name) ?? (isOnDemand !== true || values.peers));

/** One case that breaks leaves the others their time. */
function failure(thrown) {
  hasFailed = true;
  return { rows: [], remark: `**This could not be measured: ${thrown.message.trim()}**` };
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stopAll().finally(() => process.exit(130)));

const startedAt = new Date();
const measured = [];
let hasFailed = false;
for (const { title, about, run } of chosen) {
  const startedAtMs = performance.now();
  const { rows, remark } = await run(values.short ? SHORT : FULL).catch(failure);
  const seconds = Math.round((performance.now() - startedAtMs) / 1000);
  measured.push({ title, about, rows, remark });
  process.stdout.write(`\n${title} (${seconds} s)\n${renderTable({ rows, remark })}\n`);
}

const missed = measured.flatMap(({ title, rows }) =>
  rows.filter(({ targets }) => targets.some(({ isMet }) => !isMet)).map(({ what }) => `${title}: ${what}`),
);
process.stdout.write(missed.length === 0 ? '\nEvery target is met\n' : `\nMissed:\n${missed.join('\n')}\n`);
if (!values.short && names === undefined) {
  const file = resolve(ROOT, 'BENCHMARKS.md');
  const page = renderPage(measured, CASES, startedAt);
  writeFileSync(file, await format(page, { ...(await resolveConfig(file)), filepath: file }));
}
// A machine that others use is no judge: a miss fails only who asks for it.
process.exitCode = hasFailed || (values.strict && missed.length > 0) ? 1 : 0;
