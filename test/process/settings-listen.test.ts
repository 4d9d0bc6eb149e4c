import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { get, post } from '../support/http-client.js';
import { LIMIT, fixture, repositoryFile, startPrimary, type RunningProcess } from '../support/start-primary.js';

const WORK = fixture('work');
const HAS_IPV6 = Object.values(networkInterfaces()).some((addresses) =>
  (addresses ?? []).some(({ address }) => address === '::1'),
);
const HAS_SS = spawnSync('ss', ['--version']).status === 0;

/** Workers that became ready so far, by role. */
function readyByRole(primary: RunningProcess): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { event, role } of primary.logs) {
    if (event === 'worker.ready') counts[String(role)] = (counts[String(role)] ?? 0) + 1;
  }
  return counts;
}

describe('settings of listeners and workers', { concurrency: 2 }, () => {
  const hosts = [
    { host: '127.0.0.1', reachedAt: ['127.0.0.1'] },
    { host: 'localhost', reachedAt: ['localhost'] },
    { host: '0.0.0.0', reachedAt: ['127.0.0.1'] },
    { host: '::1', reachedAt: ['[::1]'] },
    { host: '::', reachedAt: ['[::1]', '127.0.0.1'] },
  ];
  for (const { host, reachedAt } of hosts) {
    const skip = host.includes(':') && !HAS_IPV6 ? 'this machine has no IPv6' : false;
    test(`host ${host} is where HTTP and gRPC answer`, { ...LIMIT, skip }, async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--grpc', '--host', host]);
      const { http, grpc } = await primary.ready();
      const grpcPort = grpc.split(':').at(-1) ?? '';

      const told = [{ url: http, address: grpc }];
      const wanted = reachedAt.map((name) => ({
        url: `http://${name}:${new URL(http).port}`,
        address: `${name}:${grpcPort}`,
      }));
      for (const { url, address } of [...told, ...wanted]) {
        assert.equal((await get(`${url}/readyz`)).status, 200);
        assert.deepEqual(await connectGrpc(t, address).call('ServerReady'), { ready: true });
      }
    });
  }

  test('grpcHost and grpcPort give gRPC an address of its own', LIMIT, async (t) => {
    const first = startPrimary(t, ['serve', WORK, '--grpc', '--grpc-host', 'localhost']);
    const { http, grpc } = await first.ready();
    assert.equal(new URL(http).hostname, '127.0.0.1');
    assert.match(grpc, /^localhost:\d+$/);
    assert.equal(await first.stop(), 0);

    const port = grpc.split(':').at(-1) ?? '';
    const second = startPrimary(t, ['serve', WORK, '--grpc', '--grpc-port', port]);
    assert.equal((await second.ready()).grpc, `127.0.0.1:${port}`);
  });

  test('host of another machine is refused by name', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--host', '192.0.2.1']);
    assert.equal((await primary.refused()).code, 1);
    assert.match(primary.stderr, /^BIND_FAILED: .*HTTP on 192\.0\.2\.1:0: this machine has no such address/);
  });

  test('host that does not resolve is refused by name', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--host', 'no-such-host.invalid']);
    assert.equal((await primary.refused()).code, 1);
    assert.match(primary.stderr, /^BIND_FAILED: .*HTTP on no-such-host\.invalid:0: the name does not resolve/);
  });

  test('port is bound again after a stop, and the same number is reported', LIMIT, async (t) => {
    const first = startPrimary(t, ['serve', WORK]);
    const { http } = await first.ready();
    assert.equal(await first.stop(), 0);
    const second = startPrimary(t, ['serve', WORK, '--port', new URL(http).port]);
    assert.equal((await second.ready()).http, http);
  });

  test(
    'backlog reaches the kernel for HTTP and gRPC',
    { ...LIMIT, skip: HAS_SS ? false : 'ss is not installed' },
    async (t) => {
      const primary = startPrimary(t, ['serve', WORK, '--grpc', '--backlog', '37']);
      const { http, grpc } = await primary.ready();
      for (const port of [new URL(http).port, grpc.split(':').at(-1)]) {
        const line = execFileSync('ss', ['-ltnH', `sport = :${port}`], { encoding: 'utf8' }).trim();
        assert.equal(line.split(/\s+/)[2], '37', line); // Send-Q of a listening socket is its backlog
      }
    },
  );

  test('apiWorkers, grpcWorkers and runnerWorkers start so many processes', LIMIT, async (t) => {
    const flags = ['--api-workers', '2', '--grpc-workers', '3', '--runner-workers', '2'];
    const primary = startPrimary(t, ['serve', WORK, '--grpc', ...flags]);
    await primary.ready();
    assert.deepEqual(readyByRole(primary), { runner: 2, http: 2, grpc: 3 });
    assert.equal(primary.processes().length, 8);
  });

  test('grpcWorkers are as many as apiWorkers where they are not set', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--api-workers', '2']);
    await primary.ready();
    assert.deepEqual(readyByRole(primary), { runner: 1, http: 2, grpc: 2 });
  });

  test('development starts one worker of each kind', LIMIT, async (t) => {
    const env = { JUBAKO_API_WORKERS: undefined };
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--development'], { env });
    await primary.ready();
    assert.deepEqual(readyByRole(primary), { runner: 1, http: 1, grpc: 1 });
  });

  test('requests are spread over all HTTP workers', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--api-workers', '2']);
    const { http } = await primary.ready();
    const pids = new Set<unknown>();
    for (let i = 0; i < 4; i += 1) pids.add(((await post(`${http}/whereami`, {})).json as { pid: number }).pid);
    assert.deepEqual(pids, new Set([await primary.workerReady('http-0'), await primary.workerReady('http-1')]));
  });

  test('workingDir is what the target is relative to, and the folder that handlers run in', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', 'work', '--working-dir', 'test/fixtures']);
    const { http } = await primary.ready();
    const answer = (await post(`${http}/whereami`, {})).json as { cwd: string };
    assert.equal(answer.cwd, repositoryFile('test/fixtures'));
  });

  test('workingDir that is missing is refused by name', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--working-dir', '/no/such/folder']);
    assert.equal((await primary.refused()).code, 78, primary.stderr);
    assert.match(primary.stderr, /\/no\/such\/folder/);
    await primary.vanished();
  });

  test('runtimeDir holds the private folder of the sockets', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK]);
    const { http } = await primary.ready();
    const opened = await primary.nextLog({ event: 'link.opened' });
    assert.ok(
      String(opened['address']).startsWith(`unix://${primary.runtimeParent}/jubako-`),
      String(opened['address']),
    );
    assert.equal((await get(`${http}/livez`)).status, 200);
  });
});
