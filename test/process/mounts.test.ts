import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { errorOf, get, post } from '../support/http-client.js';
import { childrenOf, killGroup, membersOf } from '../support/process-group.js';
import {
  LIMIT,
  fixture,
  startPrimary,
  tempFolder,
  until,
  type Cleanup,
  type LogLine,
  type RunningProcess,
} from '../support/start-primary.js';

const MOUNTED = fixture('mounted');
const APP = fixture('mounted/app.mjs');
const EX_CONFIG = 78;

interface Started {
  readonly pid: number;
  readonly helper: number;
  readonly port: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly greeting?: string;
  readonly secrets: readonly string[];
}

function serve(
  t: Cleanup,
  mounts: Readonly<Record<string, unknown>>,
  args: readonly string[] = [],
  command = 'serve',
): RunningProcess {
  const env = { MOUNTS: JSON.stringify(mounts), JUBAKO_LINK_TOKEN: 'a secret', JUBAKO_API_KEYS: '' };
  return startPrimary(t, [command, MOUNTED, ...args], { env });
}

/** The application of test/fixtures, and what its environment has besides. */
function app(env: Readonly<Record<string, string>> = {}, more: object = {}): object {
  return { command: [process.execPath, APP], env, ...more };
}

/** What a started application says of itself; a group that the test leaves behind is ended. */
async function started(t: Cleanup, primary: RunningProcess): Promise<Started> {
  const { pid, ...facts } = await said(primary, 'listening');
  t.after(() => {
    killGroup(Number(pid));
  });
  return { pid: Number(pid), ...facts } as unknown as Started;
}

/** The next line of this kind that an application printed. */
async function said(primary: RunningProcess, event: string): Promise<Record<string, unknown>> {
  for (;;) {
    const { msg } = await primary.nextLog({ event: 'mount.output' });
    const text = String(msg);
    const line = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
    if (line['app'] === event) return line;
  }
}

function isOfMount({ name }: LogLine): boolean {
  return String(name).startsWith('mount ');
}

