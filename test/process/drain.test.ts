import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, keepAliveAgent, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder } from '../support/start-primary.js';

const WORK = fixture('work');

describe('drain', { concurrency: 2 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`primary answers the requests in flight and leaves nothing behind on ${signal}`, LIMIT, async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--grpc', '--api-workers', '2']);
      const { http, grpc } = await primary.ready();
      const agent = keepAliveAgent();
      t.after(() => {
        agent.destroy();
      });
      const client = connectGrpc(t, grpc);
      await Promise.all([post(`${http}/echo`, 1, { agent }), client.call('ServerLive')]);

      const answers = [0, 1, 2, 3, 4, 5].map((index) =>
        post(`${http}/${index % 2 === 0 ? 'wait' : 'work'}`, { id: `${index}`, ms: 300 }, { agent }),
      );
      const inference = client.inferJson('model.work', { id: 'grpc', ms: 300 });
      for (let started = 0; started < 3; started += 1) await primary.nextLog({ event: 'handler.started' });
      await primary.nextLog({ event: 'model.started', id: 'grpc' });
      primary.signal(signal);

      for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200, answer.text);
      assert.equal(((await inference) as { id: string }).id, 'grpc');
      assert.deepEqual(await primary.exited, { code: 0, signal: null });
      await primary.vanished();
      assert.equal(primary.stderr, '');
    });
  }

  test('HTTP worker tells keep-alive clients to go while it drains', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK]);
    const { http } = await primary.ready();
    const agent = keepAliveAgent();
    t.after(() => {
      agent.destroy();
    });
    const before = await post(`${http}/echo`, 1, { agent });
    const during = post(`${http}/wait`, { ms: 300 }, { agent });
    await primary.nextLog({ event: 'handler.started' });
    primary.signal('SIGTERM');

    assert.equal(before.headers.connection, 'keep-alive');
    assert.equal((await during).headers.connection, 'close');
    assert.equal((await primary.exited).code, 0);
  });

  test(
    'primary kills a drain that would last, on a second signal more than a second after the first',
    LIMIT,
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--timeout', '0']);
      const { http } = await primary.ready();
      const cut = post(`${http}/wait`, { until: join(tempFolder(t), 'never') });
      cut.catch(() => undefined);
      await primary.nextLog({ event: 'handler.started' });
      primary.signal('SIGTERM');
      const draining = await primary.nextLog({ event: 'server.draining' });
      assert.equal(draining['graceMs'], 30_000);

      // The primary counts the second from the first signal, which it has had: this timer ends after that.
      const again = setTimeout(() => {
        primary.signal('SIGTERM');
      }, 1000);
      t.after(() => {
        clearTimeout(again);
      });
      await assert.rejects(cut);
      assert.equal((await primary.exited).code, 1, 'a drain that was cut short is no clean end');
      await primary.vanished();
      assert.ok(!primary.logs.some(({ event }) => event === 'handler.finished'));
    },
  );

  test('primary cuts what lasts longer than timeoutGracefulShutdown and still ends with 0', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--timeout-graceful-shutdown', '0.2']);
    const { http, grpc } = await primary.ready();
    const task = { until: join(tempFolder(t), 'never') };
    const cut = [post(`${http}/wait`, task), post(`${http}/work`, task)];
    const cutByGrpc = connectGrpc(t, grpc).inferJson('model.once', task);
    for (const call of [...cut, cutByGrpc]) call.catch(() => undefined);
    await primary.nextLog({ event: 'handler.started' });
    await primary.nextLog({ event: 'model.started' });

    assert.equal(await primary.stop(), 0);
    for (const answer of await Promise.all(cut)) {
      assert.deepEqual([answer.status, errorOf(answer).code], [503, 'DRAINING']); // told so, not reset
    }
    await assert.rejects(cutByGrpc, { code: 14 });
    const outcomes = primary.logs.filter(({ event }) => event === 'request.finished').map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['DRAINING', 'DRAINING', 'DRAINING']);
    await primary.vanished();
  });

  test('primary that is told to stop while it starts ends with 0 and without a word on stderr', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('slow-load')]);
    await primary.nextLog({ event: 'load.started' });

    assert.equal(await primary.stop(), 0);
    assert.equal(primary.stderr, '');
    await primary.vanished();
  });
});
