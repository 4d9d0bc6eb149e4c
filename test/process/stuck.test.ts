import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { get, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary } from '../support/start-primary.js';

const WORK = fixture('work');

describe('worker that is stopped by a signal', { concurrency: 2 }, () => {
  test('runner worker is killed and replaced; the other one answers meanwhile', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--runner-workers', '2']);
    const { http } = await primary.ready();
    const stopped = await primary.workerReady('runner-model-0');
    const other = await primary.workerReady('runner-model-1');
    process.kill(stopped, 'SIGSTOP');
    const begun = Array.from({ length: 8 }, (_, index) => post(`${http}/work`, { id: `${index}` }));
    const stuck = primary.nextLog({ event: 'worker.stuck', name: 'runner-model-0' });
    await Promise.any(begun); // while it is stopped: nobody has killed it yet
    assert.ok(!primary.logs.some(({ event }) => event === 'worker.stuck'));

    assert.equal((await stuck)['cause'], 'stopped by a signal');
    const died = await primary.nextLog({ event: 'worker.died', name: 'runner-model-0' });
    assert.equal(died['cause'], 'stopped by a signal');
    assert.notEqual(await primary.workerReady('runner-model-0'), stopped);
    for (const answer of await Promise.all(begun)) assert.equal(answer.status, 200, answer.text);
    assert.ok(primary.logs.every(({ event, by }) => event !== 'model.finished' || by !== stopped));
    assert.ok(primary.logs.some(({ event, by }) => event === 'model.finished' && by === other));
    assert.match(
      (await get(`${http}/metrics`)).text,
      /jubako_worker_exits_total\{role="runner",cause="stopped by a signal"\} 1/,
    );
  });

  test('HTTP worker is killed and replaced; connections made meanwhile are answered', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK]);
    const { http } = await primary.ready();
    const stopped = await primary.workerReady('http-0');
    process.kill(stopped, 'SIGSTOP');
    const answer = post(`${http}/whereami`, {}); // waits in the hands of the worker that does not run

    const died = await primary.nextLog({ event: 'worker.died', name: 'http-0' });
    assert.equal(died['cause'], 'stopped by a signal');
    const next = await primary.workerReady('http-0');
    const { status, json } = await answer;
    assert.equal(status, 200);
    assert.equal((json as { readonly pid: number }).pid, next);
  });
});
