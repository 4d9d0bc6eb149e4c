import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import type { LocalRunner } from '#dist/runner/local-runner.js';
import { newTiming } from '#dist/service/invoke.js';
import { Tensor, tensorOf } from '#dist/tensor/index.js';
import {
  NO_CALLS,
  callOf,
  folderOf,
  manifestFor,
  outcomeOf,
  startFar,
  startLoading,
  startLocal,
  streamOutcomeOf,
} from './local-harness.js';

const LIMIT = { timeout: 60_000 };
const UNLUCKY = 13;

const ten = tensorOf(
  'float32',
  [10, 2],
  Array.from({ length: 20 }, (_, i) => i / 10),
);
const odd = new Tensor('float32', [2, 2], Float32Array.of(NaN, -0, Infinity, 1e-45));
const mixed = (rows: number): Record<string, Tensor> => ({
  a: tensorOf(
    'float32',
    [rows, 2],
    Array.from({ length: rows * 2 }, (_, i) => i * 0.1),
  ),
  b: tensorOf(
    'int64',
    [rows],
    Array.from({ length: rows }, (_, i) => 2n ** 62n + BigInt(i)),
  ),
  c: new Tensor(
    'string',
    [rows, 1],
    Array.from({ length: rows }, (_, i) => `row ${i} ✓ \u0000`),
  ),
  d: tensorOf(
    'float16',
    [rows],
    Array.from({ length: rows }, (_, i) => 0x3c00 + i),
  ),
});
const document = { text: 'ü✓😀', numbers: [0.1 + 0.2, -0, 1e308, 5e-324], nothing: null, deep: [{ a: [[]] }] };

const CALLS: readonly (readonly [what: string, method: string, input: unknown])[] = [
  ['rows', 'double', tensorOf('float32', [1, 2], [1, 2])],
  ['rows that go in several batches', 'double', ten],
  ['numbers that are none', 'double', odd],
  ['tensors of many types', 'mixed', mixed(3)],
  ['tensors whose rows disagree', 'mixed', { ...mixed(3), b: tensorOf('int64', [1], [1n]) }],
  ['JSON in a batch', 'each', document],
  ['nothing', 'each', undefined],
  ['JSON alone', 'one', document],
  ['a tensor to JSON', 'rowsOf', ten],
  ['a tensor without a batch', 'shift', ten],
  ['no rows', 'double', new Tensor('float32', [0, 2], new Float32Array())],
  ['a tensor of another shape', 'double', tensorOf('float32', [1, 3], [1, 2, 3])],
  ['a value that is no tensor', 'double', 'text'],
  ['a value that has no JSON', 'one', 1n],
  ['a tensor where JSON is wanted', 'one', ten],
  ['a row that the model refuses', 'double', tensorOf('float32', [1, 2], [UNLUCKY, 0])],
  ['a failure with a code and details', 'refuse', { how: 'details' }],
  ['a failure that looks like the loss of a worker', 'refuse', { how: 'lost' }],
  ['a thrown text', 'refuse', { how: 'string' }],
  ['a failure of the model', 'refuse', {}],
  ['an output that does not fit', 'wrong', {}],
  ['a method that is not there', 'nowhere', {}],
  ['a method that streams', 'count', {}],
];

const STREAMS: readonly (readonly [what: string, method: string, input: unknown])[] = [
  ['more values than a window', 'count', { to: 100 }],
  ['no value', 'count', { to: 0 }],
  ['values and then a failure', 'count', { to: 3, how: 'enough' }],
  ['tensors', 'rows', ten],
  ['an input that does not fit', 'rows', tensorOf('float32', [1, 3], [1, 2, 3])],
  ['a method that does not stream', 'one', {}],
];

/** Everything that can be seen of it, with the names of the two runners made equal. */
function visible(outcome: unknown): unknown {
  return JSON.parse(
    JSON.stringify(outcome, (_key, value: unknown) => {
      if (value instanceof Tensor) {
        const { dtype, shape, data } = value as Tensor;
        return { dtype, shape, data: ArrayBuffer.isView(data) ? bitsOf(data) : data };
      }
      return Object.is(value, -0) ? 'minus zero' : (value ?? 'nothing');
    }).replaceAll('near', 'far'),
  );
}

