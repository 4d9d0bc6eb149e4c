import assert from 'node:assert/strict';
import { test } from 'node:test';
import { json, stream } from '#dist/index.js';
import type { LoadedMethod } from '#dist/compute/run-method.js';
import { StreamRun } from '#dist/compute/run-stream.js';
import type { FromThread, JobMessage } from '#dist/compute/thread-messages.js';
import type { RunContext } from '#dist/service/define.js';

const JOB: JobMessage = {
  type: 'stream',
  jobId: 1,
  method: 'count',
  rows: 1,
  payload: { kind: 'json', text: Buffer.from('{}') },
  requestIds: [],
  deadlineAtProcessMs: undefined,
};

interface Started {
  readonly run: StreamRun;
  /** What was posted, values decoded, `computeMs` left out. */
  readonly posted: unknown[];
}

function start(run: (context: RunContext) => unknown, endGraceMs?: number): Started {
  const method: LoadedMethod = {
    definition: { input: json(), output: stream(json()), run: (_model, _input, context) => run(context) },
    label: 'r.count',
    model: undefined,
    nested: null,
  };
  const posted: unknown[] = [];
  const post = (message: FromThread): void => {
    if (message.type === 'item' && message.result.kind === 'json')
      posted.push(JSON.parse(Buffer.from(message.result.text).toString()));
    else if (message.type === 'failed') posted.push(`failed: ${message.error.message}`);
    else posted.push(message.type);
  };
  const options = { method, job: JOB, post };
  return { run: new StreamRun(endGraceMs === undefined ? options : { ...options, endGraceMs }), posted };
}

/** All promises that can settle by themselves have settled. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('StreamRun asks for nothing before the first pull, and for the end only with credit', async () => {
  const asked: string[] = [];
  const { run, posted } = start(async function* () {
    asked.push('first');
    yield 1;
    asked.push('end');
  });
  await settled();
  assert.deepEqual(asked, []);
  run.pull(1);
  await settled();
  assert.deepEqual([asked, posted], [['first'], [1]]);
  run.pull(1);
  await run.finished;
  assert.deepEqual(
    [asked, posted],
    [
      ['first', 'end'],
      [1, 'end'],
    ],
  );
});

test('StreamRun takes pulls while a value is awaited', async () => {
  let give: () => void = () => undefined;
  const { run, posted } = start(async function* () {
    await new Promise<void>((resolve) => (give = resolve));
    yield 1;
    yield 2;
  });
  run.pull(1);
  await settled();
  run.pull(2);
  give();
  await run.finished;
  assert.deepEqual(posted, [1, 2, 'end']);
});

test('StreamRun gives up a generator that ignores its signal and `return()`', async () => {
  const { run, posted } = start(async function* () {
    await new Promise(() => undefined);
    yield 1;
  }, 0);
  run.pull(1);
  await settled();
  run.abort();
  await run.finished;
  assert.deepEqual(posted, ['failed: r.count did not end within 0 ms after its stream was given up']);
});

test('StreamRun gives up a `run` that never gives its generator', async () => {
  const { run, posted } = start(() => new Promise(() => undefined), 0);
  run.abort();
  await run.finished;
  assert.equal(posted.length, 1);
});

test('StreamRun closes a generator that comes after the abort', async () => {
  let give: (values: unknown) => void = () => undefined;
  let isClosed = false;
  const { run, posted } = start(() => new Promise((resolve) => (give = resolve)));
  await settled();
  run.abort();
  give({
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(new Error('asked')),
      return: () => {
        isClosed = true;
        return Promise.resolve({ done: true });
      },
    }),
  });
  await run.finished;
  assert.deepEqual([isClosed, posted], [true, ['end']]);
});

test('StreamRun ends a `next` that is awaited by the `return` of an iterator that is no generator', async () => {
  let end: (result: unknown) => void = () => undefined;
  const { run, posted } = start(() => ({
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise((resolve) => (end = resolve)),
      return: () => {
        end({ done: true });
        return Promise.resolve({ done: true });
      },
    }),
  }));
  run.pull(1);
  await settled();
  run.abort();
  run.abort();
  await run.finished;
  assert.deepEqual(posted, ['end']);
});

test('StreamRun tells what an aborted generator throws, and what its `return` throws', async () => {
  const listening = start(async function* ({ signal }) {
    yield 1;
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    });
  });
  listening.run.pull(2);
  await settled();
  listening.run.abort();
  await listening.run.finished;
  assert.deepEqual(listening.posted, [1, 'failed: Nobody waits for the result any more']);

  const failing = start(async function* () {
    try {
      yield 1;
    } finally {
      // eslint-disable-next-line no-unsafe-finally -- models may
      throw new Error('cannot clean up');
    }
  });
  failing.run.pull(1);
  await settled();
  failing.run.abort();
  await failing.run.finished;
  assert.deepEqual(failing.posted, [1, 'failed: cannot clean up']);
});

test('StreamRun lets the loop turn while a generator never waits', async () => {
  const { run } = start(async function* () {
    for (let i = 0; ; i += 1) {
      const untilMs = performance.now() + 2; // more than a turn may take
      while (performance.now() < untilMs);
      yield i;
    }
  });
  run.pull(Infinity);
  await new Promise((resolve) => setImmediate(resolve));
  run.abort(); // is reached at all
  await run.finished;
});
