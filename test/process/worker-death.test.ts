import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder, until, type RunningProcess } from '../support/start-primary.js';

const WORK = fixture('work');

/** Kills a worker that is ready, and gives the pid of the one that took its place, once that is ready. */
async function killAndReplace(primary: RunningProcess, name: string, pid: number): Promise<number> {
  process.kill(pid, 'SIGKILL');
  const died = await primary.nextLog({ event: 'worker.died', name });
  assert.equal(died['cause'], 'signal SIGKILL');
  const next = await primary.workerReady(name);
  assert.notEqual(next, pid);
  return next;
}

describe('death of a worker', { concurrency: 2 }, () => {
  test(
    'primary replaces HTTP, gRPC and runner workers that are killed, and serves again each time',
    LIMIT,
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--grpc']);
      const { http, grpc } = await primary.ready();
      const client = connectGrpc(t, grpc);
      const serves = async (): Promise<void> => {
        const answer = await post(`${http}/work`, { id: 'http' });
        assert.equal(answer.status, 200, answer.text);
        // A gRPC channel notices that its connection broke when it uses it: until then it may refuse one call.
        await until(async () =>
          client.inferJson('model.work', {}).then(
            () => true,
            () => false,
          ),
        );
      };
      await serves();
      for (const name of ['http-0', 'grpc-0', 'runner-model-0']) {
        await killAndReplace(primary, name, await primary.workerReady(name));
        await until(async () => (await get(`${http}/readyz`)).status === 200);
        await serves();
      }
      assert.equal(await primary.stop(), 0);
      await primary.vanished();
    },
  );

  test('connection that comes while the only HTTP worker is dead is answered by the next one', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK]);
    const { http } = await primary.ready();
    process.kill(await primary.workerReady('http-0'), 'SIGKILL');
    await primary.nextLog({ event: 'worker.died', name: 'http-0' });

    assert.equal((await post(`${http}/work`, { id: 'waits' })).status, 200);
  });

  test('calls in flight to an idempotent method of a killed runner are replayed and answered', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK]);
    const { http } = await primary.ready();
    const hangOnce = join(tempFolder(t), 'first');
    const before = await primary.workerReady('runner-model-0');
    const answers = ['a', 'b', 'c'].map((id) => post(`${http}/work`, { id, hangOnce }));
    await primary.nextLog({ event: 'model.started' });
    const after = await killAndReplace(primary, 'runner-model-0', before);

    for (const [index, answer] of (await Promise.all(answers)).entries()) {
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.json, { id: ['a', 'b', 'c'][index], pid: after });
    }
  });

  test('call in flight to an idempotent method moves to another worker of the runner', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--runner-workers', '2']);
    const { http } = await primary.ready();
    const pids = [await primary.workerReady('runner-model-0'), await primary.workerReady('runner-model-1')];
    const answer = post(`${http}/work`, { id: 'moved', hangOnce: join(tempFolder(t), 'first') });
    const { by } = await primary.nextLog({ event: 'model.started' });
    process.kill(Number(by), 'SIGKILL');

    const other = pids.find((pid) => pid !== by);
    assert.deepEqual((await answer).json, { id: 'moved', pid: other });
  });

  test(
    'call in flight to a method that is not idempotent gets 503 RUNNER_LOST and is not repeated',
    LIMIT,
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK]);
      const { http } = await primary.ready();
      const pid = await primary.workerReady('runner-model-0');
      const answer = post(`${http}/once`, { id: 'lost', hangOnce: join(tempFolder(t), 'first') });
      await primary.nextLog({ event: 'model.started', id: 'lost' });
      await killAndReplace(primary, 'runner-model-0', pid);

      const { status, headers, ...rest } = await answer;
      assert.equal(status, 503, rest.text);
      assert.equal(errorOf({ status, headers, ...rest }).code, 'RUNNER_LOST');
      assert.equal(headers['retry-after'], '1');
      assert.equal((await post(`${http}/once`, { id: 'next' })).status, 200);
      assert.equal(primary.logs.filter(({ event, id }) => event === 'model.started' && id === 'lost').length, 1);
    },
  );

  test('error in a stray timer of a handler ends that worker only, and it is replaced', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--api-workers', '2']);
    const { http } = await primary.ready();
    const held = join(tempFolder(t), 'release');
    const pids = new Map<number, string>();
    for (const name of ['http-0', 'http-1']) pids.set(await primary.workerReady(name), name);
    await post(`${http}/stray`, {}).catch(() => undefined); // answered, unless the end of the process was faster

    const failed = await primary.nextLog({ event: 'worker.failed' });
    assert.match(JSON.stringify(failed['err']), /thrown by a stray timer/);
    assert.match(JSON.stringify(failed['err']), /work\/service\.ts:\d+/);
    const name = pids.get(Number(failed['pid']));
    assert.equal((await primary.nextLog({ event: 'worker.died' }))['name'], name);
    await primary.workerReady(String(name));
    assert.equal((await post(`${http}/work`, { id: held })).status, 200);
    assert.equal(primary.logs.filter(({ event }) => event === 'worker.died').length, 1);
    assert.equal(await primary.stop(), 0);
  });

  test(
    'everything goes when the primary is killed: workers that are busy, port and runtime folder',
    LIMIT,
    async (t) => {
      const first = startPrimary(t, ['serve', WORK, '--grpc', '--api-workers', '2', '--runner-workers', '2']);
      const { http } = await first.ready();
      const task = { until: join(tempFolder(t), 'never') };
      const cut = ['wait', 'work', 'once'].map((api) => post(`${http}/${api}`, task));
      for (const call of cut) call.catch(() => undefined);
      await first.nextLog({ event: 'handler.started' });
      await first.nextLog({ event: 'model.started' });
      process.kill(first.pid, 'SIGKILL');

      await first.vanished();
      await Promise.allSettled(cut);
      const second = startPrimary(t, ['serve', WORK, '--port', new URL(http).port]);
      assert.equal((await second.ready()).http, http);
    },
  );
});
