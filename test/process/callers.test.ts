import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder } from '../support/start-primary.js';

const EX_CONFIG = 78;
const CALLERS = fixture('callers');

describe('runner that calls another runner', { concurrency: 2 }, () => {
  test('serve starts both, each in processes of its own', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', CALLERS]);
    const { http } = await primary.ready();
    const pids = {
      first: await primary.workerReady('runner-first-0'),
      second: await primary.workerReady('runner-second-0'),
    };
    assert.deepEqual((await post(`${http}/go`, {})).json, pids);
    assert.equal(await primary.stop(), 0);
    await primary.vanished();
  });

  test('drain ends the caller before the called: a call in flight through both is answered', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', CALLERS]);
    const { http } = await primary.ready();
    const until = join(tempFolder(t), 'release');
    const answer = post(`${http}/go`, { until });
    await primary.nextLog({ event: 'second.started' });
    primary.signal('SIGTERM');
    await primary.nextLog({ event: 'server.draining' });
    writeFileSync(until, '');

    assert.equal((await answer).status, 200);
    assert.equal((await primary.exited).code, 0);
    const stopped = primary.logs.filter(({ event }) => event === 'worker.stopped').map(({ name }) => name);
    assert.deepEqual(stopped, ['http-0', 'runner-first-0', 'runner-second-0']);
  });

  test('caller finds the called again when that has died', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', CALLERS]);
    const { http } = await primary.ready();
    process.kill(await primary.workerReady('runner-second-0'), 'SIGKILL');
    const next = await primary.workerReady('runner-second-0');
    const answer = await post(`${http}/go`, {});
    assert.equal(answer.status, 200, answer.text);
    assert.equal((answer.json as { readonly second: number }).second, next);
  });

  test('start-runner-server of the caller needs the runner map, and reaches the called by it', LIMIT, async (t) => {
    const flags = ['start-runner-server', CALLERS, '--runner-name'];
    const refused = startPrimary(t, [...flags, 'first']);
    assert.equal((await refused.refused()).code, EX_CONFIG);
    assert.match(refused.stderr, /Runner "first" of "callers" requires runners second, but only none are provided/);

    const second = await startPrimary(t, [...flags, 'second']).ready();
    const first = await startPrimary(t, [...flags, 'first', '--remote-runner', `second=${second.runner}`]).ready();
    const map = JSON.stringify({ first: [first.runner], second: [second.runner] });
    const { http } = await startPrimary(t, ['start-http-server', CALLERS, '--runner-map', map]).ready();
    assert.equal((await post(`${http}/go`, {})).status, 200);
  });
});
