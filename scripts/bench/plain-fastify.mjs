// The other side of the echo case: Fastify under node:cluster, JSON in, the same JSON out, and nothing else.
// Usage: node plain-fastify.mjs --port N --workers N [--log]
import cluster from 'node:cluster';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { forkPlainWorkers } from './plain-primary.mjs';

const { values } = parseArgs({
  options: { port: { type: 'string' }, workers: { type: 'string' }, log: { type: 'boolean', default: false } },
});

if (cluster.isPrimary) {
  forkPlainWorkers(Number(values.workers));
} else {
  const app = Fastify({ logger: values.log });
  app.post('/echo', async (request) => request.body);
  await app.listen({ host: '127.0.0.1', port: Number(values.port) });
}
