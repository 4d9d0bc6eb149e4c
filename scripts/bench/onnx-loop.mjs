// The most that the network of the mlp cases can give: `session.run` on and on, with nothing around it. A process of its own.
import { mlpRows } from './mlp-model.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';

const KINDS_OF_INPUT = 4;

/** `measure({ file, batchRows, measureMs })` → rows per second, CPU per row; `stop()`. @param core - to run on. */
export function startOnnxLoop(core) {
  const { ask, stop } = startSideProcess(import.meta.url, core);
  return { measure: ask, stop };
}

if (isSideProcess(import.meta.url)) {
  const ort = await import('onnxruntime-node');
  let session;
  answerQuestions(async ({ file, batchRows, measureMs }) => {
    session ??= await ort.InferenceSession.create(file, { intraOpNumThreads: 1 });
    const rows = mlpRows(batchRows);
    const inputs = Array.from({ length: KINDS_OF_INPUT }, (_, i) => {
      const values = Float32Array.from([...rows.slice(i), ...rows.slice(0, i)].flat());
      return new ort.Tensor('float32', values, [batchRows, rows[0].length]);
    });
    const cpuBefore = process.cpuUsage();
    const startedAtMs = performance.now();
    let runs = 0;
    for (; performance.now() - startedAtMs < measureMs; runs += 1)
      await session.run({ input: inputs[runs % inputs.length] });
    const { user, system } = process.cpuUsage(cpuBefore);
    const count = runs * batchRows;
    return {
      rowsPerSecond: (count * 1000) / (performance.now() - startedAtMs),
      cpuUs: (user + system) / count,
    };
  });
}