function bitsOf(view: ArrayBufferView): string {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('hex');
}

/** Resolves when the runner is as wanted: its state is no event for callers. */
async function untilReady(runner: LocalRunner, isReady = true): Promise<void> {
  while (runner.isReady !== isReady) await delay(1);
}

async function untilExists(file: string): Promise<void> {
  while (!existsSync(file)) await delay(1);
}

describe('an embedded runner and the same one behind a link', LIMIT, () => {
  test('give the same values and the same failures, bit for bit', async (t) => {
    const { runner: near } = await startLocal(t, 'near');
    const far = await startFar(t, 'far');
    for (const [what, method, input] of CALLS) {
      const here = await outcomeOf(near, callOf('near', method, input));
      const there = await outcomeOf(far.links, callOf('far', method, input));
      assert.deepStrictEqual(visible(here), visible(there), what);
    }
    for (const [what, method, input] of STREAMS) {
      const here = await streamOutcomeOf(near, callOf('near', method, input));
      const there = await streamOutcomeOf(far.links, callOf('far', method, input));
      assert.deepStrictEqual(visible(here), visible(there), what);
    }
  });

  test('count the same calls, rows and batches', async (t) => {
    const near = await startLocal(t, 'near');
    const far = await startFar(t, 'far');
    for (const [, method, input] of CALLS) {
      await outcomeOf(near.runner, callOf('near', method, input));
      await outcomeOf(far.links, callOf('far', method, input));
    }
    const counted = ({ counters }: { readonly counters: Readonly<Record<string, number>> }): unknown =>
      Object.entries(counters)
        .filter(([name]) => /_count|calls_total|batch_rows/.test(name))
        .map(([name, count]) => [name.replaceAll('near', 'far'), count])
        .sort();
    assert.deepStrictEqual(counted(near.metrics.takeDelta()), counted(far.metrics.takeDelta()));
  });

  test('answer calls that came together with rows of their own, and one that fails alone', async (t) => {
    const { runner: near } = await startLocal(t, 'near');
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        outcomeOf(near, callOf('near', 'double', tensorOf('float32', [1, 2], [i, -i]))),
      ),
    );
    const wanted = Array.from({ length: 40 }, (_, i) =>
      i === UNLUCKY
        ? { failure: { code: 'USER_CODE', message: 'unlucky row' } }
        : { value: tensorOf('float32', [1, 2], [2 * i, -2 * i]) },
    );
    assert.deepStrictEqual(visible(outcomes), visible(wanted));
  });
});

