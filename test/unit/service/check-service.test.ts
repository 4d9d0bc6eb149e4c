import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkService } from '#dist/service/check-service.js';
import { defineRunner, defineService, json, type RunnerDefinition } from '#dist/service/index.js';

type Changes = Partial<Pick<RunnerDefinition, 'placement' | 'runners' | 'workers' | 'threads' | 'resources'>>;

function runner(name: string, changes: Changes = {}): RunnerDefinition {
  const methods = { run: { input: json(), output: json(), run: () => null } };
  return { ...defineRunner({ name, load: () => null, methods }), ...changes };
}

function check(...runners: RunnerDefinition[]): void {
  checkService(defineService({ name: 's', runners, apis: {} }));
}

const near = runner('near', { placement: 'embedded' });

test('checkService takes runners that call others, and embedded ones', () => {
  const scale = runner('scale');
  check(
    near,
    runner('pipeline', { runners: [scale] }),
    runner('ensemble', { placement: 'embedded', runners: [scale] }),
  );
});

for (const placement of ['process', 'embedded'] as const) {
  test(`checkService refuses a runner of placement ${placement} that calls an embedded one: it could not reach it`, () => {
    assert.throws(() => check(runner('caller', { placement, runners: [near] })), {
      code: 'SERVICE_INVALID',
      message:
        'Cannot serve "s": runner "caller" calls "near", which is embedded: only APIs reach an embedded runner, so place it "process"',
    });
  });
}

test('checkService refuses runners that call each other in a circle', () => {
  const first = runner('first');
  const second = runner('second', { runners: [first] });
  Object.assign(first, { runners: [second] });
  assert.throws(() => check(first), { code: 'SERVICE_INVALID', message: /first.*second.*first/ });
});

for (const [what, changes, message] of [
  ['workers of an embedded runner', { placement: 'embedded', workers: 2 }, /has no workers of its own/],
  ['devices of an embedded runner', { placement: 'embedded', resources: { devices: ['0'] } }, /shares its process/],
  ['a placement that is none', { placement: 'nowhere' as 'process' }, /placement is "nowhere", wanted "process" or/],
  ['no threads', { threads: 0 }, /threads is 0, wanted a whole number from 1 to 256/],
] as const) {
  test(`checkService refuses ${what}`, () => {
    assert.throws(() => check(runner('r', changes)), { code: 'SERVICE_INVALID', message });
  });
}
