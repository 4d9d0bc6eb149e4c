import assert from 'node:assert/strict';
import { once } from 'node:events';
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { JubakoError } from '#dist/errors.js';
import { RawClient, gate } from './http-harness.js';
import { errorIn, startPlugins as start } from './plugin-harness.js';

test('a route that hangs is answered when its time is up, and takes nothing along', async (t) => {
  const aborted = gate();
  const { url, nextOutcome } = await start(
    t,
    [
      (app, { contextOf }): void => {
        app.get('/hang', (request) => {
          contextOf(request).signal.addEventListener('abort', () => {
            aborted.open();
          });
          return new Promise(() => undefined);
        });
        app.get('/hang-after-head', (_request, reply) => {
          reply.hijack();
          reply.raw.write('begun,');
          setTimeout(() => reply.raw.end('done'), 60);
        });
      },
    ],
    {
      config: { timeout: 0.03 },
      invoker: {
        open: ({ cancellation, requestId }) => ({
          context: {
            runners: {},
            requestId,
            get signal(): AbortSignal {
              return cancellation.signal;
            },
          },
          end: () => undefined,
        }),
      },
    },
  );
  const late = await fetch(url('/hang'));
  assert.deepEqual([late.status, (await errorIn(late)).code], [504, 'DEADLINE_EXCEEDED']);
  await aborted.promise;
  assert.equal((await nextOutcome()).outcome, 'DEADLINE_EXCEEDED');
  assert.equal(await (await fetch(url('/hang-after-head'))).text(), 'begun,done');
  assert.equal((await nextOutcome()).outcome, 'ok');
});

test('an answer that breaks off after its head is cut, and recorded as the failure of the plugin', async (t) => {
  const { port, nextOutcome, logged, url } = await start(t, [
    (app): void => {
      app.get('/breaks', (_request, reply) => {
        let count = 0;
        return reply.send(
          new Readable({
            read(): void {
              count += 1;
              if (count === 1) this.push('begun');
              else this.destroy(new Error('the inside'));
            },
          }),
        );
      });
    },
  ]);
  const client = await RawClient.open(t, port);
  client.get('/breaks');
  await assert.rejects(client.answer().then(() => client.ended()));
  const { status, outcome } = await nextOutcome();
  assert.deepEqual([status, outcome], [200, 'USER_CODE']);
  assert.equal(logged.filter(({ code }) => code === 'USER_CODE').length, 1);
  assert.equal((await fetch(url('/livez'))).status, 200);
});

test('a client that leaves is seen by the plugin, and recorded once', async (t) => {
  const begun = gate();
  const left = gate<string>();
  const ended = gate();
  const { port, nextOutcome, outcomes } = await start(
    t,
    [
      (app, { contextOf }): void => {
        app.get('/slow', async (request) => {
          const { signal, requestId } = contextOf(request);
          assert.equal(contextOf(request).requestId, requestId);
          signal.addEventListener('abort', () => {
            left.open(JubakoError.from(signal.reason).code);
          });
          begun.open();
          await new Promise(() => undefined);
        });
      },
    ],
    {
      invoker: {
        open: ({ cancellation, requestId }) => ({
          context: {
            runners: {},
            requestId,
            get signal(): AbortSignal {
              return cancellation.signal;
            },
          },
          end: () => {
            ended.open();
          },
        }),
      },
    },
  );
  const client = await RawClient.open(t, port);
  client.get('/slow');
  await begun.promise;
  client.socket.destroy();
  assert.equal(await left.promise, 'CLIENT_GONE');
  await ended.promise;
  assert.equal((await nextOutcome()).outcome, 'CLIENT_GONE');
  assert.equal(outcomes.length, 1);
});

test('a draining server answers what plugins work on, tells clients to go, and lets plugins close what they opened', async (t) => {
  const begun = gate();
  const finish = gate<string>();
  let closed = 0;
  const { port, server } = await start(t, [
    (app): void => {
      app.get('/slow', () => {
        begun.open();
        return finish.promise;
      });
      app.addHook('onClose', async () => {
        await turn();
        closed += 1;
      });
    },
  ]);
  const client = await RawClient.open(t, port);
  client.get('/slow');
  await begun.promise;
  const drained = server.drain(10_000);
  finish.open('done');
  const answer = await client.answer();
  assert.deepEqual([answer.status, answer.body, answer.headers['connection']], [200, 'done', 'close']);
  await client.ended();
  client.socket.end();
  await drained;
  assert.equal(closed, 1);
});

test('a plugin that cannot close holds nobody up', async (t) => {
  const { server } = await start(t, [
    (app): void => {
      app.addHook('onClose', () => new Promise(() => undefined));
    },
  ]);
  await server.drain(0);
});

test('a body that waits for 100 Continue is asked for, and one that is not read does not cost the connection', async (t) => {
  const { port } = await start(t, [
    (app): void => {
      app.post('/mine', ({ body }) => ({ body }));
      app.post('/unread', { onRequest: (_request, reply): void => void reply.code(400).send('no') }, () => 'never');
    },
  ]);
  const client = await RawClient.open(t, port);
  const head = 'Host: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n';
  client.write(`POST /mine HTTP/1.1\r\n${head}Expect: 100-continue\r\n\r\n`);
  assert.equal((await client.answer()).status, 100);
  client.write('42');
  assert.equal((await client.answer()).body, '{"body":42}');
  client.write(`POST /unread HTTP/1.1\r\n${head}\r\n4`);
  assert.equal((await client.answer()).status, 400);
  client.write('2');
  client.post('/echo', '7');
  assert.equal((await client.answer()).body, '7');
});

test('a plugin may take connections over, as those for WebSockets do', async (t) => {
  const { port, nextOutcome, outcomes } = await start(t, [
    (app): void => {
      app.server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
        const response = new ServerResponse(request);
        response.assignSocket(socket);
        response.on('finish', () => socket.end());
        app.routing(request, response);
      });
      app.get('/socket', (request, reply) => {
        reply.hijack();
        request.raw.socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
        request.raw.socket.pipe(request.raw.socket);
      });
    },
  ]);
  const wish = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  const client = await RawClient.open(t, port);
  client.write(`GET /socket HTTP/1.1\r\n${wish}`);
  assert.equal((await client.answer()).status, 101);
  client.write('hello');
  assert.equal(String((await once(client.socket, 'data'))[0]), 'hello');
  client.socket.destroy();
  const { route, status, outcome } = await nextOutcome();
  assert.deepEqual([route, status, outcome], ['/socket', 101, 'ok']);
  const lost = await RawClient.open(t, port);
  lost.write(`GET /nowhere HTTP/1.1\r\n${wish}`);
  assert.equal((await lost.answer()).status, 404);
  lost.socket.destroy();
  assert.equal((await nextOutcome()).status, 404);
  assert.equal(outcomes.length, 2);
});
