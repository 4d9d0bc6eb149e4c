import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToWorker } from '#dist/ipc/messages.js';
import { MetricsHub, type CountingWorker } from '#dist/supervisor/metrics-hub.js';

class FakeWorker implements CountingWorker {
  readonly name: string;
  readonly generation = 0;
  listens = true;
  readonly asked: number[] = [];

  constructor(name: string) {
    this.name = name;
  }

  send(message: ToWorker): void {
    assert.ok(message.type === 'deltaWanted');
    this.asked.push(message.collectId);
  }
}

function delta(total: number): { counters: Record<string, number>; gauges: Record<string, number> } {
  return { counters: { 'a_total{x="1"}': total }, gauges: { g: total } };
}

test('MetricsHub answers with what every worker has counted by then', async () => {
  const workers = [new FakeWorker('http-0'), new FakeWorker('http-1')];
  const [first, second] = workers as [FakeWorker, FakeWorker];
  const hub = new MetricsHub(() => workers);
  hub.add(first, delta(1), null);
  let isAnswered = false;
  const counters = hub.counters('a_').finally(() => {
    isAnswered = true;
  });
  hub.add(second, delta(10), null); // its regular push was on the way: what it has counted since is still to come
  hub.add(first, delta(100), first.asked[0] ?? 0);
  await new Promise(setImmediate);
  assert.equal(isAnswered, false);
  hub.add(second, delta(1000), second.asked[0] ?? 0);
  assert.deepEqual(await counters, { 'a_total{x="1"}': 1111 });
  assert.deepEqual(await hub.counters('b_').catch(() => ({})), {});
});

test('MetricsHub asks again for whoever asks while it collects', async () => {
  const worker = new FakeWorker('http-0');
  const hub = new MetricsHub(() => [worker]);
  const early = hub.counters('a_');
  hub.add(worker, delta(1), null);
  const late = [hub.counters('a_'), hub.counters('a_')];
  assert.equal(worker.asked.length, 1);
  hub.add(worker, delta(2), worker.asked[0] ?? 0);
  assert.deepEqual(await early, { 'a_total{x="1"}': 3 });
  await new Promise(setImmediate);
  assert.equal(worker.asked.length, 2); // once for both
  hub.add(worker, delta(4), worker.asked[1] ?? 0);
  for (const counters of await Promise.all(late)) assert.deepEqual(counters, { 'a_total{x="1"}': 7 });
});

test('MetricsHub waits for no worker that has died, is held, or says nothing', async () => {
  const [held, dying, silent] = ['held', 'dying', 'silent'].map((name) => new FakeWorker(name)) as [
    FakeWorker,
    FakeWorker,
    FakeWorker,
  ];
  held.listens = false;
  const hub = new MetricsHub(() => [held, dying, silent]);
  hub.add(dying, delta(1), null);
  hub.add(silent, delta(2), null);
  const text = hub.text();
  hub.forget(dying);
  assert.deepEqual(held.asked, []);
  assert.match(await text, /^$/); // none of these is a metric of ours
  assert.deepEqual(await new MetricsHub(() => []).counters(''), {});
});

test('MetricsHub gives text with what the primary counts itself', async () => {
  const hub = new MetricsHub(() => []);
  hub.own.gauge('jubako_workers', { role: 'http', state: 'ready' }).set(2);
  assert.match(await hub.text(), /jubako_workers\{role="http",state="ready"\} 2/);
});
