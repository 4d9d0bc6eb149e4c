// The other side of the digits case: the same model and the same schemas in a Fastify app under node:cluster, which runs the
// model in the worker itself, once per request.
// Usage: node plain-digits.mjs --port N --workers N
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { forkPlainWorkers } from './plain-primary.mjs';

const MODEL_FILE = fileURLToPath(new URL('../../examples/digits/digits.onnx', import.meta.url));
const SCHEMA = {
  body: {
    type: 'object',
    properties: {
      pixels: { type: 'array', items: { type: 'number', minimum: 0, maximum: 16 }, minItems: 64, maxItems: 64 },
    },
    required: ['pixels'],
    additionalProperties: false,
  },
};

const { values } = parseArgs({ options: { port: { type: 'string' }, workers: { type: 'string' } } });

if (cluster.isPrimary) {
  forkPlainWorkers(Number(values.workers));
} else {
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(MODEL_FILE, { intraOpNumThreads: 1 });
  const app = Fastify();
  app.post('/classify', { schema: SCHEMA }, async (request) => {
    const pixels = new ort.Tensor('float32', Float32Array.from(request.body.pixels), [1, 64]);
    const { probabilities: output } = await session.run({ pixels });
    const probabilities = [...output.data];
    const confidence = Math.max(...probabilities);
    return { digit: probabilities.indexOf(confidence), confidence, probabilities };
  });
  await app.listen({ host: '127.0.0.1', port: Number(values.port) });
}
