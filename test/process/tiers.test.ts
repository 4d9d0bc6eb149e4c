import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LINK_PROTOCOL_NAME } from '#dist/link/hello.js';
import { DIGITS, classifyByGrpc, classifyByHttp } from '../support/digits.js';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, post, sendBytes } from '../support/http-client.js';
import {
  LIMIT,
  fixture,
  startPrimary,
  until,
  type Cleanup,
  type LogLine,
  type RunningProcess,
} from '../support/start-primary.js';

/** Bytes that are the same in every run and mean nothing in any protocol. */
const NOISE = Buffer.concat(Array.from({ length: 64 }, (_, i) => createHash('sha256').update(`${i}`).digest()));
const UPGRADE = `GET /jubako/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL_NAME}\r\n\r\n`;

function startRunner(t: Cleanup, args: readonly string[] = []): RunningProcess {
  return startPrimary(t, ['start-runner-server', DIGITS, '--runner-name', 'digits', ...args]);
}

function isLoss({ event }: LogLine): boolean {
  return event === 'worker.died' || event === 'link.lost';
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}

describe('tiers', { concurrency: 2 }, () => {
  test('serve classifies the example images over HTTP and gRPC', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', DIGITS]);
    const { http, grpc } = await primary.ready();
    await classifyByHttp(http);
    await classifyByGrpc(connectGrpc(t, grpc));
  });

  test('runner, HTTP and gRPC servers of their own classify the example images over TCP', LIMIT, async (t) => {
    const runner = startRunner(t, ['--runner-workers', '2']);
    const { runner: address } = await runner.ready();
    assert.match(address, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/); // without a port: a free one on this machine only
    const api = startPrimary(t, [
      'start-http-server',
      DIGITS,
      '--remote-runner',
      `digits=${address}`,
      '--api-workers',
      '2',
    ]);
    const rpc = startPrimary(t, ['start-grpc-server', DIGITS, '--runner-map', JSON.stringify({ digits: [address] })]);
    await classifyByHttp((await api.ready()).http);
    await classifyByGrpc(connectGrpc(t, (await rpc.ready()).grpc));

    for (const server of [api, rpc, runner]) assert.equal(await server.stop(), 0, server.stderr);
    await runner.vanished();
  });

  test('two runner servers of one runner share the load, and one is enough when the other stops', LIMIT, async (t) => {
    const runners = [startRunner(t), startRunner(t)];
    const addresses = await Promise.all(runners.map(async (runner) => (await runner.ready()).runner));
    const flags = addresses.flatMap((address) => ['--remote-runner', `digits=${address}`]);
    const api = startPrimary(t, ['start-http-server', DIGITS, ...flags]);
    const { http } = await api.ready();
    for (let opened = 0; opened < 2; opened += 1) await api.nextLog({ event: 'link.opened' });
    await classifyByHttp(http);
    const calls = await Promise.all(
      addresses.map(async (address) => (await get(address.replace('tcp:', 'http:') + '/metrics')).text),
    );
    for (const text of calls) assert.match(text, /jubako_runner_calls_total\{.*outcome="ok"\} [1-9]/);

    const answers = classifyByHttp(http);
    assert.equal(await runners[0]?.stop(), 0);
    await answers;
    await classifyByHttp(http);
  });

  test('runner server answers probes and metrics on its port', LIMIT, async (t) => {
    const { runner } = await startRunner(t).ready();
    const url = runner.replace('tcp:', 'http:');
    for (const path of ['/livez', '/readyz']) assert.equal((await get(`${url}${path}`)).status, 200);
    assert.match((await get(`${url}/metrics`)).text, /jubako_workers\{role="runner",state="ready"\} 1/);
    assert.equal((await get(`${url}/classify`)).status, 404);
  });

  test(
    'API tier tells why it is not ready while its runner is away, and recovers when it is back',
    LIMIT,
    async (t) => {
      const first = startRunner(t);
      const { runner: address } = await first.ready();
      const api = startPrimary(t, ['start-http-server', DIGITS, '--remote-runner', `digits=${address}`]);
      const { http } = await api.ready();
      await classifyByHttp(http);
      assert.equal(await first.stop('SIGTERM'), 0);

      await until(async () => (await get(`${http}/readyz`)).status === 503);
      const away = await get(`${http}/readyz`);
      assert.equal(errorOf(away).code, 'NOT_READY');
      assert.equal(errorOf(away).message, 'Not ready: runner "digits" is not connected'); // strangers learn no address
      assert.equal((await api.nextLog({ event: 'link.lost' }))['address'], address); // operators do
      assert.equal((await post(`${http}/classify`, { pixels: Array.from({ length: 64 }, () => 0) })).status, 503);

      const second = startRunner(t, ['--port', `${portOf(address)}`]);
      assert.equal((await second.ready()).runner, address);
      await until(async () => (await get(`${http}/readyz`)).status === 200);
      await classifyByHttp(http);
    },
  );

  test('API tier recovers when its runner server is killed and started again on the same port', LIMIT, async (t) => {
    const first = startRunner(t);
    const { runner: address } = await first.ready();
    const rpc = startPrimary(t, ['start-grpc-server', DIGITS, '--remote-runner', `digits=${address}`]);
    const client = connectGrpc(t, (await rpc.ready()).grpc);
    await classifyByGrpc(client);
    process.kill(first.pid, 'SIGKILL');
    await first.vanished();
    await until(async () => (await client.call('ServerReady'))['ready'] === false);

    await startRunner(t, ['--port', `${portOf(address)}`]).ready();
    await until(async () => (await client.call('ServerReady'))['ready'] === true);
    await classifyByGrpc(client);
  });

  test('noise on the unix socket of a runner closes that connection only', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', DIGITS]);
    const { http } = await primary.ready();
    const [folder = ''] = readdirSync(primary.runtimeParent);
    const path = join(primary.runtimeParent, folder, 'digits.0.sock');
    const linesBefore = primary.logs.length;
    await sendBytes({ path }, NOISE);
    await primary.nextLog({ event: 'link.garbage' });
    assert.match(await sendBytes({ path }, Buffer.concat([Buffer.from(UPGRADE), NOISE])), /^HTTP\/1\.1 101 /);
    assert.equal((await primary.nextLog({ event: 'link.closed' }))['worker'], 'runner-digits-0');

    await classifyByHttp(http);
    assert.ok(!primary.logs.slice(linesBefore).some(isLoss));
  });

  test('noise on the port of a runner server closes that connection only', LIMIT, async (t) => {
    const runner = startRunner(t);
    const { runner: address } = await runner.ready();
    const api = startPrimary(t, ['start-http-server', DIGITS, '--remote-runner', `digits=${address}`]);
    const { http } = await api.ready();
    const where = { host: '127.0.0.1', port: portOf(address) };
    await sendBytes(where, NOISE);
    await runner.nextLog({ event: 'link.garbage' });
    await sendBytes(where, Buffer.concat([Buffer.from(UPGRADE), NOISE]));
    await runner.nextLog({ event: 'link.closed' });
    assert.match(
      await sendBytes(where, Buffer.from(UPGRADE.replace(LINK_PROTOCOL_NAME, 'jubako-link/99'))),
      /^HTTP\/1\.1 426 /,
    );

    await classifyByHttp(http);
    assert.ok(![...runner.logs, ...api.logs].some(isLoss));
  });

  test('service that needs no runner is served by start-http-server without a map', LIMIT, async (t) => {
    const primary = startPrimary(t, ['start-http-server', fixture('no-runner')]);
    assert.equal((await post(`${(await primary.ready()).http}/echo`, 1)).status, 200);
  });
});
