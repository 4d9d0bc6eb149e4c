import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import pino from 'pino';
import type { ToWorker } from '#dist/ipc/messages.js';
import type { ForkedWorker, ForkListeners } from '#dist/supervisor/forked-worker.js';
import { MountedApp, type OnLine } from '#dist/supervisor/mounted-app.js';
import { Metrics } from '#dist/telemetry/metrics.js';

class FakeProcess implements ForkedWorker {
  readonly pid: number;
  readonly done: string[] = [];
  readonly say: OnLine;
  readonly #listeners: ForkListeners;

  constructor(pid: number, say: OnLine, listeners: ForkListeners) {
    this.pid = pid;
    this.say = say;
    this.#listeners = listeners;
  }

  send(message: ToWorker): void {
    this.done.push(message.type);
  }

  kill(signal: NodeJS.Signals): void {
    this.done.push(signal);
  }

  becomeReady(): void {
    this.#listeners.onMessage({ type: 'ready' });
  }

  exit(cause = 'code 1'): void {
    this.#listeners.onExit(cause, null);
  }
}

class AppUnderTest extends EventEmitter {
  readonly processes: FakeProcess[] = [];
  readonly log: Record<string, unknown>[] = [];
  started = 0;
  readonly metrics = new Metrics();
  readonly app: MountedApp;

  constructor() {
    super();
    this.app = new MountedApp({
      path: '/app',
      startProcess: (onLine, listeners) => {
        const process = new FakeProcess(this.processes.length + 1, onLine, listeners);
        this.processes.push(process);
        this.emit('process', process);
        return process;
      },
      logger: pino({}, { write: (line: string) => void this.log.push(JSON.parse(line) as Record<string, unknown>) }),
      metrics: this.metrics,
      onStarted: () => (this.started += 1),
      onState: () => undefined,
      maxDeathsInARow: 3,
    });
  }

  get last(): FakeProcess {
    const process = this.processes.at(-1);
    assert.ok(process !== undefined);
    return process;
  }

  async up(): Promise<MountedApp> {
    const ready = this.app.start();
    this.last.becomeReady();
    await ready;
    this.app.serverIsUp();
    return this.app;
  }

  async dieAndReturn(): Promise<void> {
    const next = once(this, 'process');
    this.last.exit();
    await next;
  }
}

test('MountedApp that dies again and again once the server is up is given up, with its last lines', async () => {
  const under = new AppUnderTest();
  const app = await under.up();
  assert.equal(app.hasBeenReady, true);
  await under.dieAndReturn();
  under.last.becomeReady();
  assert.equal(app.state, 'ready');
  assert.equal(under.started, 1); // only the first time
  await under.dieAndReturn();
  for (let i = 1; i <= 30; i += 1) under.last.say(`line ${i}`, 'stderr');
  under.last.exit('signal SIGSEGV');

  assert.equal(app.state, 'failed');
  const failed = under.log.find(({ event }) => event === 'mount.failed');
  assert.match(
    String(failed?.['msg']),
    /^the mount \/app is given up: .* 3 times in a row, last by signal SIGSEGV; it said:\nline 11\n(.*\n)*line 30$/,
  );
  assert.equal(under.processes.length, 3);
  await app.drain(1000); // nothing is left to end
  const { counters } = under.metrics.takeDelta();
  assert.equal(counters['jubako_worker_exits_total{role="mount",cause="code 1"}'], 2);
});

test('MountedApp ends the start after three deaths', async () => {
  const under = new AppUnderTest();
  const ready = under.app.start();
  under.last.say('no database', 'stdout');
  await under.dieAndReturn();
  await under.dieAndReturn();
  under.last.exit('code 3');
  await assert.rejects(ready, {
    code: 'SERVICE_INVALID',
    message:
      'Cannot start the mount "/app": its command ended 3 times before it was ready, last by code 3; it said:\nno database',
  });
  assert.equal(under.app.hasBeenReady, false);
  await under.app.drain(0);
  assert.equal(under.processes.length, 3); // not a fourth time
});

test('MountedApp asks its process to end, and waits until it has', async () => {
  const under = new AppUnderTest();
  const app = await under.up();
  let isGone = false;
  const gone = app.drain(5000).then(() => {
    isGone = true;
  });
  assert.deepEqual(under.last.done, ['drain']);
  await Promise.resolve();
  assert.equal(isGone, false);
  under.last.exit('code 0');
  await gone;
  assert.equal(under.metrics.takeDelta().counters['jubako_worker_exits_total{role="mount",cause="drained"}'], 1);
});
