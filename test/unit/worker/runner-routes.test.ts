import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cancellation } from '#dist/cancellation.js';
import type { RunnerMap } from '#dist/config/addresses.js';
import type { RunnerTransport } from '#dist/service/bound-runners.js';
import { newTiming, type RunnerCall } from '#dist/service/invoke.js';
import { RunnerRoutes } from '#dist/worker/runner-routes.js';

class FakeTier implements RunnerTransport {
  readonly name: string;
  map: RunnerMap = {};

  constructor(name: string) {
    this.name = name;
  }

  setMap(map: RunnerMap): void {
    this.map = map;
  }

  call({ runner }: RunnerCall): Promise<unknown> {
    return Promise.resolve(`${this.name} answers for ${runner}`);
  }

  async *stream({ runner }: RunnerCall): AsyncIterable<unknown> {
    yield await Promise.resolve(`${this.name} streams for ${runner}`);
  }
}

function callOf(runner: string): RunnerCall {
  return {
    runner,
    method: 'run',
    input: null,
    priority: 'normal',
    requestId: '',
    cancellation: new Cancellation(),
    deadlineAtMs: undefined,
    timing: newTiming(),
  };
}

const MAP = { far: ['tcp://10.0.0.1:7001'], near: ['tcp://10.0.0.1:7002'], others: ['tcp://10.0.0.1:7003'] };

function make(): { readonly links: FakeTier; readonly routes: RunnerRoutes } {
  const links = new FakeTier('link');
  return {
    links,
    routes: new RunnerRoutes(links, new Map([['near', new FakeTier('worker')]]), ['near', 'far', 'bad']),
  };
}

test('RunnerRoutes sends a call to the runner that lives here, or over the links', async () => {
  const { routes } = make();
  assert.equal(await routes.call(callOf('near')), 'worker answers for near');
  assert.equal(await routes.call(callOf('far')), 'link answers for far');
  for (const [runner, wanted] of [
    ['near', 'worker streams for near'],
    ['far', 'link streams for far'],
  ] as const) {
    for await (const value of routes.stream(callOf(runner))) assert.equal(value, wanted);
  }
});

test('RunnerRoutes links only to runners of its service that live elsewhere', () => {
  const { links, routes } = make();
  routes.setMap(MAP, {});
  assert.deepEqual(links.map, { far: MAP.far });
});

test('RunnerRoutes refuses at once what the server has given up, until it has an address again', async () => {
  const { links, routes } = make();
  routes.setMap({ ...MAP, bad: [] }, {});
  assert.deepEqual(links.map, { far: MAP.far });
  await assert.rejects(routes.call(callOf('bad')), {
    code: 'NOT_READY',
    message: /Cannot call bad\.run: .* not be started/,
  });
  assert.throws(() => routes.stream(callOf('bad')), { code: 'NOT_READY' });
  routes.setMap({ bad: ['tcp://10.0.0.1:7004'] }, {});
  assert.equal(await routes.call(callOf('bad')), 'link answers for bad');
});

test('RunnerRoutes answers NOT_FOUND for a runner that is unloaded, and links to it no more', async () => {
  const { links, routes } = make();
  routes.setMap({ ...MAP, bad: [] }, { far: 'unloaded' });
  assert.deepEqual(links.map, {});
  const refusal = { code: 'NOT_FOUND', message: 'Cannot call far.run: the model of runner "far" is unloaded' };
  await assert.rejects(routes.call(callOf('far')), refusal);
  assert.throws(() => routes.stream(callOf('far')), refusal);
  assert.deepEqual(routes.absenceOf('far'), { isUnloaded: true, reason: 'unloaded' });
  assert.deepEqual(routes.absenceOf('bad'), { isUnloaded: false, reason: 'runner "bad" could not be started' });
  assert.equal(routes.absenceOf('near'), undefined);

  routes.setMap(MAP, {});
  assert.deepEqual(links.map, { far: MAP.far });
  assert.equal(await routes.call(callOf('far')), 'link answers for far');
  assert.equal(routes.absenceOf('far'), undefined);
});
