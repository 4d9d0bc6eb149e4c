import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { LIMIT, fixture, startPrimary, type Cleanup } from '../support/start-primary.js';

const EX_CONFIG = 78;

interface Refused {
  readonly service: string;
  readonly what: string;
  /** What standard error must say. */
  readonly says: readonly RegExp[];
}

const SERVICES: readonly Refused[] = [
  {
    service: 'throws-at-import.ts',
    what: 'throws while it is imported',
    says: [/the weights are not mounted/, /throws-at-import\.ts:2/],
  },
  {
    service: 'syntax-error.ts',
    what: 'has a syntax error in TypeScript',
    says: [/syntax-error\.ts:4:\d+/, /Expected/],
  },
  {
    service: 'syntax-error.mjs',
    what: 'has a syntax error in JavaScript',
    says: [/syntax-error\.mjs/, /Unexpected token/],
  },
  { service: 'no-service.ts', what: 'exports no service', says: [/exports no service/, /defineService/] },
  { service: 'exits-at-import.ts', what: 'ends its process while it is imported', says: [/ended by code 3/] },
  {
    service: 'load-rejects.ts',
    what: 'has a runner whose load() rejects',
    says: [/the model file is damaged/, /load-rejects\.ts:\d+/],
  },
  { service: 'load-exits.ts', what: 'has a runner whose load() ends its process', says: [/"broken"/, /code 3/] },
  {
    service: 'load-throws-later.ts',
    what: 'has a runner that throws outside of load()',
    says: [/the driver gave up/],
  },
  { service: 'warmup-rejects.ts', what: 'has a runner whose warmup() rejects', says: [/the first run failed/] },
];

/** A port that somebody else listens on. */
async function takenPort(t: Cleanup): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.after(() => {
    holder.close();
  });
  return (holder.address() as AddressInfo).port;
}

describe('a start that is refused', { concurrency: 2 }, () => {
  for (const { service, what, says } of SERVICES) {
    test(`primary ends with EX_CONFIG and the service's own message when it ${what}`, LIMIT, async (t) => {
      const primary = startPrimary(t, ['serve', `broken/${service}`, '--working-dir', fixture('')]);

      assert.equal((await primary.refused()).code, EX_CONFIG, primary.stderr);
      for (const text of says) assert.match(primary.stderr, text);
      assert.match(primary.stderr, /^SERVICE_INVALID: /);
      const events = primary.logs.map(({ event }) => event);
      assert.ok(!events.includes('worker.died') && !events.includes('server.ready'), events.join());
      await primary.vanished();
    });
  }

  test('primary ends with 1 and names the address when the HTTP port is taken', LIMIT, async (t) => {
    const port = await takenPort(t);
    const primary = startPrimary(t, ['serve', fixture('work'), '--port', `${port}`]);

    assert.equal((await primary.refused()).code, 1);
    assert.match(
      primary.stderr,
      new RegExp(`^BIND_FAILED: .*HTTP on 127\\.0\\.0\\.1:${port}: another process has this port`),
    );
    await primary.vanished();
  });

  test('primary ends with 1 and frees the HTTP port when the gRPC port is taken', LIMIT, async (t) => {
    const port = await takenPort(t);
    const primary = startPrimary(t, ['serve', fixture('work'), '--grpc', '--grpc-port', `${port}`]);

    assert.equal((await primary.refused()).code, 1);
    assert.match(
      primary.stderr,
      new RegExp(`^BIND_FAILED: .*gRPC on 127\\.0\\.0\\.1:${port}: another process has this port`),
    );
    await primary.vanished();
  });

  test(
    'start-runner-server ends with 1 and names the runner and the address when its port is taken',
    LIMIT,
    async (t) => {
      const port = await takenPort(t);
      const args = ['start-runner-server', fixture('work'), '--runner-name', 'model', '--port', `${port}`];
      const primary = startPrimary(t, args);

      assert.equal((await primary.refused()).code, 1);
      assert.match(primary.stderr, new RegExp(`"model" on 127\\.0\\.0\\.1:${port}: another process has this port`));
      await primary.vanished();
    },
  );

  test('primary ends with EX_CONFIG and names the folder when runtimeDir cannot be made', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('work'), '--runtime-dir', '/dev/null/jubako']);

    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(primary.stderr, /^CONFIG_INVALID: .*runtimeDir "\/dev\/null\/jubako"/);
    assert.equal(primary.processes().length, 0);
  });
});
