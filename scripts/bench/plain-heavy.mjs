// The other side of the heavy case: the same function in a Fastify app under node:cluster, which runs it in the worker itself,
// once per request.
// Usage: node plain-heavy.mjs --port N --workers N
import cluster from 'node:cluster';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { loadStepsPerMs, runHeavy } from './heavy-work.mjs';
import { forkPlainWorkers } from './plain-primary.mjs';

const SCHEMA = {
  body: {
    type: 'object',
    properties: { seed: { type: 'integer' } },
    required: ['seed'],
    additionalProperties: false,
  },
};

const { values } = parseArgs({ options: { port: { type: 'string' }, workers: { type: 'string' } } });

if (cluster.isPrimary) {
  forkPlainWorkers(Number(values.workers));
} else {
  const stepsPerMs = loadStepsPerMs();
  const app = Fastify();
  app.post('/predict', { schema: SCHEMA }, async (request) => runHeavy(stepsPerMs, [request.body])[0]);
  await app.listen({ host: '127.0.0.1', port: Number(values.port) });
}
