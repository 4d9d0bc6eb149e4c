import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { get } from '../support/http-client.js';
import { callOf, folderOf, startFar, startServer } from './local-harness.js';

const LIMIT = { timeout: 60_000 };

describe('the server of a runner worker', LIMIT, () => {
  test('answers probes while the model loads, and says that it does', async (t) => {
    const { socketPath } = await startServer(t, 'slow');
    const ask = async (path: string): Promise<unknown> => {
      const { status, text } = await get(`http://runner${path}`, { socketPath });
      return [status, text];
    };
    assert.deepEqual(await ask('/livez'), [200, '\n']);
    assert.deepEqual(await ask('/readyz'), [503, 'runner "slow" is loading\n']);
    assert.deepEqual(await ask('/metrics'), [200, 'the metrics']);
  });

  test('is ready once the model is loaded', async (t) => {
    const { socketPath } = await startFar(t, 'near');
    assert.equal((await get('http://runner/readyz', { socketPath })).status, 200);
  });

  test('rejects with what kept the model from loading', async (t) => {
    const { server } = await startServer(t, 'fails');
    await assert.rejects(server.ready, { code: 'SERVICE_INVALID', message: /no weights/ });
  });

  test('answers what was begun before it leaves', async (t) => {
    const { server, links } = await startFar(t, 'mortal');
    const once = join(folderOf(t), 'go');
    const open = links.call(callOf('mortal', 'wait', { once }));
    await links.call(callOf('mortal', 'given', {})); // came after it, so that one was begun
    const drained = server.drain(60_000);
    await writeFile(once, '');
    assert.equal(await open, 'waited');
    await drained;
  });

  test('does not wait for calls that a thread has taken along', async (t) => {
    const { server, links } = await startFar(t, 'mortal');
    const once = join(folderOf(t), 'go');
    const open = links.call(callOf('mortal', 'exit', { once }));
    await links.call(callOf('mortal', 'given', {}));
    const drained = server.drain(60_000);
    await writeFile(once, '');
    await assert.rejects(open, { code: 'RUNNER_LOST' });
    await drained;
  });
});
