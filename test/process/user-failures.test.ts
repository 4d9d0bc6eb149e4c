import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder, until } from '../support/start-primary.js';

const WORK = fixture('work');

describe('failures of user code', { concurrency: 2 }, () => {
  test(
    'model that throws is answered 500 USER_CODE with nothing about the inside; the log has its stack',
    LIMIT,
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--grpc']);
      const { http, grpc } = await primary.ready();
      const answer = await post(
        `${http}/work`,
        { fail: 'the secret is 42' },
        { headers: { 'x-request-id': 'r-model' } },
      );

      assert.equal(answer.status, 500);
      assert.equal(errorOf(answer).code, 'USER_CODE');
      assert.equal(errorOf(answer).requestId, 'r-model');
      assert.doesNotMatch(answer.text, /42/);
      const failed = await primary.nextLog({ event: 'call.failed', requestId: 'r-model' });
      assert.match(String(failed['stack']), /the secret is 42[^]*work\/service\.ts:\d+/);
      await assert.rejects(
        connectGrpc(t, grpc).inferJson('model.work', { fail: 'the secret is 42' }),
        (thrown: Error) => {
          assert.match(thrown.message, /^13 INTERNAL: USER_CODE/);
          assert.doesNotMatch(thrown.message, /42/);
          return true;
        },
      );
    },
  );

  test(
    'handler that throws is answered 500 USER_CODE with nothing about the inside; the log has its stack',
    LIMIT,
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK]);
      const { http } = await primary.ready();
      const answer = await post(
        `${http}/wait`,
        { fail: 'the secret is 42' },
        { headers: { 'x-request-id': 'r-handler' } },
      );

      assert.equal(answer.status, 500);
      assert.equal(errorOf(answer).code, 'USER_CODE');
      assert.doesNotMatch(answer.text, /42/);
      const failed = await primary.nextLog({ event: 'request.failed', requestId: 'r-handler' });
      assert.match(JSON.stringify(failed['err']), /the secret is 42.*work\/service\.ts:\d+/);
    },
  );

  test('one bad input in a batch fails alone, its batch-mates are answered', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK]);
    const { http } = await primary.ready();
    const release = join(tempFolder(t), 'release');
    const first = post(`${http}/work`, { id: 'first', until: release }); // while it runs, the others gather
    await primary.nextLog({ event: 'model.started', id: 'first' });
    const ids = ['a', 'b', 'bad', 'd', 'e'];
    const answers = ids.map((id) => post(`${http}/work`, { id, ...(id === 'bad' && { fail: 'no such word' }) }));
    const waiting = 'jubako_runner_queue_rows{runner="model",method="work"} 5';
    await until(async () => (await get(`${http}/metrics`)).text.includes(waiting));
    writeFileSync(release, '');

    assert.equal((await first).status, 200);
    const got = (await Promise.all(answers)).map(({ status }) => status);
    assert.deepEqual(got, [200, 200, 500, 200, 200]);
    assert.equal((await primary.nextLog({ event: 'batch.failed' }))['calls'], 5);
  });

  test('client that disconnects aborts the signals of its handler and of the model', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK]);
    const { http } = await primary.ready();
    const leaving = new AbortController();
    const { signal } = leaving;
    const task = { id: 'left', until: join(tempFolder(t), 'never') };
    const calls = ['wait', 'work'].map((api) => post(`${http}/${api}`, task, { signal }));
    await primary.nextLog({ event: 'handler.started', id: 'left' });
    await primary.nextLog({ event: 'model.started', id: 'left' });
    leaving.abort();

    for (const call of calls) await assert.rejects(call, { name: 'AbortError' });
    await primary.nextLog({ event: 'handler.aborted', id: 'left', code: 'CLIENT_GONE' });
    await primary.nextLog({ event: 'model.aborted', id: 'left' });
    for (const route of ['/wait', '/work']) {
      const line = await primary.nextLog({ event: 'request.finished', route });
      assert.deepEqual([line['status'], line['outcome']], [499, 'CLIENT_GONE']);
    }
    assert.equal((await post(`${http}/work`, { id: 'next' })).status, 200);
  });

  test('request beyond timeout is answered 504 and what the model still gives is dropped', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--timeout', '0.3', '--grpc']);
    const { http, grpc } = await primary.ready();
    const release = join(tempFolder(t), 'release');
    const late = await post(`${http}/work`, { id: 'late', until: release, deaf: true });

    assert.equal(late.status, 504, late.text);
    assert.equal(errorOf(late).code, 'DEADLINE_EXCEEDED');
    await primary.nextLog({ event: 'handler.aborted', id: 'late' });
    await primary.nextLog({ event: 'model.aborted', id: 'late' });
    writeFileSync(release, '');
    await primary.nextLog({ event: 'model.finished', id: 'late' });
    const next = await post(`${http}/work`, { id: 'next' });
    assert.equal((next.json as { id: string }).id, 'next');
    const task = { id: 'late', until: join(tempFolder(t), 'never') };
    await assert.rejects(connectGrpc(t, grpc).inferJson('model.once', task), { code: 4 });
  });
});
