import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RateLimit, type TokenSource } from '#dist/access/rate-limit.js';
import { LEASE_MS, TokenBuckets, type Grant, type RateLimits } from '#dist/access/token-buckets.js';
import { JubakoError } from '#dist/errors.js';

interface Question {
  readonly client: string;
  readonly wanted: number;
  answer(grant: Grant): void;
  fail(error: Error): void;
}

/** A source whose answers the test gives. */
function askedBy(limits: RateLimits): {
  readonly limit: RateLimit;
  readonly questions: Question[];
  readonly clock: { nowMs: number };
} {
  const questions: Question[] = [];
  const clock = { nowMs: 1000 };
  const source: TokenSource = {
    take: (client, wanted) =>
      new Promise((resolve, reject) => {
        questions.push({ client, wanted, answer: resolve, fail: reject });
      }),
  };
  return { limit: new RateLimit(source, limits, () => clock.nowMs), questions, clock };
}

/** `passed`, or why not. */
async function outcomeOf(admit: () => void | Promise<void>): Promise<string> {
  try {
    await admit();
    return 'passed';
  } catch (thrown) {
    const error = JubakoError.from(thrown);
    return `${error.code} ${error.retryAfterSeconds}`;
  }
}

test('RateLimit asks once for all requests of a client that come while it waits', async () => {
  const { limit, questions } = askedBy({ perSecond: 1000, burst: 1000 });
  const outcomes = [1, 2, 3].map(() => outcomeOf(() => limit.admit('a')));
  const other = outcomeOf(() => limit.admit('b'));
  assert.deepEqual(
    questions.map(({ client, wanted }) => [client, wanted]),
    [
      ['a', 1],
      ['b', 1],
    ],
  );
  questions[1]?.answer({ granted: 1, waitMs: 0 });
  assert.equal(await other, 'passed');
  questions[0]?.answer({ granted: 1, waitMs: 0 });
  assert.equal(await outcomes[0], 'passed');
  assert.deepEqual([questions[2]?.client, questions[2]?.wanted], ['a', 2]);
  questions[2]?.answer({ granted: 2, waitMs: 0 });
  assert.deepEqual(await Promise.all(outcomes), ['passed', 'passed', 'passed']);
});

test('RateLimit refuses all who wait when there are no more, and others without a question until there are', async () => {
  const { limit, questions, clock } = askedBy({ perSecond: 0.5, burst: 1 });
  const outcomes = [1, 2, 3].map(() => outcomeOf(() => limit.admit('a')));
  questions[0]?.answer({ granted: 1, waitMs: 2000 });
  assert.deepEqual(await Promise.all(outcomes), ['passed', 'RATE_LIMITED 2', 'RATE_LIMITED 2']);
  clock.nowMs += 1500;
  assert.equal(await outcomeOf(() => limit.admit('a')), 'RATE_LIMITED 1');
  assert.equal(questions.length, 1);
  clock.nowMs += 500;
  const late = outcomeOf(() => limit.admit('a'));
  assert.equal(questions.length, 2);
  questions[1]?.answer({ granted: 1, waitMs: 2000 });
  assert.equal(await late, 'passed');
});

test('RateLimit passes requests at once while it has tokens, and gives them up after the lease', async () => {
  const { limit, questions, clock } = askedBy({ perSecond: 1000, burst: 1000 });
  const first = outcomeOf(() => limit.admit('a'));
  questions[0]?.answer({ granted: 3, waitMs: 0 });
  assert.equal(await first, 'passed');
  assert.equal(limit.admit('a'), undefined);
  clock.nowMs += LEASE_MS;
  const late = outcomeOf(() => limit.admit('a'));
  assert.equal(questions.length, 2);
  questions[1]?.answer({ granted: 1, waitMs: 0 });
  assert.equal(await late, 'passed');
});

