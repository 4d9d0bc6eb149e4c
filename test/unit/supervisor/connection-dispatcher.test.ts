import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import type { ToWorker } from '#dist/ipc/messages.js';
import { ConnectionDispatcher } from '#dist/supervisor/connection-dispatcher.js';
import type { WorkerHandle } from '#dist/supervisor/worker-handle.js';

interface FakeWorker {
  readonly name: string;
  readonly got: number[];
  send(message: ToWorker): void;
}

function fakeWorker(name: string): FakeWorker {
  const got: number[] = [];
  return {
    name,
    got,
    send(message) {
      if (message.type === 'connection') got.push(message.connectionId);
    },
  };
}

function dispatch(workers: FakeWorker[]): ConnectionDispatcher {
  return new ConnectionDispatcher(() => workers as unknown as WorkerHandle[]);
}

test('ConnectionDispatcher gives connections round robin and forgets them once accepted', () => {
  const workers = [fakeWorker('a'), fakeWorker('b')];
  const dispatcher = dispatch(workers);
  for (let i = 0; i < 4; i += 1) dispatcher.add(new Socket());
  assert.deepEqual(
    workers.map(({ got }) => got),
    [
      [1, 3],
      [2, 4],
    ],
  );
  for (let id = 1; id <= 4; id += 1) dispatcher.accepted(id);
  assert.equal(dispatcher.waiting, 0);
});

test('ConnectionDispatcher keeps connections until a worker can take them', () => {
  const workers: FakeWorker[] = [];
  const dispatcher = dispatch(workers);
  dispatcher.add(new Socket());
  const late = fakeWorker('late');
  workers.push(late);
  dispatcher.flush();
  assert.deepEqual(late.got, [1]);
});

test('ConnectionDispatcher offers what a dead or draining worker had not taken to another', () => {
  const [a, b] = [fakeWorker('a'), fakeWorker('b')];
  const workers = [a, b];
  const dispatcher = dispatch(workers);
  dispatcher.add(new Socket());
  dispatcher.add(new Socket());
  workers.shift();
  dispatcher.workerGone(a as unknown as WorkerHandle);
  assert.deepEqual(b.got, [2, 1]);
  dispatcher.rejected(2);
  assert.deepEqual(b.got, [2, 1, 2]);
});

test('ConnectionDispatcher closes its copy of a socket when the worker has confirmed', () => {
  const dispatcher = dispatch([fakeWorker('a')]);
  const socket = new Socket();
  dispatcher.add(socket);
  assert.equal(socket.destroyed, false);
  dispatcher.accepted(1);
  assert.equal(socket.destroyed, true);
});
