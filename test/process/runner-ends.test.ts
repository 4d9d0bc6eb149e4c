import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { errorOf, get, post, type HttpAnswer } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder, until, type RunningProcess } from '../support/start-primary.js';

const WORKER = 'runner-mortal-0';

interface Started {
  readonly primary: RunningProcess;
  readonly http: string;
  /** Of the runner worker. */
  readonly pid: number;
  /** A file that is not there yet: calls that are given it hang. */
  readonly hangWithout: string;
  /** The model loads only while this file is there. */
  readonly gate: string;
}

async function start(t: Parameters<typeof startPrimary>[0]): Promise<Started> {
  const folder = tempFolder(t);
  const gate = join(folder, 'gate');
  writeFileSync(gate, '');
  const primary = startPrimary(t, ['serve', fixture('mortal')], { env: { MORTAL_GATE: gate } });
  const { http } = await primary.ready();
  return { primary, http, pid: await primary.workerReady(WORKER), hangWithout: join(folder, 'hang'), gate };
}

function outcomeOf(answer: HttpAnswer): unknown {
  return answer.status === 200 ? answer.json : errorOf(answer).code;
}

async function readyzIs(http: string, status: number): Promise<void> {
  await until(async () => (await get(`${http}/readyz`)).status === status);
}

describe('end of a runner worker under load', { concurrency: 2 }, () => {
  for (const [how, cause] of [
    ['exit', 'code 70'],
    ['abort', 'signal SIGABRT'],
    ['SIGKILL', 'signal SIGKILL'],
    ['SIGSEGV', 'signal SIGSEGV'],
  ] as const) {
    test(`${how}: idempotent calls are repeated and answered, others get RUNNER_LOST at once`, LIMIT, async (t) => {
      const { primary, http, pid, hangWithout } = await start(t);
      const ids = ['a', 'b', 'c'];
      const steady = ids.map((id) => post(`${http}/steady`, { id, hangWithout }));
      const single = post(`${http}/single`, { id: 'single', hangWithout });
      for (const id of [...ids, 'single']) await primary.nextLog({ event: 'mortal.begun', id });
      if (how === 'exit' || how === 'abort') {
        steady.push(post(`${http}/steady`, { id: 'killer', hangWithout, die: how }));
        ids.push('killer');
      } else {
        writeFileSync(hangWithout, '');
        process.kill(pid, how);
      }

      assert.equal(outcomeOf(await single), 'RUNNER_LOST');
      assert.deepEqual((await Promise.all(steady)).map(outcomeOf), ids);
      assert.equal((await primary.nextLog({ event: 'worker.died', name: WORKER }))['cause'], cause);
      assert.notEqual(await primary.workerReady(WORKER), pid);
      assert.equal(primary.logs.filter(({ event, id }) => event === 'mortal.begun' && id === 'single').length, 1);
      assert.equal(outcomeOf(await post(`${http}/single`, { id: 'after' })), 'after');
      assert.equal(await primary.stop(), 0);
    });
  }

  test('readiness tells of a runner that is gone, and of one that does not run', LIMIT, async (t) => {
    const { primary, http, pid, gate } = await start(t);
    await readyzIs(http, 200);
    process.kill(pid, 'SIGSTOP');
    await readyzIs(http, 503);
    // Known by asking: nobody has taken it for lost yet.
    assert.ok(!primary.logs.some(({ event }) => event === 'link.lost' || event === 'worker.stuck'));
    process.kill(pid, 'SIGCONT');
    await readyzIs(http, 200);

    rmSync(gate);
    process.kill(pid, 'SIGKILL');
    await primary.nextLog({ event: 'worker.died', name: WORKER });
    const answer = await get(`${http}/readyz`);
    assert.equal(answer.status, 503);
    assert.equal(errorOf(answer).message, 'Not ready: runner "mortal" is not connected');
    writeFileSync(gate, '');
    await readyzIs(http, 200);
  });

  test('probes answer while the model loops; the loop is ended once nobody waits for it', LIMIT, async (t) => {
    const { primary, http, pid, hangWithout } = await start(t);
    const leaving = new AbortController();
    const looping = post(`${http}/steady`, { id: 'loop', hangWithout, loop: true }, { signal: leaving.signal });
    await primary.nextLog({ event: 'mortal.begun', id: 'loop' });
    const others = ['a', 'b'].map((id) => post(`${http}/steady`, { id }));

    const [folder = ''] = readdirSync(primary.runtimeParent);
    const socketPath = join(primary.runtimeParent, folder, 'mortal.0.sock');
    for (const path of ['/livez', '/readyz', '/metrics']) {
      assert.equal((await get(`http://runner${path}`, { socketPath })).status, 200, path);
    }
    await readyzIs(http, 200);

    leaving.abort();
    await assert.rejects(looping);
    const lost = await primary.nextLog({ event: 'runner.lost', runner: 'mortal' });
    assert.match(String(lost['reason']), /a run of "steady" on 1 rows? is stuck/);
    assert.deepEqual((await Promise.all(others)).map(outcomeOf), ['a', 'b']);
    assert.equal((await primary.nextLog({ event: 'worker.died', name: WORKER }))['cause'], 'code 70');
    assert.notEqual(await primary.workerReady(WORKER), pid);
  });
});
