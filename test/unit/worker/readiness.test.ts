import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkReadiness } from '#dist/link/runner-links.js';
import { createReadiness } from '#dist/worker/readiness.js';

const ready = { probe: (): Promise<LinkReadiness> => Promise.resolve({ ready: true }) };

test('readiness is that of the links and of the embedded runners together', async () => {
  const away: LinkReadiness = { ready: false, runner: 'digits', reason: 'tcp://10.0.0.1:7001: refused' };
  const loaded = { name: 'tiny', isReady: true };
  const loading = { name: 'tiny', isReady: false };
  assert.deepEqual(await createReadiness({ links: ready, embedded: [] })(), { ready: true });
  assert.deepEqual(await createReadiness({ links: ready, embedded: [loaded] })(), { ready: true });
  assert.deepEqual(await createReadiness({ links: ready, embedded: [loaded, loading] })(), {
    ready: false,
    reason: 'runner "tiny" is not loaded',
  });
  assert.deepEqual(await createReadiness({ links: { probe: () => Promise.resolve(away) }, embedded: [loaded] })(), {
    ready: false,
    reason: 'runner "digits" is not connected', // no address: anybody may read it
  });
});

test('readiness that is asked for again and again asks the links once at a time', async () => {
  const answers: ((readiness: LinkReadiness) => void)[] = [];
  const links = { probe: (): Promise<LinkReadiness> => new Promise((resolve) => answers.push(resolve)) };
  const readiness = createReadiness({ links, embedded: [] });
  const asked = Array.from({ length: 1000 }, () => readiness());
  assert.equal(answers.length, 1);
  answers[0]?.({ ready: true });
  assert.deepEqual(new Set(await Promise.all(asked)), new Set([await asked[0]]));
  const again = readiness();
  assert.equal(answers.length, 2);
  answers[1]?.({ ready: false, runner: 'digits', reason: '' });
  assert.equal((await again).ready, false);
});

test('readiness that fails fails whoever shares it, and is asked for anew', async () => {
  let count = 0;
  const links = {
    probe: (): Promise<LinkReadiness> => {
      count += 1;
      return count === 1 ? Promise.reject(new Error('broken')) : Promise.resolve({ ready: true });
    },
  };
  const readiness = createReadiness({ links, embedded: [] });
  const first = readiness();
  await assert.rejects(first, /broken/);
  assert.deepEqual(await readiness(), { ready: true });
});
