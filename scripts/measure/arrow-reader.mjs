// What a reader of Arrow does with streams of which a few bytes were changed: how many it reads, refuses, and dies of (out of a
// heap of 256 MB, or of 2 s), and its slowest; then its time for a sound stream of 1,000,000 rows.
// Usage: node scripts/measure/arrow-reader.mjs [STREAMS]
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import * as arrow from 'apache-arrow';
import { table } from '../../dist/service/index.js';
import { seededRandom } from '../seeded-random.mjs';

const STREAMS = Number(process.argv[2] ?? 2000);
const HEAP_MB = 256;
const LIMIT_MS = 2000;

const { media } = table();
const READERS = {
  'apache-arrow': async (bytes) => {
    const read = arrow.tableFromIPC(bytes);
    return read.schema.fields.map((_, at) => [...(read.getChildAt(at) ?? [])]);
  },
  jubako: async (bytes) => media.read({ mediaType: 'application/vnd.apache.arrow.stream', bytes }),
};

const sound = arrow.tableToIPC(
  new arrow.Table({
    s: arrow.vectorFromArray(['a', 'bc', 'def'], new arrow.Utf8()),
    w: arrow.vectorFromArray(['x', 'y', 'x']),
    b: arrow.vectorFromArray([true, false, true], new arrow.Bool()),
    d: arrow.vectorFromArray([1, null, 3], new arrow.Float64()),
    l: arrow.vectorFromArray([1n, 2n, 3n], new arrow.Int64()),
  }),
  'stream',
);

/** The same for the same number: one to four bytes are others. */
function damaged(seed) {
  const random = seededRandom(seed + 1);
  const below = (limit) => Math.floor(random() * limit);
  const bytes = sound.slice();
  for (let left = 1 + below(4); left > 0; left -= 1) bytes[below(bytes.length)] = below(256);
  return bytes;
}

if (isMainThread) {
  for (const name of Object.keys(READERS)) {
    const counts = { read: 0, refused: 0, died: 0, slowestMs: 0 };
    for (let from = 0; from < STREAMS;) from = await readUntilDeath(name, from, counts);
    const rows = await timeSound(name);
    console.log(`${name}: ${JSON.stringify(counts)}; 1,000,000 rows of two columns: ${rows.toFixed(0)} ms`);
  }
} else {
  const { name, from } = workerData;
  for (let at = from; at < STREAMS; at += 1) {
    parentPort.postMessage({ at });
    const startedAtMs = performance.now();
    const outcome = await READERS[name](damaged(at)).then(
      () => 'read',
      () => 'refused',
    );
    parentPort.postMessage({ outcome, ms: performance.now() - startedAtMs });
  }
}

/** Resolves with the stream to go on with. */
function readUntilDeath(name, from, counts) {
  const options = {
    workerData: { name, from },
    argv: [String(STREAMS)],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  };
  const worker = new Worker(new URL(import.meta.url), options);
  return new Promise((resolve) => {
    let current = from;
    let timer = setTimeout(() => void worker.terminate(), LIMIT_MS * 2);
    worker.on('error', () => undefined); // its exit tells as well
    worker.on('message', ({ at, outcome, ms }) => {
      if (at !== undefined) {
        current = at;
        clearTimeout(timer);
        timer = setTimeout(() => void worker.terminate(), LIMIT_MS);
        return;
      }
      counts[outcome] += 1;
      counts.slowestMs = Math.max(counts.slowestMs, Math.round(ms));
    });
    worker.on('exit', (code) => {
      clearTimeout(timer);
      if (code !== 0) counts.died += 1;
      resolve(code === 0 ? STREAMS : current + 1);
    });
  });
}

async function timeSound(name) {
  const count = 1_000_000;
  const columns = { x: arrow.makeVector(new Float64Array(count)), l: arrow.makeVector(new BigInt64Array(count)) };
  const bytes = arrow.tableToIPC(new arrow.Table(columns), 'stream');
  const startedAtMs = performance.now();
  await READERS[name](bytes);
  return performance.now() - startedAtMs;
}
