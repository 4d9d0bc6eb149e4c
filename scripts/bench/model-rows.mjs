// Rows per second of the digits model without HTTP around it: through a runner, which makes batches of single rows, and by
// `session.run` in this process, as many rows at a time as asked for. A process of its own, as load.mjs is.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cpuMsOf } from './proc.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';

const DIGITS = new URL('../../examples/digits/', import.meta.url);

/** @typedef {{ kind: 'runner', port: number, inFlight: number, pids: readonly number[] }
 *   | { kind: 'session', batchRows: number }} RowsPlan - `pids`: the processes of the runner. */

/** `measure(plan, measureMs)` → rows per second, CPU per row of everything that takes part; `stop()`. */
export function startModelRows() {
  const { ask, stop } = startSideProcess(import.meta.url);
  return { measure: (plan, measureMs) => ask({ plan, measureMs }), stop };
}

if (isSideProcess(import.meta.url)) {
  const images = JSON.parse(readFileSync(new URL('images.json', DIGITS), 'utf8')).map(({ pixels }) => pixels);
  const sides = { runner: await throughRunner(images), session: await bySession(images) };
  answerQuestions(({ plan, measureMs }) => sides[plan.kind](plan, measureMs));
}

async function throughRunner(images) {
  const { connectLinks, requestOf } = await import('./jubako-link.mjs');
  const { tensorOf } = await import('../../dist/index.js');
  const inputs = images.map((pixels) => tensorOf('float32', [1, 64], pixels));
  let links;
  return async ({ port, inFlight, pids }, measureMs) => {
    links ??= await connectLinks({ digits: [`tcp://127.0.0.1:${port}`] });
    return timed(pids, measureMs, async (isOver) => {
      let rows = 0;
      let batchRows = 0;
      const callOnAndOn = async (_, first) => {
        for (let i = first; !isOver(); i += 1) {
          const request = requestOf('digits', 'predict', inputs[i % inputs.length]);
          await links.call(request);
          rows += 1;
          batchRows += request.timing.batchRows;
        }
      };
      await Promise.all(Array.from({ length: inFlight }, callOnAndOn));
      return { rows, batchRows: batchRows / rows };
    });
  };
}

async function bySession(images) {
  const ort = await import('onnxruntime-node');
  const file = fileURLToPath(new URL('digits.onnx', DIGITS));
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1 });
  const inputOf = (rows, from) => {
    const pixels = Array.from({ length: rows }, (_, i) => images[(from + i) % images.length]).flat();
    return new ort.Tensor('float32', Float32Array.from(pixels), [rows, 64]);
  };
  return ({ batchRows }, measureMs) => {
    const inputs = images.map((_, i) => inputOf(batchRows, i));
    return timed([], measureMs, async (isOver) => {
      let rows = 0;
      for (let i = 0; !isOver(); i += 1) {
        await session.run({ pixels: inputs[i % inputs.length] });
        rows += batchRows;
      }
      return { rows, batchRows };
    });
  };
}

/** @param pids - processes whose CPU counts, beside this one. */
async function timed(pids, measureMs, run) {
  const endAtMs = performance.now() + measureMs;
  const startedAtMs = performance.now();
  const otherBefore = cpuMsOf(pids);
  const ownBefore = process.cpuUsage();
  const { rows, batchRows } = await run(() => performance.now() >= endAtMs);
  const own = process.cpuUsage(ownBefore);
  const otherUs = (cpuMsOf(pids) - otherBefore) * 1000;
  return {
    rowsPerSecond: (rows * 1000) / (performance.now() - startedAtMs),
    cpuUs: (own.user + own.system + otherUs) / rows,
    batchRows,
  };
}
