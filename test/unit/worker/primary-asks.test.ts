import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import type { PrimaryChannel } from '#dist/ipc/channel.js';
import type { FromWorker } from '#dist/ipc/messages.js';
import { Metrics } from '#dist/telemetry/metrics.js';
import { PrimaryAsks } from '#dist/worker/primary-asks.js';
import { createTokenSource } from '#dist/worker/token-source.js';

function make(): { readonly asks: PrimaryAsks; readonly metrics: Metrics; readonly sent: FromWorker[] } {
  const sent: FromWorker[] = [];
  const channel: PrimaryChannel = {
    send: (message) => void sent.push(message),
    sendLast: () => Promise.resolve(),
    onMessage: () => undefined,
    onGone: () => undefined,
  };
  const metrics = new Metrics();
  return { asks: new PrimaryAsks(channel, metrics), metrics, sent };
}

test('PrimaryAsks sends what was counted before it asks for the counters of all', async () => {
  const { asks, metrics, sent } = make();
  metrics.counter('jubako_requests_total', { route: '/' }).add(3);
  const counters = asks.counters('jubako_requests_');
  assert.deepEqual(sent, [
    { type: 'metrics', delta: { counters: { 'jubako_requests_total{route="/"}': 3 }, gauges: {} }, collectId: null },
    { type: 'countersWanted', requestId: 1, prefix: 'jubako_requests_' },
  ]);
  asks.answered({ type: 'counters', requestId: 1, counters: { a: 1 } });
  assert.deepEqual(await counters, { a: 1 });
});

test('PrimaryAsks gives each question its own answer, in whatever order they come', async () => {
  const { asks } = make();
  const text = asks.metricsText();
  const tokens = asks.tokens('10.0.0.1', 2);
  asks.answered({ type: 'tokens', requestId: 2, granted: 1, waitMs: 5 });
  asks.answered({ type: 'metricsText', requestId: 1, text: 'a 1\n' });
  asks.answered({ type: 'metricsText', requestId: 1, text: 'again' }); // nobody waits for it any more
  assert.equal(await text, 'a 1\n');
  assert.equal((await tokens).granted, 1);
});

test('PrimaryAsks rebuilds why models were not loaded', async () => {
  const { asks } = make();
  const loaded = asks.controlModels('load', ['a']);
  asks.answered({ type: 'modelAnswered', requestId: 1, error: { code: 'NOT_READY', message: 'damaged' } });
  await assert.rejects(loaded, { code: 'NOT_READY', message: 'damaged' });
  const unloaded = asks.controlModels('unload', ['a']);
  asks.answered({ type: 'modelAnswered', requestId: 2, error: null });
  await unloaded;
});

test('token source lets requests pass where the primary does not answer, and warns once', async () => {
  const warnings: unknown[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(JSON.parse(line)) });
  const source = createTokenSource(make().asks, logger);
  assert.deepEqual(await Promise.all([source.take('a', 3), source.take('b', 1)]), [
    { granted: 3, waitMs: 0 },
    { granted: 1, waitMs: 0 },
  ]);
  assert.equal(warnings.length, 1);
});
