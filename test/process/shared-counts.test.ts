// What all workers of a server count together.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, keepAliveAgent, post, type HttpAnswer } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder, type Cleanup } from '../support/start-primary.js';

const CLIENTS = 8;
const CALLS = 25;

/** Calls from several clients at once, each on a connection of its own; connections are given to workers by turns. */
async function callAll(
  t: Cleanup,
  call: (agent: ReturnType<typeof keepAliveAgent>) => Promise<HttpAnswer>,
): Promise<HttpAnswer[]> {
  const answers = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const agent = keepAliveAgent();
      t.after(() => {
        agent.destroy();
      });
      const mine: HttpAnswer[] = [];
      for (let i = 0; i < CALLS; i += 1) mine.push(await call(agent));
      return mine;
    }),
  );
  return answers.flat();
}

describe('what several workers count', { concurrency: 2 }, () => {
  test('statistics and metrics have every request that was answered before they were asked for', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('models'), '--api-workers', '2']);
    const { http } = await primary.ready();
    for (let round = 1; round <= 3; round += 1) {
      const body = { inputs: [{ name: 'input', datatype: 'BYTES', shape: [1], data: ['1'] }] };
      for (const answer of await callAll(t, (agent) => post(`${http}/v2/models/good/infer`, body, { agent })))
        assert.equal(answer.status, 200, answer.text);
      const wanted = round * CLIENTS * CALLS;
      const stats = (await get(`${http}/v2/models/good/stats`)).json as {
        readonly model_stats: readonly { readonly inference_count: number }[];
      };
      assert.equal(stats.model_stats[0]?.inference_count, wanted);
      const { text } = await get(`${http}/metrics`);
      assert.match(text, new RegExp(`^jubako_runner_calls_total\\{runner="good",.*outcome="ok"\\} ${wanted}$`, 'm'));
      const byWorker = text.match(
        /^jubako_requests_total\{protocol="http",route="\/v2\/models\/.*infer",outcome="ok"\} (\d+)$/m,
      );
      assert.equal(Number(byWorker?.[1]), wanted);
    }
  });

  test('answer while a worker is stopped, without what it has not told', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('models'), '--api-workers', '2']);
    const { http } = await primary.ready();
    const agent = keepAliveAgent();
    t.after(() => {
      agent.destroy();
    });
    const own = await get(`${http}/readyz`, { agent });
    assert.equal(own.status, 200);
    const runner = await primary.workerReady('runner-good-0');
    process.kill(runner, 'SIGSTOP');
    t.after(() => process.kill(runner, 'SIGCONT'));
    assert.match((await get(`${http}/metrics`, { agent })).text, /jubako_workers\{role="runner",state="ready"\} 1/);
  });

  test('a rate limit holds for all workers of both protocols together, to the last request', LIMIT, async (t) => {
    const limits = ['--rate-limit', '0.001', '--rate-limit-burst', '40'];
    const workers = ['--grpc', '--api-workers', '2', '--grpc-workers', '2'];
    const primary = startPrimary(t, ['serve', fixture('work'), ...limits, ...workers], { cwd: tempFolder(t) });
    const { http, grpc } = await primary.ready();
    let passed = 0;
    const byGrpc = Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        const client = connectGrpc(t, grpc);
        for (let i = 0; i < CALLS; i += 1) {
          try {
            await client.inferJson('model.work', {});
            passed += 1;
          } catch (error) {
            assert.equal((error as ServiceError).code, status.RESOURCE_EXHAUSTED, String(error));
          }
        }
      }),
    );
    for (const answer of await callAll(t, (agent) => post(`${http}/echo`, 1, { agent }))) {
      if (answer.status === 200) passed += 1;
      else assert.equal(errorOf(answer).code, 'RATE_LIMITED', answer.text);
    }
    await byGrpc;
    assert.equal(passed, 40);
    assert.equal((await get(`${http}/readyz`)).status, 200); // probes are not counted
  });
});
