import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, keepAliveAgent, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder, until } from '../support/start-primary.js';

const WORK = fixture('work');

describe('settings of requests', { concurrency: 2 }, () => {
  test('timeout 0 lets a request take as long as it takes', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--timeout', '0']);
    const { http } = await primary.ready();
    assert.equal((await post(`${http}/work`, { ms: 200 })).status, 200);
  });

  test('timeout in the environment is overridden by the flag', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--timeout', '0.2'], { env: { JUBAKO_TIMEOUT: '60' } });
    const { http } = await primary.ready();
    const answer = await post(`${http}/wait`, { until: join(tempFolder(t), 'never') });
    assert.equal(answer.status, 504);
    assert.match(errorOf(answer).message, /within 200 ms/);
  });

  test('timeoutKeepAlive is told to clients and closes an idle connection', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--timeout-keep-alive', '2']);
    const { http } = await primary.ready();
    const agent = keepAliveAgent();
    t.after(() => {
      agent.destroy();
    });
    const answer = await get(`${http}/livez`, { agent });
    assert.equal(answer.headers['keep-alive'], 'timeout=2');

    const socket = connect(Number(new URL(http).port), '127.0.0.1');
    socket.resume();
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'close'); // by the server, since this side never ends
  });

  test(
    'maxConcurrency refuses what is beyond it with QUEUE_FULL and takes more once a place is free',
    LIMIT,
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--grpc', '--max-concurrency', '1']);
      const { http, grpc } = await primary.ready();
      const client = connectGrpc(t, grpc);
      const release = join(tempFolder(t), 'release');
      const held = post(`${http}/wait`, { until: release });
      await primary.nextLog({ event: 'handler.started' });
      const heldByGrpc = client.inferJson('model.work', { until: release });
      await primary.nextLog({ event: 'model.started' });

      const refused = await post(`${http}/echo`, 1);
      assert.equal(refused.status, 503);
      assert.equal(errorOf(refused).code, 'QUEUE_FULL');
      assert.equal(refused.headers['retry-after'], '1');
      await assert.rejects(client.inferJson('model.work', {}), { code: 8 });
      assert.equal((await get(`${http}/readyz`)).status, 200);
      assert.deepEqual(await client.call('ServerReady'), { ready: true });

      writeFileSync(release, '');
      assert.equal((await held).status, 200);
      await heldByGrpc;
      await until(async () => (await post(`${http}/echo`, 1)).status === 200);
      await until(async () =>
        client.inferJson('model.work', {}).then(
          () => true,
          () => false,
        ),
      );
    },
  );

  test(
    'maxBodyBytes takes a body of that size and refuses a larger one, with a length and without',
    LIMIT,
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--max-body-bytes', '1KiB']);
      const { http } = await primary.ready();
      assert.equal((await post(`${http}/echo`, 'x'.repeat(1022))).status, 200);
      const refused = await post(`${http}/echo`, 'x'.repeat(1023));
      assert.equal(refused.status, 413);
      assert.equal(errorOf(refused).code, 'TOO_LARGE');
      assert.match(errorOf(refused).message, /1024 bytes/);
      const chunked = await post(`${http}/echo`, 'x'.repeat(1023), { headers: { 'transfer-encoding': 'chunked' } });
      assert.equal(chunked.status, 413);
    },
  );

  test('metrics count a request of each worker, and are gone with --no-metrics', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc']);
    const { http, grpc } = await primary.ready();
    await post(`${http}/work`, {});
    await connectGrpc(t, grpc).inferJson('model.work', {});
    const wanted = [
      'jubako_requests_total{protocol="http",route="/work",outcome="ok"} 1',
      'jubako_requests_total{protocol="grpc",route="/inference.GRPCInferenceService/ModelInfer",outcome="ok"} 1',
      'jubako_runner_calls_total{runner="model",method="work",outcome="ok"} 2',
    ];
    await until(async () => {
      const { text } = await get(`${http}/metrics`);
      return wanted.every((line) => text.includes(line));
    });

    const without = startPrimary(t, ['serve', WORK, '--no-metrics']);
    const addresses = await without.ready();
    assert.equal((await get(`${addresses.http}/metrics`)).status, 404);
    assert.equal((await post(`${addresses.http}/work`, {})).status, 200);
  });

  test('accessLog writes one line per request with its id, and none with --no-access-log', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc']);
    const { http, grpc } = await primary.ready();
    await post(`${http}/work`, {}, { headers: { 'x-request-id': 'mine' } });
    await connectGrpc(t, grpc).inferJson('model.once', {});
    const line = await primary.nextLog({ event: 'request.finished', requestId: 'mine' });
    assert.deepEqual(
      [line['protocol'], line['route'], line['status'], line['outcome'], line['batchRows']],
      ['http', '/work', 200, 'ok', 1],
    );
    assert.equal((await primary.nextLog({ event: 'request.finished', protocol: 'grpc' }))['status'], 0);

    const quiet = startPrimary(t, ['serve', WORK, '--no-access-log']);
    const addresses = await quiet.ready();
    await post(`${addresses.http}/work`, {});
    assert.equal(await quiet.stop(), 0);
    assert.ok(quiet.logs.some(({ event }) => event === 'server.stopped'));
    assert.ok(!quiet.logs.some(({ event }) => event === 'request.finished'));
  });

  test('logLevel error writes failures and nothing less severe', LIMIT, async (t) => {
    const first = startPrimary(t, ['serve', WORK]);
    const { http } = await first.ready();
    assert.equal(await first.stop(), 0);
    const primary = startPrimary(t, ['serve', WORK, '--log-level', 'error', '--port', new URL(http).port]);
    await until(async () => (await get(`${http}/readyz`).catch(() => undefined))?.status === 200);
    await post(`${http}/echo`, 1);
    await post(`${http}/wait`, { fail: 'on purpose' });

    await primary.nextLog({ event: 'request.failed' });
    assert.equal(await primary.stop(), 0);
    const levels = primary.logs.map(({ level }) => level).filter((level) => level !== undefined);
    assert.deepEqual(levels, [50]);
  });

  test('logLevel debug shows what info does not', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--log-level', 'debug']);
    await primary.ready();
    assert.equal(await primary.stop(), 0);
    assert.ok(primary.logs.some(({ level }) => level === 20));
  });

  test('logFormat pretty writes lines for people', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--log-format', 'pretty']);
    await until(() => primary.stdout.includes('work is ready on http://127.0.0.1:'));
    assert.equal(await primary.stop(), 0);
    assert.doesNotMatch(primary.stdout, /^\{/m);
  });
});
