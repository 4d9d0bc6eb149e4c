// What a batch costs on its way to the compute thread and back: CPU of both threads together and time, one batch after another,
// joined from its calls and split again as the scheduler does it; with the buffers of earlier batches, and with fresh ones.
// `echo` gives its input back, `sum` gives ten numbers for each row. Usage: node scripts/measure/thread-hop.mjs [SECONDS]
import pino from 'pino';
import { joinBatch, sliceResult } from '../../dist/runner/assemble-batch.js';
import { batchBuffers } from '../../dist/compute/batch-buffers.js';
import { ComputeLane } from '../../dist/compute/compute-lane.js';
import { Tensor } from '../../dist/tensor/index.js';

const SECONDS = Number(process.argv[2] ?? 1);
const ROUNDS = 5;
/** Calls in a batch, and the floats that each brings. */
const CASES = [
  { calls: 1, floats: 8 },
  { calls: 8, floats: 8 },
  { calls: 32, floats: 64 },
  { calls: 8, floats: 1024 },
  { calls: 64, floats: 784 },
  { calls: 1, floats: 150_528 },
  { calls: 8, floats: 150_528 },
];

const entry = { url: new URL('./hop-service.mjs', import.meta.url).href, exportName: '', sources: [] };
const place = { worker: 0, thread: 0, cpus: 1, device: undefined };
const lane = new ComputeLane({ entry, runner: 'hop', place, calls: null }, pino({ level: 'silent' }));
await lane.ready;
console.log('us of CPU per batch (and of time), medians          reused buffers         fresh buffers');
for (const method of ['echo', 'sum']) {
  for (const { calls, floats } of CASES) {
    const slices = Array.from({ length: calls }, () => toSlice(floats));
    const rounds = { reused: [], fresh: [] };
    await measure(method, slices, true, SECONDS / 2);
    for (let i = 0; i < ROUNDS; i += 1) {
      rounds.reused.push(await measure(method, slices, false, SECONDS / ROUNDS));
      rounds.fresh.push(await measure(method, slices, true, SECONDS / ROUNDS));
    }
    const label = `${method}, ${calls} calls of ${floats * 4} bytes`;
    console.log(label.padEnd(42), median(rounds.reused), median(rounds.fresh));
  }
}
await lane.close();

function toSlice(floats) {
  const tensor = new Tensor('float32', [1, floats], new Float32Array(floats).fill(1));
  return { input: { kind: 'tensors', rows: 1, batchKey: '', tensors: [{ name: '', tensor }] }, from: 0, rows: 1 };
}

async function measure(method, slices, isFresh, seconds) {
  const requestIds = slices.map((_, i) => `0a1b2c3d4e5f6071829${i}`);
  const rows = slices.length;
  const byteLength = rows * slices[0].input.tensors[0].tensor.data.byteLength;
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  let batches = 0;
  do {
    for (let i = 0; i < 10; i += 1) {
      const payload = joinBatch(slices, true);
      const { result } = await lane.run({ method, rows, payload, requestIds, deadlineAtMs: undefined }).done;
      for (let row = 0; row < rows; row += 1) sliceResult(result, row, 1, true);
      if (isFresh && batchBuffers.bytes > 0) batchBuffers.take(byteLength); // and drop it
    }
    batches += 10;
  } while (performance.now() - startMs < seconds * 1000);
  const { user, system } = process.cpuUsage(startCpu);
  return { cpuUs: (user + system) / batches, wallUs: ((performance.now() - startMs) * 1000) / batches };
}

function median(rounds) {
  const { cpuUs, wallUs } = rounds.sort((a, b) => a.cpuUs - b.cpuUs)[ROUNDS >> 1];
  return `${cpuUs.toFixed(1).padStart(10)} ${`(${wallUs.toFixed(1)})`.padEnd(10)}`;
}
