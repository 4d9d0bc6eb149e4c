import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startMounted } from './mount-harness.js';

const PROGRAM = fileURLToPath(new URL('../../test/support/foreign-app.py', import.meta.url));

/** The address of a real foreign application; undefined: Python is missing. */
async function startPython(t: TestContext): Promise<string | undefined> {
  const child = spawn('python3', [PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const missing = once(child, 'error').then(() => undefined);
  const first = once(child.stdout, 'data').then(([line]) => `http://127.0.0.1:${String(line).trim()}`);
  return Promise.race([first, missing]);
}

test('an application in Python answers under a path of the service', async (t) => {
  const application = await startPython(t);
  if (application === undefined) {
    t.skip('python3 is missing');
    return;
  }
  const { url, outcomes } = await startMounted(t, application);
  const hello = (await (await fetch(url('/app/hello?name=Ann'))).json()) as {
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  };
  assert.deepEqual([hello.path, hello.headers['X-Forwarded-Prefix']], ['/hello?name=Ann', '/app']);
  for (const body of ['', 'x', 'x'.repeat(1_000_000)]) {
    const answer = (await (await fetch(url('/app/x'), { method: 'POST', body })).json()) as { readonly length: number };
    assert.equal(answer.length, body.length);
  }
  assert.equal(await (await fetch(url('/app/stream'))).text(), 'data: 0\n\ndata: 1\n\ndata: 2\n\n');
  const followed = await fetch(url('/app/redirect'));
  assert.deepEqual([followed.status, new URL(followed.url).pathname], [200, '/app/hello']);
  assert.equal((await fetch(url('/app/x'), { method: 'DELETE' })).status, 501);
  assert.deepEqual(new Set(outcomes.map(({ route }) => route)), new Set(['/app/*']));
});
