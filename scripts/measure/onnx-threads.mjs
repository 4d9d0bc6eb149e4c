// What the threads of one onnxruntime session cost between runs: CPU and time per run of the digits model, with 1 thread,
// with 2 that spin for the next run (onnxruntime's default) and with 2 that sleep. Variants take turns, three rounds.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const MODEL = readFileSync(fileURLToPath(new URL('../../examples/digits/digits.onnx', import.meta.url)));
const ROWS = 16;
const RUNS = 300;
/** Pause between runs, as requests leave it. */
const GAP_MS = 2;
const ROUNDS = 3;

const VARIANTS = {
  '1 thread': { intraOpNumThreads: 1 },
  '2 threads, spinning': { intraOpNumThreads: 2 },
  '2 threads, sleeping': { intraOpNumThreads: 2, extra: { session: { intra_op: { allow_spinning: '0' } } } },
};

async function measure(session) {
  const pixels = new Tensor('float32', new Float32Array(ROWS * 64), [ROWS, 64]);
  const before = process.cpuUsage();
  let runMs = 0;
  for (let i = 0; i < RUNS; i += 1) {
    const startedAtMs = performance.now();
    await session.run({ pixels });
    runMs += performance.now() - startedAtMs;
    await delay(GAP_MS);
  }
  const { user, system } = process.cpuUsage(before);
  return { runMs: runMs / RUNS, cpuMs: (user + system) / 1000 / RUNS };
}

const sessions = new Map();
for (const [name, options] of Object.entries(VARIANTS))
  sessions.set(name, await InferenceSession.create(MODEL, options));
for (let round = 1; round <= ROUNDS; round += 1) {
  for (const [name, session] of sessions) {
    const { runMs, cpuMs } = await measure(session);
    process.stdout.write(`${name.padEnd(20)} run ${runMs.toFixed(3)} ms, CPU ${cpuMs.toFixed(3)} ms per run\n`);
  }
}
