import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import { LIMIT, fixture, startPrimary, tempFolder } from '../support/start-primary.js';

const EX_CONFIG = 78;
const PLACED = fixture('placed');
const HAS_TWO_CPUS = availableParallelism() >= 2 && process.platform === 'linux';

describe('placement of runner workers', { concurrency: 2 }, () => {
  test(
    'each worker has its device, its CPUs and its variables before the model is loaded',
    { ...LIMIT, skip: !HAS_TWO_CPUS },
    async (t) => {
      const primary = startPrimary(t, ['serve', PLACED], { env: { MKL_NUM_THREADS: '7' } });
      const plan = await primary.nextLog({ event: 'server.plan', pool: 'runner-placed' });
      const cpus: unknown[] = [];
      for (const [worker, device] of ['3', '5'].entries()) {
        const placed = await primary.nextLog({ event: 'model.placed', worker });
        const env = {
          OMP_NUM_THREADS: '1',
          MKL_NUM_THREADS: '7', // the user's own
          OPENBLAS_NUM_THREADS: '1',
          CUDA_VISIBLE_DEVICES: device,
          GREETING: 'hello',
        };
        assert.deepEqual(placed['env'], env);
        assert.deepEqual([placed['device'], placed['cpusTold']], [device, 1]);
        assert.match(String(placed['cpus']), /^\d+$/);
        cpus.push(placed['cpus']);
      }
      assert.notEqual(cpus[0], cpus[1]);
      const told = `runner placed: 2 workers x 1 thread, 1 CPU each, .*on device 3 \\| 5, pinned to CPUs ${cpus.join(' \\| ')}$`;
      assert.match(String(plan['msg']), new RegExp(told));
      await primary.ready();
    },
  );

  test('pinning is refused where taskset is missing', { ...LIMIT, skip: !HAS_TWO_CPUS }, async (t) => {
    const primary = startPrimary(t, ['serve', PLACED], { env: { PATH: tempFolder(t) } });
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(primary.stderr, /^CONFIG_INVALID: Cannot pin runner "placed".*taskset is not installed.*util-linux/);
    assert.equal(primary.processes().length, 0);
  });

  test('cpus is the one override that API workers and threads of models follow', LIMIT, async (t) => {
    const env = { JUBAKO_API_WORKERS: undefined, JUBAKO_CPUS: '3' };
    const primary = startPrimary(t, ['serve', fixture('work')], { env });
    const texts: unknown[] = [];
    for (const pool of ['runner-model', 'http'])
      texts.push((await primary.nextLog({ event: 'server.plan', pool }))['msg']);
    assert.match(String(texts[0]), /^runner model: 1 worker x 1 thread, 3 CPUs each, /);
    assert.equal(texts[1], 'http: 3 workers');
    await primary.ready();
  });
});
