import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder, until, type RunningProcess } from '../support/start-primary.js';

const SERVICE = fixture('model-calls');
const ROWS = [
  [1, 2],
  [3, 4],
];

async function ended(primary: RunningProcess, id: string): Promise<void> {
  await primary.nextLog({ event: 'writer.ended', id });
}

describe('models that call models', { concurrency: 2 }, () => {
  test('serve answers from a pipeline of two models and from an ensemble of them', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE, '--grpc']);
    const { http, grpc } = await primary.ready();
    assert.deepEqual((await post(`${http}/pipeline`, ROWS)).json, [
      [3, 5],
      [7, 9],
    ]);
    assert.deepEqual((await post(`${http}/ensemble`, ROWS)).json, [
      [2, 3.5],
      [5, 6.5],
    ]);
    // More rows than a batch of the models behind it takes, many calls at once.
    const calls = Array.from({ length: 20 }, (_, i) => Array.from({ length: 9 }, (__, row) => [i, row]));
    const answers = await Promise.all(calls.map((rows) => post(`${http}/pipeline`, rows)));
    for (const [i, { json }] of answers.entries()) {
      assert.deepEqual(
        json,
        calls[i]?.map(([a = 0, b = 0]) => [a * 2 + 1, b * 2 + 1]),
      );
    }
    const client = connectGrpc(t, grpc);
    assert.equal((await client.call('ServerReady'))['ready'], true);
    assert.equal(await primary.stop(), 0);
    await primary.vanished();
  });

  test('a client that leaves ends the call of a model to another one', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE]);
    const { http } = await primary.ready();
    const leaving = new AbortController();
    const headers = { 'x-request-id': 'nested-1' };
    const gone = post(`${http}/hang`, { id: 'a' }, { signal: leaving.signal, headers });
    const hangs = await primary.nextLog({ event: 'scale.hangs', id: 'a' });
    assert.equal(hangs['requestId'], 'nested-1');
    leaving.abort();
    await assert.rejects(gone);
    await primary.nextLog({ event: 'scale.left', id: 'a' });
  });

  test('the deadline of a request ends the call of a model to another one', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE, '--timeout', '0.5']);
    const { http } = await primary.ready();
    const answer = await post(`${http}/hang`, { id: 'a' });
    assert.equal(errorOf(answer).code, 'DEADLINE_EXCEEDED', answer.text);
    await primary.nextLog({ event: 'scale.left', id: 'a' });
  });

  test('a model that dies under a pipeline is replaced, and its call repeated', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE]);
    const { http } = await primary.ready();
    const unless = join(tempFolder(t), 'died');
    const answer = post(`${http}/hang`, { id: 'a', unless });
    await primary.nextLog({ event: 'scale.hangs', id: 'a' });
    writeFileSync(unless, '');
    process.kill(await primary.workerReady('runner-scale-0'), 'SIGSEGV');
    assert.equal((await answer).json, 'a');
    assert.equal((await primary.nextLog({ event: 'worker.died' }))['name'], 'runner-scale-0');
    assert.equal((await post(`${http}/pipeline`, ROWS)).status, 200);
  });

  test('runner servers of their own form a pipeline over TCP', LIMIT, async (t) => {
    const token = { env: { JUBAKO_LINK_TOKEN: 'secret of the test' } };
    const startRunner = (name: string, map = {}): RunningProcess =>
      startPrimary(
        t,
        ['start-runner-server', SERVICE, '--runner-name', name, '--runner-map', JSON.stringify(map)],
        token,
      );
    const first = ['scale', 'shift', 'writer'].map((name) => ({ name, server: startRunner(name) }));
    const map: Record<string, string[]> = {};
    for (const { name, server } of first) map[name] = [(await server.ready()).runner];
    const pipeline = startRunner('pipeline', map);
    map['pipeline'] = [(await pipeline.ready()).runner];
    const api = startPrimary(t, ['start-http-server', SERVICE, '--runner-map', JSON.stringify(map)], token);
    const { http } = await api.ready();
    assert.deepEqual((await post(`${http}/pipeline`, ROWS)).json, [
      [3, 5],
      [7, 9],
    ]);
    assert.deepEqual((await post(`${http}/ensemble`, ROWS)).json, [
      [2, 3.5],
      [5, 6.5],
    ]);
    assert.equal((await post(`${http}/sum`, { to: 100 })).json, 5050);
    for (const server of [api, pipeline, ...first.map((each) => each.server)]) assert.equal(await server.stop(), 0);
  });
});

describe('models that stream', { concurrency: 2 }, () => {
  test('a handler reads a stream to its end, or leaves it, and the model ends', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE]);
    const { http } = await primary.ready();
    assert.equal((await post(`${http}/sum`, { id: 'all', to: 100 })).json, 5050);
    await ended(primary, 'all');
    assert.equal((await post(`${http}/sum`, { id: 'some', read: 10 })).json, 55);
    await ended(primary, 'some');
    assert.equal((await post(`${http}/first`, { id: 'open' })).json, 1);
    await ended(primary, 'open');
  });

  test('a stream ends with its client, and at the deadline', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE, '--timeout', '0.5']);
    const { http } = await primary.ready();
    const late = await post(`${http}/sum`, { id: 'late' });
    assert.equal(errorOf(late).code, 'DEADLINE_EXCEEDED', late.text);
    await ended(primary, 'late');

    const leaving = new AbortController();
    const gone = post(`${http}/sum`, { id: 'gone' }, { signal: leaving.signal });
    setImmediate(() => {
      leaving.abort();
    });
    await assert.rejects(gone);
    assert.equal((await post(`${http}/sum`, { to: 10 })).json, 55);
  });
});

describe('models embedded in API workers', { concurrency: 2 }, () => {
  test('live in each API worker, with no process of their own', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE, '--api-workers', '2']);
    const { http } = await primary.ready();
    const workers = new Set([await primary.workerReady('http-0'), await primary.workerReady('http-1')]);
    const seen = new Set<unknown>();
    await until(async () => {
      const { json } = await post(`${http}/tiny`, {});
      seen.add((json as { readonly pid: number }).pid);
      return seen.size === workers.size;
    });
    assert.deepEqual(seen, workers);
    assert.ok(!primary.logs.some(({ name }) => name === 'runner-tiny-0'));
    await until(async () => (await get(`${http}/readyz`)).status === 200);
    assert.match(
      (await get(`${http}/metrics`)).text,
      /jubako_runner_calls_total\{runner="tiny",method="where",outcome="ok"\} \d/,
    );
  });

  test('are made anew where their thread ends: the call is repeated, the API worker lives', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', SERVICE]);
    const { http } = await primary.ready();
    const before = (await post(`${http}/tiny`, {})).json as { readonly pid: number; readonly thread: number };
    const answer = await post(`${http}/tiny`, { exitOnce: join(tempFolder(t), 'exited') });
    assert.equal(answer.status, 200, answer.text);
    const after = answer.json as typeof before;
    assert.equal(after.pid, before.pid);
    assert.notEqual(after.thread, before.thread);
    const lost = await primary.nextLog({ event: 'runner.lost', runner: 'tiny' });
    assert.match(String(lost['reason']), /process\.exit\(\)/);
    await until(async () => (await get(`${http}/readyz`)).status === 200);
    assert.ok(!primary.logs.some(({ event }) => event === 'worker.died'));
    assert.equal(await primary.stop(), 0);
  });
});
