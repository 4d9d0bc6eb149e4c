import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { get } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, until } from '../support/start-primary.js';
import { SteadyLoad } from '../support/steady-load.js';

const LEAKY = fixture('leaky');
/** A process that has just started holds less than half of it. */
const LIMITED = ['--max-worker-memory-bytes', '200MiB'];

describe('recycling by memory', { concurrency: 2 }, () => {
  test('runner worker that leaks is replaced under load, again and again, and no call fails', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', LEAKY, ...LIMITED]);
    const { http } = await primary.ready();
    const load = new SteadyLoad(t, `${http}/model`);
    for (let round = 0; round < 2; round += 1) {
      const grown = await primary.nextLog({ event: 'worker.grown', name: 'runner-hoarder-0' });
      const replaced = await primary.nextLog({ event: 'worker.replaced', name: 'runner-hoarder-0' });
      assert.equal(replaced['workerPid'], grown['workerPid']);
      const stopped = await primary.nextLog({ event: 'worker.stopped', name: 'runner-hoarder-0' });
      assert.equal(stopped['cause'], 'code 0');
      await until(() => load.answers.has(replaced['successorPid']));
    }
    await load.stop();

    assert.deepEqual(load.failures, [], `${load.failures.length} of ${load.answered} calls failed`);
    assert.ok(load.answers.size >= 3);
    const metrics = (await get(`${http}/metrics`)).text;
    assert.match(metrics, /jubako_worker_recycles_total\{role="runner",cause="memory"\} [2-9]/);
    assert.match(metrics, /jubako_worker_rss_bytes\{worker="runner-hoarder-0"\} [1-9]\d{7}/);
    assert.match(metrics, /jubako_workers\{role="runner",state="ready"\} 1/);
    assert.ok(!primary.logs.some(({ event }) => event === 'worker.died'));
    assert.equal(await primary.stop(), 0);
    await primary.vanished();
  });

  test('HTTP worker that leaks is replaced under load and no call fails', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', LEAKY, ...LIMITED]);
    const { http } = await primary.ready();
    const load = new SteadyLoad(t, `${http}/handler`);
    const replaced = await primary.nextLog({ event: 'worker.replaced', name: 'http-0' });
    await until(() => load.answers.has(replaced['successorPid']));
    assert.equal((await primary.nextLog({ event: 'worker.stopped', name: 'http-0' }))['cause'], 'code 0');
    await load.stop();

    assert.deepEqual(load.failures, [], `${load.failures.length} of ${load.answered} calls failed`);
    assert.equal(await primary.stop(), 0);
  });

  test('runner worker behind a port of its own is replaced under load and no call fails', LIMIT, async (t) => {
    const runner = startPrimary(t, ['start-runner-server', LEAKY, '--runner-name', 'hoarder', ...LIMITED]);
    const { runner: address } = await runner.ready();
    const api = startPrimary(t, ['start-http-server', LEAKY, '--remote-runner', `hoarder=${address}`]);
    const load = new SteadyLoad(t, `${(await api.ready()).http}/model`);
    const replaced = await runner.nextLog({ event: 'worker.replaced', name: 'runner-hoarder-0' });
    assert.equal((await runner.nextLog({ event: 'worker.stopped', name: 'runner-hoarder-0' }))['cause'], 'code 0');
    await until(() => load.answers.has(replaced['successorPid']));
    await load.stop();

    assert.deepEqual(load.failures, [], `${load.failures.length} of ${load.answered} calls failed`);
    assert.ok(!api.logs.some(({ event }) => event === 'link.lost'));
  });

  test('worker that is too large from the beginning is told once and stays until it has grown', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', LEAKY, '--max-worker-memory-bytes', '1MiB']);
    const { http } = await primary.ready();
    for (const name of ['http-0', 'runner-hoarder-0']) {
      const told = await primary.nextLog({ event: 'worker.too_large', name });
      assert.equal(told['limitBytes'], 2 ** 20);
    }
    assert.ok(!primary.logs.some(({ event }) => event === 'worker.replacing'));
    const load = new SteadyLoad(t, `${http}/model`);
    const replaced = await primary.nextLog({ event: 'worker.replaced', name: 'runner-hoarder-0' });
    await load.stop();
    assert.deepEqual(load.failures, []);
    const told = primary.logs.filter(({ event, workerPid }) => {
      return event === 'worker.too_large' && workerPid === replaced['workerPid'];
    });
    assert.equal(told.length, 1);
  });
});
