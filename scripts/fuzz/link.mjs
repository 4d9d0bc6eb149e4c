// Fuzzes the runner link: mutated frames against its codec and both ends of a connection, without sockets.
//   node scripts/fuzz/link.mjs [--frames N] [--seed S]          default: 1000000 frames, a new seed
//   node scripts/fuzz/link.mjs --again <session>:<seed>         one session that failed, alone
// Needs a build. What a session does and must hold stands in test/unit/link/fuzz.ts.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const FUZZ = new URL('../../dist-test/unit/link/fuzz.js', import.meta.url);
/** Memory may grow by this much between a tenth of the frames and all of them. */
const MAX_GROWTH_BYTES = 64 * 1024 * 1024;
/** Of each shard; between them, memory is looked at. */
const PARTS = 10;

if (isMainThread) await main();
else await runShard();

async function main() {
  const { values } = parseArgs({
    options: { frames: { type: 'string', default: '1000000' }, seed: { type: 'string' }, again: { type: 'string' } },
  });
  if (values.again !== undefined) {
    const [session, seed] = values.again.split(':');
    const { fuzzAgain } = await import(FUZZ);
    process.stdout.write(`${JSON.stringify(await fuzzAgain(session, Number(seed)))}\n`);
    return;
  }
  const frames = Number(values.frames);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!(frames > 0) || !Number.isInteger(seed)) throw new TypeError('Wanted numbers for --frames and --seed');
  const shards = Math.min(4, availableParallelism());
  process.stdout.write(`seed ${seed}, ${frames} frames, ${shards} shards\n`);
  const startMs = performance.now();
  let early = 0;
  const reports = await Promise.all(
    Array.from(
      { length: shards },
      (_, shard) =>
        new Promise((resolve, reject) => {
          const data = { frames: frames / shards, seed: seed + shard };
          const worker = new Worker(new URL(import.meta.url), { workerData: data });
          worker.on('message', (message) => {
            if (message.isFirst) early = Math.max(early, process.memoryUsage.rss());
            else resolve(message.report);
          });
          worker.on('error', reject);
        }),
    ),
  ).catch((thrown) => {
    process.stderr.write(`seed ${seed}: ${thrown.message}\nagain: --again <session>:<seed>, as named above\n`);
    process.exit(1);
  });
  const total = { frames: 0, sessions: 0, closed: 0, calls: 0 };
  for (const report of reports) for (const key of Object.keys(total)) total[key] += report[key];
  const grownBytes = process.memoryUsage.rss() - early;
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  process.stdout.write(`${JSON.stringify(total)}, ${seconds} s, memory grew by ${Math.round(grownBytes / 1024)} KiB\n`);
  if (grownBytes > MAX_GROWTH_BYTES) {
    process.stderr.write(`seed ${seed}: memory grew by more than ${MAX_GROWTH_BYTES / 1024} KiB\n`);
    process.exit(1);
  }
}

async function runShard() {
  Error.stackTraceLimit = 3; // an error per session is most of the time otherwise
  const { fuzz } = await import(FUZZ);
  const report = { frames: 0, sessions: 0, closed: 0, calls: 0 };
  for (let part = 0; part < PARTS; part += 1) {
    const done = await fuzz(workerData.frames / PARTS, workerData.seed + part * 1000);
    for (const key of Object.keys(report)) report[key] += done[key];
    if (part === 0) parentPort.postMessage({ isFirst: true });
  }
  parentPort.postMessage({ report });
}
