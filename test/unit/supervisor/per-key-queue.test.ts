import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PerKeyQueue } from '#dist/supervisor/per-key-queue.js';

class Steps {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, (error: Error | undefined) => void>();

  work(name: string): () => Promise<string> {
    return () => {
      this.begun.push(name);
      return new Promise((resolve, reject) => {
        this.#ends.set(name, (error) => {
          if (error === undefined) resolve(name);
          else reject(error);
        });
      });
    };
  }

  end(name: string, error?: Error): void {
    this.#ends.get(name)?.(error);
  }
}

test('PerKeyQueue does work with a key in common one after the other, and other work at once', async () => {
  const queue = new PerKeyQueue();
  const steps = new Steps();
  const ab = queue.run(['a', 'b'], steps.work('ab'));
  const b = queue.run(['b'], steps.work('b'));
  const c = queue.run(['c'], steps.work('c'));
  const bc = queue.run(['b', 'c'], steps.work('bc'));
  await new Promise(setImmediate);
  assert.deepEqual(steps.begun, ['ab', 'c']);
  steps.end('ab');
  assert.equal(await ab, 'ab');
  await new Promise(setImmediate);
  assert.deepEqual(steps.begun, ['ab', 'c', 'b']);
  steps.end('c');
  steps.end('b');
  assert.deepEqual(await Promise.all([b, c]), ['b', 'c']);
  await new Promise(setImmediate);
  steps.end('bc');
  assert.equal(await bc, 'bc');
});

test('PerKeyQueue goes on after work that fails', async () => {
  const queue = new PerKeyQueue();
  const steps = new Steps();
  const first = queue.run(['a'], steps.work('first'));
  const second = queue.run(['a'], steps.work('second'));
  await new Promise(setImmediate);
  steps.end('first', new Error('no'));
  await assert.rejects(first, /no/);
  await new Promise(setImmediate);
  steps.end('second');
  assert.equal(await second, 'second');
});
