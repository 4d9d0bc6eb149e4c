import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, keepAliveAgent, post, type HttpAnswer } from '../support/http-client.js';
import { writeRepository } from '../support/model-repository.js';
import { onnxFile, scaleModel } from '../support/onnx-models.js';
import {
  LIMIT,
  fixture,
  startPrimary,
  tempFolder,
  until,
  type Cleanup,
  type RunningProcess,
} from '../support/start-primary.js';
import { SteadyLoad } from '../support/steady-load.js';

interface Controlled {
  readonly primary: RunningProcess;
  readonly http: string;
  readonly grpc: string;
  /** See test/fixtures/controlled. */
  readonly folder: string;
}

async function start(t: Cleanup, args: readonly string[] = ['--model-control']): Promise<Controlled> {
  const folder = tempFolder(t);
  writeFileSync(join(folder, 'weights'), 'first');
  const env = { CONTROL_DIR: folder };
  const primary = startPrimary(t, ['serve', fixture('controlled'), ...args], { env });
  return { primary, ...(await primary.ready()), folder };
}

function control(http: string, action: 'load' | 'unload', model: string): Promise<HttpAnswer> {
  return post(`${http}/v2/repository/models/${model}/${action}`, {});
}

async function controlled(http: string, action: 'load' | 'unload', model: string): Promise<void> {
  const answer = await control(http, action, model);
  assert.equal(answer.status, 200, answer.text);
}

function messageOf(answer: HttpAnswer): string {
  return (answer.json as { readonly error: string }).error;
}

async function isReady(http: string, model: string): Promise<boolean> {
  return (await get(`${http}/v2/models/${model}/ready`)).status === 200;
}

/** What the index says of a model: its state and why. */
async function indexOf(http: string, model: string): Promise<readonly unknown[]> {
  const rows = (await post(`${http}/v2/repository/index`, {})).json as readonly Readonly<Record<string, unknown>>[];
  const row = rows.find(({ name }) => name === model);
  return [row?.['state'], row?.['reason']];
}

