// The other side of the tensor600k case: Fastify under node:cluster, which takes the body as a buffer and answers ten of its
// numbers itself.
// Usage: node plain-picture.mjs --port N --workers N
import cluster from 'node:cluster';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { forkPlainWorkers } from './plain-primary.mjs';

const CLASSES = 10;

const { values } = parseArgs({ options: { port: { type: 'string' }, workers: { type: 'string' } } });

if (cluster.isPrimary) {
  forkPlainWorkers(Number(values.workers));
} else {
  const app = Fastify({ bodyLimit: 2 ** 25 });
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  app.post('/classify', async ({ body }) => [Array.from({ length: CLASSES }, (_, i) => body.readFloatLE(4 * i))]);
  await app.listen({ host: '127.0.0.1', port: Number(values.port) });
}
