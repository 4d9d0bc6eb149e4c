import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectGrpc } from '../support/grpc-client.js';
import { errorOf, get, post } from '../support/http-client.js';
import { LIMIT, fixture, startPrimary, tempFolder } from '../support/start-primary.js';

const PLUGGED = fixture('plugged');
const KEY = '0123456789abcdef';

describe('access', { concurrency: 2 }, () => {
  test('a client has one rate, over all workers of both protocols', LIMIT, async (t) => {
    const limits = ['--rate-limit', '0.001', '--rate-limit-burst', '40'];
    const primary = startPrimary(t, [
      'serve',
      PLUGGED,
      '--grpc',
      '--api-workers',
      '3',
      '--grpc-workers',
      '1',
      ...limits,
    ]);
    const { http, grpc } = await primary.ready();
    const client = connectGrpc(t, grpc);
    // Each on a connection of its own, so that all workers get some.
    const answers = await Promise.all(Array.from({ length: 60 }, () => post(`${http}/echo`, 1)));
    const passed = answers.filter(({ status }) => status === 200).length;
    const refused = answers.filter(({ status }) => status === 429);
    assert.deepEqual([passed, refused.length], [40, 20]);
    for (const answer of refused) {
      assert.equal(errorOf(answer).code, 'RATE_LIMITED');
      assert.ok(Number(answer.headers['retry-after']) > 900);
    }
    await assert.rejects(client.call('ServerMetadata'), /RATE_LIMITED/);
    assert.equal((await get(`${http}/readyz`)).status, 200);
  });

  test('keys from a file guard both protocols, and stand in no log', LIMIT, async (t) => {
    const file = join(tempFolder(t), 'keys');
    writeFileSync(file, `${KEY}\n`);
    const primary = startPrimary(t, ['serve', PLUGGED, '--grpc', '--api-keys-file', file, '--log-level', 'debug']);
    const { http, grpc } = await primary.ready();
    assert.equal((await get(`${http}/double/4`)).status, 401);
    assert.equal((await get(`${http}/metrics`)).status, 401);
    await assert.rejects(connectGrpc(t, grpc).call('ServerMetadata'), /UNAUTHENTICATED/);
    const headers = { authorization: `Bearer ${KEY}` };
    const { json } = await get(`${http}/double/4`, { headers });
    assert.equal((json as { readonly doubled: number }).doubled, 8);
    const { text } = await get(`${http}/metrics`, { headers });
    assert.match(
      text,
      /jubako_requests_total\{[^}]*route="\/double\/\{value\}"[^}]*outcome="UNAUTHENTICATED"[^}]*\} 1/,
    );
    primary.signal('SIGTERM');
    await primary.exited;
    assert.doesNotMatch(primary.stdout + primary.stderr, new RegExp(KEY));
  });
});

describe('plugins in workers', { concurrency: 2 }, () => {
  test('a route of a plugin calls runners, fails and hangs without harm to its worker', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', PLUGGED, '--timeout', '0.3']);
    const { http } = await primary.ready();
    const headers = { 'x-request-id': 'mine-1' };
    const { json } = await get(`${http}/double/21`, { headers });
    assert.deepEqual(json, { doubled: 42, requestId: 'mine-1' });
    const failed = await get(`${http}/fail`);
    assert.deepEqual([failed.status, errorOf(failed).code], [500, 'USER_CODE']);
    const late = await get(`${http}/hang`);
    assert.deepEqual([late.status, errorOf(late).code], [504, 'DEADLINE_EXCEEDED']);
    assert.equal((await get(`${http}/double/1`)).status, 200);
    assert.equal(primary.logs.filter(({ event }) => event === 'worker.exited').length, 0);
  });
});
