import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainOrder } from '#dist/supervisor/drain-order.js';
import { decideMemory } from '#dist/supervisor/memory-decision.js';
import { parseProcessStat, parseRssBytes, readProcessStat, readRssBytes } from '#dist/supervisor/process-stat.js';
import { decideStuck, type SignsOfLife } from '#dist/supervisor/stuck-decision.js';

test('decideMemory replaces a worker that has grown beyond the limit', () => {
  assert.equal(decideMemory({ rssBytes: 100, readyRssBytes: 50 }, 100), 'keep');
  assert.equal(decideMemory({ rssBytes: 101, readyRssBytes: 50 }, 100), 'replace');
  assert.equal(decideMemory({ rssBytes: 1e12, readyRssBytes: 1 }, Number.POSITIVE_INFINITY), 'keep');
});

test('decideMemory keeps a worker that was too large when it became ready, until it has grown by a half', () => {
  assert.equal(decideMemory({ rssBytes: 200, readyRssBytes: 200 }, 100), 'tooLarge');
  assert.equal(decideMemory({ rssBytes: 299, readyRssBytes: 200 }, 100), 'tooLarge');
  assert.equal(decideMemory({ rssBytes: 300, readyRssBytes: 200 }, 100), 'replace');
  assert.equal(decideMemory({ rssBytes: 90, readyRssBytes: 200 }, 100), 'keep');
});

const ALIVE: SignsOfLife = { silentMs: 0, stoppedMs: undefined, cpuMs: 0, speaks: true };

test('decideStuck kills a worker that is stopped for five seconds, whatever else it does', () => {
  assert.deepEqual(decideStuck({ ...ALIVE, silentMs: 9_000, stoppedMs: 4_999 }), { kind: 'fine' });
  const killed = { kind: 'kill', cause: 'stopped by a signal' };
  assert.deepEqual(decideStuck({ ...ALIVE, silentMs: 9_000, stoppedMs: 5_000 }), killed);
  assert.deepEqual(decideStuck({ ...ALIVE, silentMs: 9_000, stoppedMs: 5_000, speaks: false }), killed);
});

test('decideStuck kills a worker that is silent for half a minute and computes', () => {
  assert.deepEqual(decideStuck({ ...ALIVE, silentMs: 29_999, cpuMs: 29_000 }), { kind: 'fine' });
  assert.deepEqual(decideStuck({ ...ALIVE, silentMs: 30_000, cpuMs: 27_000 }), {
    kind: 'kill',
    cause: 'its event loop is stuck',
  });
});

test('decideStuck only reports a worker that is silent and idle, and none that does not speak yet', () => {
  assert.deepEqual(decideStuck({ ...ALIVE, silentMs: 3_600_000, cpuMs: 50 }), { kind: 'report' });
  assert.deepEqual(decideStuck({ ...ALIVE, silentMs: 3_600_000, cpuMs: 3_600_000, speaks: false }), { kind: 'fine' });
});

test('parseProcessStat finds state and CPU time behind a name with parentheses and spaces', () => {
  const text = '17 (node (x) y) T 1 17 17 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 11 0 1 2 3';
  assert.deepEqual(parseProcessStat(text), { state: 'T', cpuMs: 3000 });
});

test('parseRssBytes finds resident memory, and none of a process that has ended', () => {
  assert.equal(parseRssBytes('Name:\tnode\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\n'), 102_400);
  assert.equal(parseRssBytes('Name:\tnode\nState:\tZ (zombie)\n'), undefined);
});

test('readProcessStat and readRssBytes read this process, and nothing of one that is not there', () => {
  const stat = readProcessStat(process.pid);
  assert.ok(stat !== undefined && stat.cpuMs > 0);
  assert.equal(stat.state, 'R');
  assert.ok((readRssBytes(process.pid) ?? 0) > 2 ** 20);
  assert.equal(readProcessStat(2 ** 30), undefined);
  assert.equal(readRssBytes(2 ** 30), undefined);
});

test('drainOrder lets every runner outlive those that call it', () => {
  const runner = (name: string, ...calls: string[]): Parameters<typeof drainOrder>[0][number] & { name: string } => ({
    name,
    plan: { role: 'runner', runner: name, calls },
  });
  const http = { name: 'http', plan: { role: 'http' as const, runner: null, calls: ['a', 'b', 'c', 'd'] } };
  const steps = drainOrder([runner('c'), runner('a', 'b', 'c'), http, runner('b', 'c'), runner('d')]);
  assert.deepEqual(
    steps.map((step) => step.map(({ name }) => name)),
    [['http'], ['a', 'd'], ['b'], ['c']],
  );
  assert.deepEqual(drainOrder([runner('alone')])[0], []);
});