test('RateLimit tells all who wait when there is no answer, and asks again for the next', async () => {
  const { limit, questions } = askedBy({ perSecond: 10, burst: 10 });
  const outcomes = [1, 2].map(() => outcomeOf(() => limit.admit('a')));
  questions[0]?.fail(new Error('gone'));
  assert.deepEqual(await Promise.all(outcomes), ['INTERNAL undefined', 'INTERNAL undefined']);
  const next = outcomeOf(() => limit.admit('a'));
  questions[1]?.answer({ granted: 1, waitMs: 0 });
  assert.equal(await next, 'passed');
});

interface Run {
  readonly passedAtMs: readonly number[];
  readonly questions: number;
}

/** One client that sends to several workers; arrivals are gaps in ms with the worker that gets the request. */
async function run(
  limits: RateLimits,
  arrivals: readonly (readonly [afterMs: number, worker: number])[],
): Promise<Run> {
  const buckets = new TokenBuckets(limits);
  let nowMs = 0;
  let questions = 0;
  const workers = [0, 1, 2, 3].map((number) => {
    const take = (client: string, wanted: number): Promise<Grant> => {
      questions += 1;
      return Promise.resolve(buckets.take(client, wanted, `http-${number}`, nowMs));
    };
    return new RateLimit({ take }, limits, () => nowMs);
  });
  const passedAtMs: number[] = [];
  for (const [afterMs, worker] of arrivals) {
    nowMs += afterMs;
    if ((await outcomeOf(() => workers[worker]?.admit('a'))) === 'passed') passedAtMs.push(nowMs);
  }
  return { passedAtMs, questions };
}

test('RateLimit of several workers together lets exactly the burst pass at once', async () => {
  const flood = Array.from({ length: 500 }, (_, i) => [0, i % 4] as const);
  assert.equal((await run({ perSecond: 100, burst: 100 }, flood)).passedAtMs.length, 100);
  assert.equal((await run({ perSecond: 1, burst: 7 }, flood)).passedAtMs.length, 7);
  assert.equal((await run({ perSecond: 0.1, burst: 1 }, flood)).passedAtMs.length, 1);
});

test('RateLimit asks for a hot client once per many requests, whether it stays below its limit or not', async () => {
  const steady = Array.from({ length: 10_000 }, () => [1, 0] as const); // 1000/s for 10 s, to one worker
  const below = await run({ perSecond: 2000, burst: 2000 }, steady);
  assert.equal(below.passedAtMs.length, 10_000);
  assert.ok(below.questions <= 10_000 / 50, `${below.questions} questions`);
  const beyond = await run({ perSecond: 500, burst: 500 }, steady);
  assert.ok(beyond.passedAtMs.length >= 5400 && beyond.passedAtMs.length <= 5500, `${beyond.passedAtMs.length} passed`);
  assert.ok(beyond.questions <= 10_000 / 8, `${beyond.questions} questions`);
  const spread = Array.from({ length: 10_000 }, (_, i) => [1, i % 4] as const);
  const spreadBeyond = await run({ perSecond: 500, burst: 500 }, spread);
  assert.ok(spreadBeyond.passedAtMs.length >= 5250, `${spreadBeyond.passedAtMs.length} passed`);
  assert.ok(spreadBeyond.passedAtMs.length <= 5500, `${spreadBeyond.passedAtMs.length} passed`);
  assert.ok(spreadBeyond.questions <= 10_000 / 4, `${spreadBeyond.questions} questions`);
});

test('RateLimit of several workers never lets more pass in any span of time than the limit', async () => {
  const gap = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 120 }));
  const arrival = fc.tuple(gap, fc.integer({ min: 0, max: 3 }));
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(arrival, { minLength: 100, maxLength: 300 }),
      async (perSecond, burst, arrivals) => {
        const { passedAtMs } = await run({ perSecond, burst }, arrivals);
        for (const [first, fromMs] of passedAtMs.entries()) {
          for (const [more, toMs] of passedAtMs.slice(first).entries()) {
            const most = burst + ((toMs - fromMs) * perSecond) / 1000;
            assert.ok(more + 1 <= most + 1e-6, `${more + 1} in ${toMs - fromMs} ms, limit ${most}`);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});
