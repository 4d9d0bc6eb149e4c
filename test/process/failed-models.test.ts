import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorOf, get, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary } from '../support/start-primary.js';

const EX_CONFIG = 78;
const MODELS = fixture('models');

describe('model that cannot be loaded', { concurrency: 2 }, () => {
  test('is named with the model that calls it, and the other models are served', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', MODELS, '--runner-workers', '2']);
    const failed = await primary.nextLog({ event: 'model.failed', runner: 'damaged' });
    assert.match(String(failed['msg']), /"damaged" is not served: .*the weights are cut off/);
    const caller = await primary.nextLog({ event: 'model.failed', runner: 'asker' });
    assert.match(String(caller['msg']), /"asker" is not served: .*it calls "damaged".*the weights are cut off/);
    const { http } = await primary.ready();
    assert.equal((await get(`${http}/readyz`)).status, 200);
    assert.equal((await post(`${http}/good`, 1)).json, 'good');

    for (const name of ['damaged', 'asker']) {
      const answer = await post(`${http}/${name}`, 1);
      assert.equal(answer.status, 503, answer.text);
      assert.equal(errorOf(answer).code, 'NOT_READY');
    }
    assert.match((await get(`${http}/metrics`)).text, /jubako_workers\{role="runner",state="failed"\} [12]/);
    assert.equal(await primary.stop(), 0);
    await primary.vanished();
  });

  test('is named to an HTTP worker that starts later as well', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', MODELS]);
    const { http } = await primary.ready();
    process.kill(await primary.workerReady('http-0'), 'SIGKILL');
    await primary.workerReady('http-0');
    assert.equal((await post(`${http}/good`, 1)).status, 200);
    assert.equal(errorOf(await post(`${http}/damaged`, 1)).code, 'NOT_READY');
  });

  test('stops the start with strictModels', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', MODELS, '--strict-models']);
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(primary.stderr, /^SERVICE_INVALID: .*the weights are cut off/);
    await primary.vanished();
  });

  test('stops the start where nothing is left to be served', LIMIT, async (t) => {
    const elsewhere = ['--runner-map', '{"good":["tcp://127.0.0.1:1"]}'];
    const primary = startPrimary(t, ['serve', MODELS, ...elsewhere]);
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(primary.stderr, /^SERVICE_INVALID: .*the weights are cut off/);
  });
});
