// The other side of the streams case: Fastify, which sends what an async generator gives as lines of JSON.
// Usage: node plain-stream.mjs --port N
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';

const { values } = parseArgs({ options: { port: { type: 'string' } } });

async function* lines(count) {
  for (let index = 0; index < count; index += 1) yield `${JSON.stringify({ index, text: `token ${index}` })}\n`;
}

const app = Fastify();
app.post('/tokens', (request, reply) => {
  reply.header('content-type', 'application/x-ndjson').send(Readable.from(lines(request.body)));
});
await app.listen({ host: '127.0.0.1', port: Number(values.port) });
