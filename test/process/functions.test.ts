import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { get, post } from '../support/http-client.js';
import {
  LIMIT,
  fixture,
  startNode,
  tempFolder,
  type Addresses,
  type Cleanup,
  type RunningProcess,
} from '../support/start-primary.js';

const target = fixture('work');

type Start = readonly [name: string, options: Readonly<Record<string, unknown>>];

function startFromCode(t: Cleanup, starts: readonly Start[]): RunningProcess {
  return startNode(t, [fixture('serve-from-code.mjs'), JSON.stringify(starts)]);
}

async function addressesOf(program: RunningProcess, index: number): Promise<Addresses> {
  return (await program.nextLog({ event: 'code.ready', index }))['addresses'] as Addresses;
}

describe('typed functions', { concurrency: 2 }, () => {
  test('serve gives addresses when it is ready, and close() ends it and lets the program end', LIMIT, async (t) => {
    const program = startFromCode(t, [['serve', { target, grpc: true }]]);
    const { http, grpc } = await addressesOf(program, 0);
    assert.equal((await post(`${http}/work`, { id: 'code' })).status, 200);
    assert.deepEqual(await connectGrpc(t, grpc).call('ServerReady'), { ready: true });

    assert.equal(await program.stop(), 0, program.stderr);
    assert.equal((await program.nextLog({ event: 'code.closed' }))['exitCode'], 0);
    await program.vanished();
  });

  test('three tiers run in one program, each with its own address', LIMIT, async (t) => {
    const runnerMap = { model: ['@0.runner'] };
    const program = startFromCode(t, [
      ['startRunnerServer', { target, runnerName: 'model' }],
      ['startHttpServer', { target, runnerMap }],
      ['startGrpcServer', { target, runnerMap }],
    ]);
    const [runner, http, grpc] = [
      await addressesOf(program, 0),
      await addressesOf(program, 1),
      await addressesOf(program, 2),
    ];
    assert.deepEqual([Object.keys(runner), Object.keys(http), Object.keys(grpc)], [['runner'], ['http'], ['grpc']]);
    assert.equal((await post(`${http.http}/work`, { id: 'code' })).status, 200);
    assert.equal(
      ((await connectGrpc(t, grpc.grpc).inferJson('model.once', { id: 'code' })) as { id: string }).id,
      'code',
    );

    assert.equal(await program.stop(), 0, program.stderr);
    await program.vanished();
  });

  test('two servers of one program live apart: closing one leaves the other', LIMIT, async (t) => {
    const program = startFromCode(t, [
      ['serve', { target, timeoutKeepAlive: 11 }],
      ['serve', { target, timeoutKeepAlive: 22 }],
    ]);
    const servers = [await addressesOf(program, 0), await addressesOf(program, 1)];
    for (const [index, { http }] of servers.entries()) {
      assert.equal((await post(`${http}/work`, { id: 'code' })).status, 200);
      const headers = (await get(`${http}/livez`, { headers: { connection: 'keep-alive' } })).headers;
      assert.equal(headers['keep-alive'], `timeout=${index === 0 ? 11 : 22}`);
    }
    assert.equal(await program.stop(), 0, program.stderr);
    assert.equal(program.logs.filter(({ event }) => event === 'code.closed').length, 2);
    await program.vanished();
  });

  test('close() answers the requests in flight first', LIMIT, async (t) => {
    const program = startFromCode(t, [['serve', { target }]]);
    const { http } = await addressesOf(program, 0);
    const answer = post(`${http}/work`, { id: 'last', ms: 300 });
    await program.nextLog({ event: 'model.started', id: 'last' });
    assert.equal(await program.stop(), 0);
    assert.equal((await answer).status, 200);
  });

  test('close() while it starts ends the start, and ready rejects', LIMIT, async (t) => {
    const program = startFromCode(t, [['serve', { target: fixture('slow-load') }]]);
    await program.nextLog({ event: 'load.started' });
    program.signal('SIGTERM');

    assert.equal((await program.nextLog({ event: 'code.closed' }))['exitCode'], 0);
    assert.equal((await program.nextLog({ event: 'code.refused' }))['code'], 'DRAINING');
    assert.equal((await program.exited).code, 0);
    await program.vanished();
  });

  const refusals = [
    {
      what: 'an unknown option',
      options: { target, apiWorker: 2 },
      code: 'CONFIG_INVALID',
      says: /apiWorker.*apiWorkers/,
      exitCode: 78,
    },
    {
      what: 'a value out of range',
      options: { target, port: 70_000 },
      code: 'CONFIG_INVALID',
      says: /port.*70000/,
      exitCode: 78,
    },
    {
      what: 'a missing target',
      options: { target: '/no/such/service.ts' },
      code: 'SERVICE_INVALID',
      says: /\/no\/such\/service\.ts/,
      exitCode: 78,
    },
    {
      what: 'a broken service',
      options: { target: fixture('broken/throws-at-import.ts') },
      code: 'SERVICE_INVALID',
      says: /the weights are not mounted/,
      exitCode: 78,
    },
  ];
  for (const { what, options, code, says, exitCode } of refusals) {
    test(`ready rejects with a JubakoError and closed gives its exit code for ${what}`, LIMIT, async (t) => {
      const program = startFromCode(t, [['serve', options]]);
      const refused = await program.nextLog({ event: 'code.refused' });
      assert.deepEqual([refused['name'], refused['code']], ['JubakoError', code]);
      assert.match(String(refused['message']), says);
      assert.equal((await program.nextLog({ event: 'code.closed' }))['exitCode'], exitCode);
      assert.equal((await program.exited).code, 0, 'a program that handles it goes on');
      await program.vanished();
    });
  }

  test('config file of a start function is read, and its options win over it', LIMIT, async (t) => {
    const config = join(tempFolder(t), 'settings.yaml');
    writeFileSync(config, 'metrics: false\nmaxBodyBytes: 1KiB\n');
    const program = startFromCode(t, [['serve', { target, config, metrics: true }]]);
    const { http } = await addressesOf(program, 0);
    assert.equal((await get(`${http}/metrics`)).status, 200);
    assert.equal((await post(`${http}/echo`, 'x'.repeat(2000))).status, 413);
  });
});