describe('mounted commands', { concurrency: 2 }, () => {
  test('are ready before the server is, get their port, and end after the API workers', LIMIT, async (t) => {
    const cwd = tempFolder(t);
    const command = [process.execPath, APP, '--port', '{port}', 'http://localhost:{port}/'];
    const env = { GREETING: 'hello; $(id)', WAIT_FOR: join(cwd, 'go') };
    const primary = serve(t, { '/app': { command, cwd, env, readyPath: '/ready' } });
    const running = await started(t, primary);
    const { port } = running;
    assert.deepEqual(running.args, ['--port', port, `http://localhost:${port}/`]);
    assert.equal(running.cwd, realpathSync(cwd));
    assert.equal(running.greeting, env.GREETING); // no shell has seen it
    assert.deepEqual(running.secrets, []);
    assert.match(
      (await primary.nextLog({ event: 'server.plan', pool: 'mount /app' }))['msg'] as string,
      /^mount \/app: /,
    );

    const { addresses } = await primary.nextLog({ event: 'server.listening' });
    const { http } = addresses as { readonly http: string };
    const early = await get(`${http}/readyz`);
    assert.equal(early.status, 503);
    assert.equal(errorOf(early).message, 'Not ready: the mount "/app" is starting');
    assert.equal((await get(`${http}/livez`)).status, 200);
    assert.ok(!primary.logs.some(({ event }) => event === 'server.ready'));
    writeFileSync(env.WAIT_FOR, '');
    await primary.ready();
    assert.equal((await get(`${http}/readyz`)).status, 200);
    assert.match((await get(`${http}/metrics`)).text, /jubako_workers\{role="mount",state="ready"\} 1/);

    assert.equal(await primary.stop(), 0);
    assert.deepEqual(membersOf(running.pid), []);
    const order = primary.logs.flatMap(({ event, name, msg }) => {
      if (event === 'worker.stopped') return [name];
      return event === 'mount.output' && String(msg).includes('asked to stop') ? ['asked'] : [];
    });
    assert.deepEqual(order, ['http-0', 'asked', 'mount /app']);
    await primary.vanished();
  });

  test('start again on the same port when they die, and only their path is gone meanwhile', LIMIT, async (t) => {
    const refuse = join(tempFolder(t), 'refuse');
    const primary = serve(t, { '/app': app({ REFUSE: refuse }) });
    const first = await started(t, primary);
    const { http } = await primary.ready();
    assert.deepEqual((await get(`${http}/app/x?y=1`)).json, { pid: first.pid, url: '/x?y=1' });
    writeFileSync(refuse, '');
    await get(`${http}/app/crash`);
    const causes = [];
    for (let death = 0; death < 3; death += 1) {
      causes.push((await primary.nextLog({ event: 'worker.died', name: 'mount /app' }))['cause']);
    }
    assert.deepEqual(causes, ['code 1', 'code 4', 'code 4']);
    assert.deepEqual(membersOf(first.pid), []); // what it had started went with it
    const away = await get(`${http}/app/x`);
    assert.equal(away.status, 503, away.text);
    assert.equal((await get(`${http}/readyz`)).status, 200);
    assert.equal((await post(`${http}/echo`, 1)).status, 200);

    rmSync(refuse);
    const second = await started(t, primary);
    assert.equal(second.port, first.port);
    assert.deepEqual((await get(`${http}/app/x`)).json, { pid: second.pid, url: '/x' });
    assert.equal(await primary.stop(), 0);
  });

  test('go with the primary that is killed, and take along what they have started', LIMIT, async (t) => {
    const primary = serve(t, { '/polite': app(), '/deaf': app({ DEAF: '1' }) });
    const apps = [await started(t, primary), await started(t, primary)];
    await primary.ready();
    for (const { pid, helper } of apps) assert.deepEqual(membersOf(pid).sort(), [pid, helper].sort());
    process.kill(-primary.pid, 'SIGKILL'); // all of its group, as a terminal or a supervisor may do it
    await primary.exited;
    await until(() => apps.every(({ pid }) => membersOf(pid).length === 0));
  });

  test('stay watched when the watcher itself is killed', LIMIT, async (t) => {
    const primary = serve(t, { '/app': app() });
    const { pid } = await started(t, primary);
    await primary.ready();
    const watchers = (): number[] =>
      [...childrenOf(primary.pid)].flatMap(([child, command]) => (command.includes('orphan-watcher') ? [child] : []));
    const [watcher] = watchers();
    assert.ok(watcher !== undefined);
    process.kill(watcher, 'SIGKILL');
    await primary.nextLog({ event: 'watcher.ended' });
    await until(() => watchers().length === 1);
    process.kill(primary.pid, 'SIGKILL');
    await primary.exited;
    await until(() => membersOf(pid).length === 0);
  });

  test('that do not end when they are asked to are killed after the grace', LIMIT, async (t) => {
    const primary = serve(t, { '/app': app({ DEAF: '1' }) }, ['--timeout-graceful-shutdown', '0.2']);
    const { pid } = await started(t, primary);
    await primary.ready();
    assert.equal(await primary.stop(), 0);
    assert.deepEqual(membersOf(pid), []);
    const stopped = primary.logs.find((line) => line['event'] === 'worker.stopped' && isOfMount(line));
    assert.equal(stopped?.['cause'], 'signal SIGKILL');
  });

  test('that end again and again refuse the start with what they said last', LIMIT, async (t) => {
    const starts = join(tempFolder(t), 'starts');
    const primary = serve(t, { '/app': app({ SAY: 'no database', STARTS: starts }) });
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(
      primary.stderr,
      /^SERVICE_INVALID: Cannot start the mount "\/app": its command ended 3 times .* last by code 3; it said:\n(.*\n)*no database\nand no more\n/,
    );
    assert.equal(readFileSync(starts, 'utf8').trim().split('\n').length, 3);
    await primary.vanished();
  });

  test('that cannot be run at all refuse the start at once', LIMIT, async (t) => {
    const cwd = tempFolder(t);
    const cases = {
      'there is no program "jubako-no-such-program"': { command: ['jubako-no-such-program'] },
      'this user may not run "./plain.txt"': { command: ['./plain.txt'], cwd },
      [`its cwd ${join(cwd, 'nowhere')} is no folder`]: { command: ['node'], cwd: join(cwd, 'nowhere') },
    };
    writeFileSync(join(cwd, 'plain.txt'), 'text');
    for (const [why, mount] of Object.entries(cases)) {
      const primary = serve(t, { '/app': mount });
      assert.equal((await primary.refused()).code, EX_CONFIG);
      assert.equal(primary.stderr, `SERVICE_INVALID: Cannot start the mount "/app": ${why}\n`);
    }
  });

  test('are stopped when another part of the start fails', LIMIT, async (t) => {
    const primary = serve(t, { '/app': app(), '/none': { command: ['jubako-no-such-program'] } });
    assert.equal((await primary.refused()).code, EX_CONFIG);
    await until(() => childrenOf(primary.pid).size === 0);
    const lines = primary.logs.filter((line) => line['event'] === 'worker.stopped' && isOfMount(line));
    assert.deepEqual(
      lines.map(({ name }) => name),
      ['mount /app'],
    );
  });

  test('belong to HTTP servers: start-http-server starts them, start-grpc-server does not', LIMIT, async (t) => {
    const starts = join(tempFolder(t), 'starts');
    const mounts = { '/app': app({ STARTS: starts }), '/far': { upstream: 'http://127.0.0.1:9' } };
    const grpc = serve(t, mounts, [], 'start-grpc-server');
    await grpc.ready();
    assert.equal(await grpc.stop(), 0);
    assert.ok(!existsSync(starts));
    const server = serve(t, mounts, [], 'start-http-server');
    const { pid } = await started(t, server);
    const { http } = await server.ready();
    assert.deepEqual((await get(`${http}/app/x`)).json, { pid, url: '/x' });
    assert.equal((await get(`${http}/far/x`)).status, 503); // nobody is there
    assert.equal(await server.stop(), 0);
  });

  test('may be programs in any language', LIMIT, async (t) => {
    if (spawnSync('python3', ['--version']).status !== 0) {
      t.skip('python3 is not installed');
      return;
    }
    const cwd = tempFolder(t);
    mkdirSync(join(cwd, 'static'));
    writeFileSync(join(cwd, 'static', 'page.txt'), 'served by another');
    const command = ['python3', '-m', 'http.server', '{port}', '--bind', '127.0.0.1', '--directory', 'static'];
    const primary = serve(t, { '/files': { command, cwd, readyPath: '/page.txt' } });
    const { http } = await primary.ready();
    assert.equal((await get(`${http}/files/page.txt`)).text, 'served by another');
    // It logs each request.
    await primary.nextLog({ event: 'mount.output', mount: '/files', stream: 'stderr' });
    assert.equal(await primary.stop(), 0);
  });

  test('check shows them with the rest of the service', LIMIT, async (t) => {
    const env = { MOUNTS: JSON.stringify({ '/app': { command: ['python3', 'app.py'], readyPath: '/healthz' } }) };
    const check = startPrimary(t, ['check', MOUNTED], { env });
    assert.equal((await check.exited).code, 0);
    assert.match(check.stdout, /Mounts:\n {2}\/app: python3 app\.py, ready when \/healthz answers\n/);
    assert.match(check.stdout, /mount \/app: "python3 app\.py" on a loopback port of its own\n/);
  });
});
