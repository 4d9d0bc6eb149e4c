import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideLoad, decideUnload, type RunnerView } from '#dist/supervisor/model-decisions.js';

function view(name: string, given: Partial<RunnerView> = {}): RunnerView {
  return { name, place: 'pool', isLoaded: true, calls: [], ...given };
}

/** `top` calls `middle`, which calls `base`. */
const CHAIN = [view('base'), view('middle', { calls: ['base'] }), view('top', { calls: ['middle'] }), view('alone')];

test('decideUnload takes what was asked for, each once', () => {
  assert.deepEqual(decideUnload(['alone', 'top', 'alone'], CHAIN), ['alone', 'top']);
  assert.deepEqual(decideUnload([], CHAIN), []);
});

test('decideUnload refuses a runner that a loaded one calls, and names that', () => {
  assert.throws(() => decideUnload(['base'], CHAIN), {
    code: 'INVALID_INPUT',
    message: 'Cannot unload runner "base": runner "middle" calls it; unload "middle" first, or both at once',
  });
  assert.throws(() => decideUnload(['middle', 'base'], CHAIN), { message: /"middle": runner "top" calls it/ });
});

test('decideUnload allows it where the callers go along or have gone', () => {
  assert.deepEqual(decideUnload(['base', 'middle', 'top'], CHAIN), ['base', 'middle', 'top']);
  const withoutCallers = CHAIN.map((runner) => (runner.name === 'base' ? runner : { ...runner, isLoaded: false }));
  assert.deepEqual(decideUnload(['base'], withoutCallers), ['base']);
});

test('decideUnload does not offer to unload a caller that cannot be unloaded', () => {
  const all = [view('base'), view('tiny', { place: 'embedded', calls: ['base'] })];
  assert.throws(() => decideUnload(['base'], all), { message: 'Cannot unload runner "base": runner "tiny" calls it' });
});

test('decideLoad brings along what is called, except what runs elsewhere', () => {
  assert.deepEqual(decideLoad(['top'], CHAIN), ['top', 'middle', 'base']);
  assert.deepEqual(decideLoad(['alone', 'base'], CHAIN), ['alone', 'base']);
  const all = [view('far', { place: 'remote' }), view('near', { calls: ['far'] })];
  assert.deepEqual(decideLoad(['near'], all), ['near']);
});

test('decideLoad and decideUnload refuse what has no workers here, and what there is not', () => {
  const all = [view('tiny', { place: 'embedded' }), view('far', { place: 'remote' })];
  for (const decide of [decideLoad, decideUnload]) {
    assert.throws(() => decide(['tiny'], all), { code: 'INVALID_INPUT', message: /embedded in the API workers$/ });
    assert.throws(() => decide(['far'], all), { code: 'INVALID_INPUT', message: /answers elsewhere$/ });
    assert.throws(() => decide(['none'], all), { code: 'NOT_FOUND', message: /runner "none": there is none$/ });
  }
});