describe('an embedded runner', LIMIT, () => {
  test('keeps values apart: what a caller does to an input or an answer later changes nothing', async (t) => {
    const { runner: near } = await startLocal(t, 'near');
    const input = tensorOf('float32', [1, 2], [1, 2]);
    const other = near.call(callOf('near', 'double', tensorOf('float32', [1, 2], [5, 6])));
    const answer = near.call(callOf('near', 'double', input));
    input.data.fill(UNLUCKY);
    const given = (await answer) as Tensor<'float32'>;
    assert.deepEqual([...given.data], [2, 4]);
    new Float32Array(given.data.buffer).fill(0);
    assert.deepEqual([...((await other) as Tensor<'float32'>).data], [10, 12]);
  });

  test('fills the timing of the request', async (t) => {
    const { runner: near } = await startLocal(t, 'near');
    const timing = newTiming();
    await near.call(callOf('near', 'double', ten, { timing }));
    assert.equal(timing.batchRows, 4);
    assert.ok(timing.computeMs > 0);
  });

  test('tells its model where it is', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const place = await runner.call(callOf('mortal', 'place', {}));
    assert.deepEqual(place, { worker: 3, thread: 0, cpus: 2 });
  });

  test('works with all of its threads', async (t) => {
    const { runner } = await startLocal(t, 'mortal', { runner: { ...manifestFor('mortal'), threads: 2 } });
    const waiting = Array.from({ length: 2 }, () => runner.call(callOf('mortal', 'where', {})));
    assert.equal(new Set(await Promise.all(waiting)).size, 2);
  });

  test('makes a call wait until the model is loaded', async (t) => {
    const { runner } = startLoading(t, 'near');
    const early: unknown[] = [];
    // A call waits a second at most, which a busy machine may need for the load.
    while (!runner.isReady) early.push(await outcomeOf(runner, callOf('near', 'one', 'early')));
    assert.deepEqual(early.at(-1), { value: 'early' });
  });

  test('is NOT_READY for a call that has waited a second for the model', async (t) => {
    const { runner } = startLoading(t, 'slow');
    await assert.rejects(runner.call(callOf('slow', 'one', null)), { code: 'NOT_READY' });
  });

  test('gives up a waiting call at its deadline, and one whose caller has gone', async (t) => {
    const { runner } = startLoading(t, 'slow');
    const late = runner.call(callOf('slow', 'one', null, { deadlineAtMs: performance.now() + 5 }));
    const cancellation = new Cancellation();
    const gone = runner.call(callOf('slow', 'one', null, { cancellation }));
    cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
    await assert.rejects(gone, { code: 'CLIENT_GONE' });
    await assert.rejects(late, { code: 'DEADLINE_EXCEEDED' });
    await assert.rejects(runner.call(callOf('slow', 'one', null, { cancellation })), { code: 'CLIENT_GONE' });
  });

  test('says why its model cannot be loaded', async (t) => {
    const { runner } = startLoading(t, 'fails');
    await assert.rejects(runner.ready, {
      code: 'SERVICE_INVALID',
      message: /Cannot load the runner "fails": no weights/,
    });
    assert.equal(runner.isReady, false);
  });

  test('calls another runner from its methods', async (t) => {
    const far = await startFar(t, 'far');
    const calls = { ...NO_CALLS, map: { far: [far.address] } };
    const { runner } = await startLocal(t, 'caller', { calls });
    const answer = (await runner.call(callOf('caller', 'double', ten))) as Tensor<'float32'>;
    assert.deepEqual(visible(answer), visible(await far.links.call(callOf('far', 'double', ten))));
  });
});

describe('an embedded runner whose thread ends', LIMIT, () => {
  test('repeats an idempotent call once in a new thread, and is not ready meanwhile', async (t) => {
    const { runner, logged } = await startLocal(t, 'mortal');
    const before = await runner.call(callOf('mortal', 'where', {}));
    const answer = runner.call(callOf('mortal', 'steady', { once: join(folderOf(t), 'died') }));
    await untilReady(runner, false);
    const [after] = [await answer];
    assert.notEqual(after, before);
    assert.equal(runner.isReady, true);
    assert.match(
      String(logged.find(({ event }) => event === 'runner.lost')?.['reason']),
      /ended with code 3: its code called process\.exit\(\)/,
    );
  });

  test('answers RUNNER_LOST where the call may not be repeated', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const input = { once: join(folderOf(t), 'died') };
    await assert.rejects(runner.call(callOf('mortal', 'once', input)), {
      code: 'RUNNER_LOST',
      message: 'Lost mortal.once: the thread that it ran in has ended',
    });
    await untilReady(runner);
    assert.equal(typeof (await runner.call(callOf('mortal', 'once', input))), 'number');
  });

  test('answers RUNNER_LOST where the repeated call is lost again, and its companions are answered', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const killer = runner.call(callOf('mortal', 'steady', { how: 'exit' }));
    const companions = Array.from({ length: 5 }, () => runner.call(callOf('mortal', 'steady', {})));
    await assert.rejects(killer, { code: 'RUNNER_LOST' });
    const answers = await Promise.allSettled(companions);
    // A companion that was repeated beside the killer may have been lost with it a second time.
    assert.ok(answers.every((each) => each.status === 'fulfilled' || isLost(each.reason)));
    await untilReady(runner);
    assert.equal(typeof (await runner.call(callOf('mortal', 'steady', {}))), 'number');
  });

  test('repeats a stream that has given nothing, and fails one that has', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const stream = runner.stream(callOf('mortal', 'count', { to: 3, once: join(folderOf(t), 'died') }));
    assert.deepEqual(await stream.next(), { done: false, value: 0 });
    await assert.rejects(stream.next(), { code: 'RUNNER_LOST' });

    await untilReady(runner);
    const lost = runner.call(callOf('mortal', 'once', { once: join(folderOf(t), 'died') }));
    const waiting = streamOutcomeOf(runner, callOf('mortal', 'count', { to: 2 })); // queued behind it
    await assert.rejects(lost, { code: 'RUNNER_LOST' });
    assert.deepEqual(await waiting, { values: [0, 1] });
  });

  test('is taken down by a run that does not end, and answers the others', async (t) => {
    const { runner, logged } = await startLocal(t, 'mortal', { stuckAfterMs: 10 });
    const once = join(folderOf(t), 'loops');
    const cancellation = new Cancellation();
    const looping = runner.call(callOf('mortal', 'loop', { once }, { cancellation }));
    await untilExists(once);
    const others = [runner.call(callOf('mortal', 'steady', {})), runner.call(callOf('mortal', 'steady', {}))];
    cancellation.cancel(new JubakoError('DEADLINE_EXCEEDED', 'too late'));
    await assert.rejects(looping, { code: 'DEADLINE_EXCEEDED' });
    for (const answer of await Promise.all(others)) assert.equal(typeof answer, 'number');
    assert.match(String(logged.find(({ event }) => event === 'runner.lost')?.['reason']), /"loop" .* is stuck/);
  });
});

