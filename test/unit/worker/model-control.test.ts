import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkReadiness } from '#dist/link/runner-links.js';
import type { ModelControl } from '#dist/service/model-control.js';
import { createModelControl, type ModelControlOptions } from '#dist/worker/model-control.js';
import type { Absence } from '#dist/worker/runner-routes.js';

const ABSENT: Readonly<Record<string, Absence>> = {
  gone: { isUnloaded: true, reason: 'unloaded' },
  broken: { isUnloaded: false, reason: 'runner "broken" could not be started' },
};

function make(given: Partial<ModelControlOptions> = {}): {
  readonly models: ModelControl;
  readonly probed: string[];
  readonly asked: unknown[];
} {
  const probed: string[] = [];
  const asked: unknown[] = [];
  const models = createModelControl({
    isOn: true,
    routes: { absenceOf: (runner) => ABSENT[runner] },
    links: {
      probe: (_withinMs, runner): Promise<LinkReadiness> => {
        probed.push(runner);
        if (runner === 'digits') return Promise.resolve({ ready: true });
        return Promise.resolve({ ready: false, runner, reason: 'tcp://10.0.0.1:7001: refused' });
      },
    },
    embedded: new Map([
      ['tiny', { isReady: true }],
      ['slow', { isReady: false }],
    ]),
    primary: {
      controlModels: (action, runners) => {
        asked.push([action, ...runners]);
        return Promise.resolve();
      },
    },
    ...given,
  });
  return { models, probed, asked };
}

test('readinessOf a runner is that of its links, of its threads, or why it is not there', async () => {
  const { models, probed } = make();
  assert.deepEqual(await models.readinessOf('digits'), { ready: true });
  // No address: anybody may read it.
  assert.deepEqual(await models.readinessOf('lost'), { ready: false, reason: 'runner "lost" is not connected' });
  assert.deepEqual(probed, ['digits', 'lost']);
  assert.deepEqual(await models.readinessOf('tiny'), { ready: true });
  assert.deepEqual(await models.readinessOf('slow'), { ready: false, reason: 'runner "slow" is not loaded' });
  assert.deepEqual(await models.readinessOf('gone'), { ready: false, reason: 'unloaded' });
  assert.equal((await models.readinessOf('broken')).ready, false);
  assert.deepEqual(
    ['gone', 'broken', 'digits'].map((runner) => models.isUnloaded(runner)),
    [true, false, false],
  );
});

test('readinessOf asks the workers of a runner once for all who ask at a time', async () => {
  const { models, probed } = make();
  await Promise.all([...Array.from({ length: 100 }, () => models.readinessOf('digits')), models.readinessOf('lost')]);
  assert.deepEqual(probed, ['digits', 'lost']);
});

test('load and unload ask the primary, and nobody where the setting is off', async () => {
  const on = make();
  await on.models.load(['a', 'b']);
  await on.models.unload(['a']);
  assert.deepEqual(on.asked, [
    ['load', 'a', 'b'],
    ['unload', 'a'],
  ]);
  const off = make({ isOn: false });
  const refusal = { code: 'FORBIDDEN', message: /setting modelControl is off/ };
  await assert.rejects(off.models.load(['a']), refusal);
  await assert.rejects(off.models.unload(['a']), refusal);
  assert.deepEqual(off.asked, []);
});
