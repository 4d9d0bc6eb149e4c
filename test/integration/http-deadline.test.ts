import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiCall } from '#dist/service/invoke.js';
import { defineService, tensor, tensors } from '#dist/service/index.js';
import { post, send } from '../support/http-client.js';
import { startHttp } from './http-harness.js';
import { startService } from './http-service.js';

test('x-request-timeout-ms becomes the deadline of the call, counted from when the request came', async (t) => {
  const calls: ApiCall[] = [];
  const { url } = await startHttp(t, {
    callApi: (call) => {
      calls.push(call);
      return Promise.resolve(null);
    },
  });
  const beforeMs = performance.now();
  assert.equal((await post(url('/echo'), 1, { headers: { 'x-request-timeout-ms': '60000' } })).status, 200);
  const deadlineAtMs = calls[0]?.deadlineAtMs ?? 0;
  assert.ok(deadlineAtMs >= beforeMs + 60_000 && deadlineAtMs <= performance.now() + 60_000);
  await post(url('/echo'), 1);
  assert.equal(calls[1]?.deadlineAtMs, undefined);
});

for (const given of ['1.5', '-1', 'soon', '1234567890']) {
  test(`x-request-timeout-ms "${given}" is refused by name`, async (t) => {
    const { url } = await startHttp(t);
    const refused = await post(url('/echo'), 1, { headers: { 'x-request-timeout-ms': given } });
    assert.equal(refused.status, 400);
    assert.match(
      JSON.stringify(refused.json),
      new RegExp(`x-request-timeout-ms \\\\"${given}\\\\": wanted whole milli`),
    );
  });
}

test('64-bit integers in JSON arrive exact where the input has no other numbers', async (t) => {
  const longs = tensor('int64', [-1]);
  const { url } = await startService(
    t,
    defineService({ name: 's', apis: { longs: { input: longs, output: longs, handler: (input) => input } } }),
  );
  const answer = await send(url('/longs'), '[9007199254740993, -9223372036854775808, 7]');
  assert.equal(answer.text, '["9007199254740993","-9223372036854775808",7]');
  const refused = await send(url('/longs'), '[9223372036854775808]');
  assert.equal(refused.status, 400);
  assert.match(refused.text, /9223372036854775808/);
});

test('names of tensors beside long 64-bit integers arrive as they were sent', async (t) => {
  const pair = tensors({ größe: tensor('int64', [-1]) });
  const { url } = await startService(
    t,
    defineService({ name: 's', apis: { pair: { input: pair, output: pair, handler: (input) => input } } }),
  );
  const answer = await send(url('/pair'), '{"größe":[9007199254740993]}');
  assert.equal(answer.text, '{"größe":["9007199254740993"]}');
});