describe('a stream of an embedded runner', LIMIT, () => {
  test('is produced only as far as it is read, and ends with its reader', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const stream = runner.stream(callOf('mortal', 'count', { to: 1_000_000 }));
    for (let i = 0; i < 10; i += 1) assert.deepEqual(await stream.next(), { done: false, value: i });
    const look = (): Promise<unknown> => runner.call(callOf('mortal', 'given', {}));
    await stream.return?.();
    while (!((await look()) as { readonly ended: boolean }).ended) await delay(1);
    const { given } = (await look()) as { readonly given: number };
    assert.ok(given >= 10 && given < 100, `${given} values were produced`);
  });

  test('ends with the cancellation of its request', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const cancellation = new Cancellation();
    const stream = runner.stream(callOf('mortal', 'count', { to: 1_000_000 }, { cancellation }));
    await stream.next();
    cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
    await assert.rejects(stream.next(), { code: 'CLIENT_GONE' });
    const look = (): Promise<unknown> => runner.call(callOf('mortal', 'given', {}));
    while (!((await look()) as { readonly ended: boolean }).ended) await delay(1);
  });
});

describe('an embedded runner that is closed', LIMIT, () => {
  test('answers what was begun and takes no more', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const once = join(folderOf(t), 'go');
    const open = runner.call(callOf('mortal', 'wait', { once }));
    const closed = runner.close(60_000);
    await assert.rejects(runner.call(callOf('mortal', 'where', {})), { code: 'DRAINING' });
    await writeFile(once, '');
    assert.equal(await open, 'waited');
    await closed;
    assert.equal(runner.isReady, false);
  });

  test('cuts what is left when the grace is over, and what waits at once', async (t) => {
    const { runner } = await startLocal(t, 'mortal');
    const open = runner.call(callOf('mortal', 'wait', { once: join(folderOf(t), 'never') }));
    const loading = startLoading(t, 'slow').runner;
    const waiting = loading.call(callOf('slow', 'one', null));
    await Promise.all([
      runner.close(5),
      loading.close(60_000),
      assert.rejects(open, { code: 'DRAINING' }),
      assert.rejects(waiting, { code: 'DRAINING' }),
    ]);
  });
});

function isLost(thrown: unknown): boolean {
  return thrown instanceof JubakoError && thrown.code === 'RUNNER_LOST';
}
