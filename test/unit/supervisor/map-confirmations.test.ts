import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MapConfirmation, ToWorker } from '#dist/ipc/messages.js';
import { MapConfirmations, type ToldWorker } from '#dist/supervisor/map-confirmations.js';

class FakeWorker implements ToldWorker {
  readonly told: (MapConfirmation | null)[] = [];

  send(message: ToWorker): void {
    assert.ok(message.type === 'runnerMap');
    this.told.push(message.confirm);
  }
}

function mapWith(confirm: MapConfirmation): ToWorker {
  return { type: 'runnerMap', map: {}, unloaded: {}, confirm };
}

test('MapConfirmations waits for the word of each worker, or for its end', async () => {
  const confirmations = new MapConfirmations();
  const [first, second] = [new FakeWorker(), new FakeWorker()];
  const settled: string[] = [];
  const waits = [
    confirmations.send(first, ['a'], mapWith).then(() => settled.push('first')),
    confirmations.send(second, [], mapWith).then(() => settled.push('second')),
  ];
  assert.deepEqual(first.told, [{ confirmId: 1, connectedTo: ['a'] }]);
  assert.deepEqual(second.told, [{ confirmId: 2, connectedTo: [] }]);
  confirmations.taken(77); // of nobody
  await new Promise(setImmediate);
  assert.deepEqual(settled, []);
  confirmations.taken(2);
  await new Promise(setImmediate);
  assert.deepEqual(settled, ['second']);
  confirmations.workerGone(first);
  await Promise.all(waits);
});