describe('models that are loaded and unloaded', { concurrency: 2 }, () => {
  test('unload answers what is in flight, refuses what comes, and disturbs no other model', LIMIT, async (t) => {
    const args = ['--model-control', '--api-workers', '2', '--runner-workers', '2'];
    const { primary, http, folder } = await start(t, args);
    const runners = [await primary.workerReady('runner-held-0'), await primary.workerReady('runner-held-1')];
    const load = new SteadyLoad(t, `${http}/steady`);
    // On connections of their own, so that both API workers have some.
    const inFlight = Array.from({ length: 8 }, () => post(`${http}/held`, { until: 'release' }));
    for (let i = 0; i < inFlight.length; i += 1) await primary.nextLog({ event: 'held.started' });

    let isUnloaded = false;
    const unloaded = controlled(http, 'unload', 'held').finally(() => {
      isUnloaded = true;
    });
    await until(async () => (await post(`${http}/held`, {})).status === 404);
    for (let i = 0; i < 4; i += 1) {
      const refused = await post(`${http}/held`, {});
      assert.equal(refused.status, 404, refused.text);
      assert.deepEqual(errorOf(refused).code, 'NOT_FOUND');
      assert.match(errorOf(refused).message, /the model of runner "held" is unloaded/);
      assert.equal((await get(`${http}/readyz`)).status, 200);
    }
    assert.equal(isUnloaded, false);
    writeFileSync(join(folder, 'release'), '');
    for (const answer of await Promise.all(inFlight)) {
      assert.equal(answer.status, 200, answer.text);
      assert.ok(runners.includes(Number(answer.json)));
    }
    await unloaded;
    assert.ok(!primary.processes().some((pid) => runners.includes(pid)));
    assert.equal(await isReady(http, 'held'), false);
    assert.equal(await isReady(http, 'steady'), true);
    assert.deepEqual(await indexOf(http, 'held'), ['UNAVAILABLE', 'unloaded']);
    assert.ok(!primary.logs.some(({ event }) => event === 'worker.died' || event === 'link.lost'));

    await load.stop();
    assert.deepEqual(load.failures, [], `${load.failures.length} of ${load.answered} calls failed`);
    assert.equal(await primary.stop(), 0);
    await primary.vanished();
  });

  test('load serves again in every worker as soon as it is answered', LIMIT, async (t) => {
    const { primary, http } = await start(t, ['--model-control', '--api-workers', '2']);
    const agents = Array.from({ length: 4 }, () => keepAliveAgent());
    t.after(() => {
      for (const agent of agents) agent.destroy();
    });
    const before = await primary.workerReady('runner-held-0');
    const load = new SteadyLoad(t, `${http}/held`, 8);
    for (let round = 0; round < 3; round += 1) {
      await controlled(http, 'unload', 'held');
      for (const agent of agents) assert.equal((await post(`${http}/held`, {}, { agent })).status, 404);
      await controlled(http, 'load', 'held');
      const answers = await Promise.all(agents.map((agent) => post(`${http}/held`, {}, { agent })));
      for (const answer of answers) assert.equal(answer.status, 200, answer.text);
      assert.notEqual(answers[0]?.json, before);
      assert.equal(await isReady(http, 'held'), true);
    }
    await load.stop();
    assert.deepEqual(
      load.failures.filter((text) => !text.includes('"code":"NOT_FOUND"')),
      [],
      'a call is answered, or told that the model is unloaded',
    );
    await controlled(http, 'load', 'held'); // it is loaded: nothing is to be done
    assert.equal((await post(`${http}/held`, {})).status, 200);
    assert.match((await get(`${http}/metrics`)).text, /jubako_workers\{role="runner",state="ready"\} 5/);
    assert.equal(await primary.stop(), 0);
  });

  test('load that fails says why and leaves the model unloaded until one succeeds', LIMIT, async (t) => {
    const { primary, http, folder } = await start(t);
    const weights = join(folder, 'weights');
    await controlled(http, 'unload', 'fragile');
    rmSync(weights);
    for (let round = 0; round < 2; round += 1) {
      const failed = await control(http, 'load', 'fragile');
      assert.equal(failed.status, 503, failed.text);
      assert.match(messageOf(failed), /Cannot load runner "fragile": .*ENOENT.*weights/);
      assert.equal((await post(`${http}/fragile`, 1)).status, 404);
    }
    assert.equal((await get(`${http}/readyz`)).status, 200);
    assert.equal((await indexOf(http, 'fragile'))[0], 'UNAVAILABLE');
    await primary.nextLog({ event: 'model.failed', runner: 'fragile' });

    writeFileSync(weights, 'second');
    await controlled(http, 'load', 'fragile');
    assert.equal((await post(`${http}/fragile`, 1)).json, 'second');
    assert.deepEqual(await indexOf(http, 'fragile'), ['READY', '']);
    assert.equal(await primary.stop(), 0);
    await primary.vanished();
  });

  test('asks for one model at the same time are done one after the other', LIMIT, async (t) => {
    const { primary, http } = await start(t, ['--model-control', '--api-workers', '2']);
    const asks = (['unload', 'load', 'unload', 'load', 'unload', 'load', 'load', 'unload', 'load'] as const).map(
      (action) => control(http, action, 'held'),
    );
    for (const answer of await Promise.all(asks)) assert.equal(answer.status, 200, answer.text);
    // In whatever order they came, it is loaded or it is not, and one more ask decides.
    await controlled(http, 'load', 'held');
    assert.equal((await post(`${http}/held`, {})).status, 200);
    assert.equal(primary.processes().length, 1 + 2 + 5);
    assert.equal(await primary.stop(), 0);
  });

  test('workers that start while a model is unloaded know it', LIMIT, async (t) => {
    const { primary, http } = await start(t);
    await controlled(http, 'unload', 'held');
    process.kill(await primary.workerReady('http-0'), 'SIGKILL');
    await primary.workerReady('http-0');
    assert.equal((await post(`${http}/held`, {})).status, 404);
    assert.equal((await get(`${http}/readyz`)).status, 200);
    await controlled(http, 'load', 'held');
    assert.equal((await post(`${http}/held`, {})).status, 200);
  });

  test('a runner that another one calls stays, and comes back with that one', LIMIT, async (t) => {
    const { http } = await start(t);
    const refused = await control(http, 'unload', 'base');
    assert.equal(refused.status, 400, refused.text);
    assert.equal(
      messageOf(refused),
      'Cannot unload runner "base": runner "caller" calls it; unload "caller" first, or both at once',
    );
    assert.equal((await post(`${http}/caller`, 1)).status, 200);

    await controlled(http, 'unload', 'caller');
    await controlled(http, 'unload', 'base');
    await controlled(http, 'load', 'caller');
    assert.equal((await post(`${http}/caller`, 1)).status, 200);
    assert.equal(await isReady(http, 'base'), true);
  });

  test('embedded runners, and servers without modelControl, are left as they are', LIMIT, async (t) => {
    const { http } = await start(t);
    const embedded = await control(http, 'unload', 'tiny');
    assert.equal(embedded.status, 400, embedded.text);
    assert.match(messageOf(embedded), /"tiny": it is embedded in the API workers/);
    assert.equal((await post(`${http}/tiny`, 1)).status, 200);

    const off = await start(t, []);
    const refused = await control(off.http, 'unload', 'steady');
    assert.equal(refused.status, 403, refused.text);
    assert.match(messageOf(refused), /the setting modelControl is off/);
    assert.equal((await post(`${off.http}/steady`, 1)).status, 200);
  });

  test('gRPC clients see the same as HTTP clients', LIMIT, async (t) => {
    const { http, grpc } = await start(t, ['--model-control', '--grpc']);
    const client = connectGrpc(t, grpc);
    await controlled(http, 'unload', 'steady');
    const NOT_FOUND = 5;
    await assert.rejects(client.inferJson('steady', 1), { code: NOT_FOUND });
    assert.equal((await client.call('ModelReady', { name: 'steady' }))['ready'], false);
    assert.equal((await client.call('ServerReady'))['ready'], true);
    await controlled(http, 'load', 'steady');
    await client.inferJson('steady', 1);
    assert.equal((await client.call('ModelReady', { name: 'steady' }))['ready'], true);
  });

  test('a file that was changed is served once its model was unloaded and loaded again', LIMIT, async (t) => {
    const folder = writeRepository(t, { 'good/1/model.onnx': scaleModel(1), 'other/1/model.onnx': scaleModel(2) });
    const { http } = await startPrimary(t, ['serve', folder, '--model-control']).ready();
    writeFileSync(join(folder, 'other/1/model.onnx'), scaleModel(5));
    const factor = async (): Promise<unknown> => (await post(`${http}/other`, [[1, 0]])).json;
    assert.deepEqual(await factor(), [[2, 0]]);
    await controlled(http, 'load', 'other'); // it is loaded
    assert.deepEqual(await factor(), [[2, 0]]);
    await controlled(http, 'unload', 'other');
    await controlled(http, 'load', 'other');
    assert.deepEqual(await factor(), [[5, 0]]);
    assert.deepEqual((await post(`${http}/good`, [[1, 2]])).json, [[1, 2]]);
  });

  test('a model that could not be loaded at the start is served once it can be', LIMIT, async (t) => {
    const shape = ['n', 2] as const;
    const unknown = onnxFile({
      inputs: [{ name: 'x', shape }],
      outputs: [{ name: 'y', shape }],
      nodes: [{ op: 'NoSuchThing', inputs: ['x'], outputs: ['y'] }],
    });
    const folder = writeRepository(t, { 'good/1/model.onnx': scaleModel(1), 'late/1/model.onnx': unknown });
    const primary = startPrimary(t, ['serve', folder, '--model-control']);
    await primary.nextLog({ event: 'model.failed', runner: 'late' });
    const { http } = await primary.ready();
    assert.equal((await post(`${http}/late`, [[1, 2]])).status, 503);
    const failed = await control(http, 'load', 'late');
    assert.equal(failed.status, 503, failed.text);
    assert.match(messageOf(failed), /NoSuchThing/);

    writeFileSync(join(folder, 'late/1/model.onnx'), scaleModel(3));
    await controlled(http, 'load', 'late');
    assert.deepEqual((await post(`${http}/late`, [[1, 2]])).json, [[3, 6]]);
    assert.equal(await isReady(http, 'late'), true);
  });

  test('readiness is that of the one model that is asked for', LIMIT, async (t) => {
    const { primary, http } = await start(t, []);
    const held = await primary.workerReady('runner-held-0');
    assert.equal(await isReady(http, 'held'), true);
    process.kill(held, 'SIGSTOP');
    await until(async () => !(await isReady(http, 'held')));
    assert.deepEqual(await indexOf(http, 'held'), ['UNAVAILABLE', 'runner "held" is not connected']);
    for (const model of ['steady', 'tiny']) assert.equal(await isReady(http, model), true);
    process.kill(held, 'SIGCONT');
    await until(() => isReady(http, 'held'));
  });

  test('server that is told to stop during an unload ends as always', LIMIT, async (t) => {
    const { primary, http } = await start(t, ['--model-control', '--timeout-graceful-shutdown', '0.3']);
    const cut = post(`${http}/held`, { until: 'never' }).catch(() => undefined);
    await primary.nextLog({ event: 'held.started' });
    const unloaded = control(http, 'unload', 'held').catch(() => undefined);
    await until(async () => (await post(`${http}/held`, {})).status === 404);
    assert.equal(await primary.stop(), 0);
    await Promise.all([cut, unloaded]);
    await primary.vanished();
  });
});
