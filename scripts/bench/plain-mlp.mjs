// The other side of the mlp case: the same network in a Fastify app under node:cluster, which runs it in the worker itself,
// once per request.
// Usage: BENCH_MLP_FILE=F node plain-mlp.mjs --port N --workers N
import cluster from 'node:cluster';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { forkPlainWorkers } from './plain-primary.mjs';

const COLUMNS = 1024;
const ROW = { type: 'array', items: { type: 'number' }, minItems: COLUMNS, maxItems: COLUMNS };
const SCHEMA = { body: { type: 'array', items: ROW, minItems: 1 } };

const { values } = parseArgs({ options: { port: { type: 'string' }, workers: { type: 'string' } } });

if (cluster.isPrimary) {
  forkPlainWorkers(Number(values.workers));
} else {
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(process.env.BENCH_MLP_FILE, { intraOpNumThreads: 1 });
  const app = Fastify();
  app.post('/predict', { schema: SCHEMA }, async (request) => {
    const rows = request.body.length;
    const input = new ort.Tensor('float32', Float32Array.from(request.body.flat()), [rows, COLUMNS]);
    const { logits } = await session.run({ input });
    const width = logits.data.length / rows;
    return Array.from({ length: rows }, (_, row) => [...logits.data.subarray(row * width, (row + 1) * width)]);
  });
  await app.listen({ host: '127.0.0.1', port: Number(values.port) });
}
