import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkReadiness } from '#dist/link/runner-links.js';
import { createReadiness } from '#dist/worker/readiness.js';

const ready = { probe: (): Promise<LinkReadiness> => Promise.resolve({ ready: true }) };

const noneStarting = { startingMounts: (): readonly string[] => [] };

test('readiness is that of the links and of the embedded runners together', async () => {
  const away: LinkReadiness = { ready: false, runner: 'digits', reason: 'tcp://10.0.0.1:7001: refused' };
  const loaded = { name: 'tiny', isReady: true };
  const loading = { name: 'tiny', isReady: false };
  const of = (links: typeof ready, embedded: (typeof loaded)[]): Promise<unknown> =>
    createReadiness({ links, embedded, ...noneStarting })();
  assert.deepEqual(await of(ready, []), { ready: true });
  assert.deepEqual(await of(ready, [loaded]), { ready: true });
  assert.deepEqual(await of(ready, [loaded, loading]), { ready: false, reason: 'runner "tiny" is not loaded' });
  assert.deepEqual(await of({ probe: () => Promise.resolve(away) }, [loaded]), {
    ready: false,
    reason: 'runner "digits" is not connected', // no address: anybody may read it
  });
});

test('readiness names a mount whose application has not been ready yet', async () => {
  let starting = ['/legacy'];
  const readiness = createReadiness({ links: ready, embedded: [], startingMounts: () => starting });
  assert.deepEqual(await readiness(), { ready: false, reason: 'the mount "/legacy" is starting' });
  starting = [];
  assert.deepEqual(await readiness(), { ready: true });
});

test('readiness that is asked for again and again asks the links once at a time', async () => {
  const answers: ((readiness: LinkReadiness) => void)[] = [];
  const links = { probe: (): Promise<LinkReadiness> => new Promise((resolve) => answers.push(resolve)) };
  const readiness = createReadiness({ links, embedded: [], ...noneStarting });
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
  const readiness = createReadiness({ links, embedded: [], ...noneStarting });
  const first = readiness();
  await assert.rejects(first, /broken/);
  assert.deepEqual(await readiness(), { ready: true });
});
