import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeConnections } from '#dist/link/probe-connections.js';

function connection(heardAtMs: number): {
  heardAtMs: number;
  ask: (onHeard: () => void) => void;
  asked: (() => void)[];
} {
  const asked: (() => void)[] = [];
  return { heardAtMs, ask: (onHeard) => asked.push(onHeard), asked };
}

test('probeConnections asks nobody where one was heard lately', async () => {
  const [silent, heard] = [connection(-Infinity), connection(performance.now())];
  assert.equal(await probeConnections([silent, heard], 10_000), true);
  assert.equal(silent.asked.length, 0);
});

test('probeConnections asks all, and is content with the first that answers', async () => {
  const silent = [connection(-Infinity), connection(-Infinity)] as const;
  const probed = probeConnections(silent, 20_000);
  assert.deepEqual(
    silent.map(({ asked }) => asked.length),
    [1, 1],
  );
  silent[1].asked[0]?.();
  assert.equal(await probed, true);
});

test('probeConnections says no where nobody answers in time', async () => {
  const silent = [connection(-Infinity), connection(performance.now() - 1000)];
  assert.equal(await probeConnections(silent, 5), false);
  assert.equal(await probeConnections([], 5), false);
});
