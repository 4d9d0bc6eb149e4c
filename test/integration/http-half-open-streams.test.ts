import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { defineService, json, stream } from '#dist/service/index.js';
import { RawClient, gate, type StartedServer } from './http-harness.js';
import { Source, startService } from './http-service.js';

// Clients that end their half before a stream begins: they wait for it, or have gone; see http-half-open.test.ts.

/** Starts a server with an API that streams; resolves when it has seen the end of a client that asked for the stream. */
async function halfOpen(
  t: TestContext,
  values: (number: number, signal: AbortSignal) => Promise<number> | undefined,
): Promise<{ readonly server: StartedServer; readonly client: RawClient; readonly source: Source }> {
  const source = new Source();
  const service = defineService({
    name: 'half-open',
    apis: {
      values: {
        input: json(),
        output: stream(json()),
        handler: (_input, { signal }) => source.values((number) => values(number, signal)),
      },
    },
  });
  const server = await startService(t, service);
  const client = await RawClient.open(t, server.port);
  client.post('/values', '1');
  client.socket.end();
  assert.equal((await client.answer()).status, 100);
  return { server, client, source };
}

void test('a client that has gone before the stream began ends it, although nothing more is to be sent', async (t) => {
  const first = gate<number>();
  const { server, client, source } = await halfOpen(t, (number, signal) =>
    number === 1 ? first.promise : once(signal, 'abort').then(() => 2),
  );
  client.socket.destroy();
  first.open(1);
  await source.ended;
  assert.equal((await server.nextOutcome()).outcome, 'CLIENT_GONE');
});

void test('a client that waits for the stream gets all of it', async (t) => {
  const gates = [gate<number>(), gate<number>(), gate<number>()];
  const { server, client, source } = await halfOpen(t, (number) => gates[number - 1]?.promise);
  const ended = once(client.socket, 'end');
  let text = '';
  client.socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  for (const [i, { open }] of gates.entries()) {
    open(i + 1);
    while (!text.includes(`\n${i + 1}\n`)) await once(client.socket, 'data');
    for (let round = 0; round < 20; round += 1) await fetch(server.url('/livez')); // time for those that ask whether it is there
  }
  await source.ended;
  await ended;
  assert.equal((await server.nextOutcome()).outcome, 'ok');
});
