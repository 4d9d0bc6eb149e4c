import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { bindRpc, Rpc, rpcOf } from '#dist/grpc/rpc-life.js';

function rpcWith(timeoutMs: number): Rpc {
  return new Rpc({ route: '/a.B/C', requestId: 'r-1', timeoutMs });
}

for (const [title, timeoutMs, leftMs, wanted] of [
  ['at its deadline', 100, 0, 'DEADLINE_EXCEEDED'],
  ['10 ms before, by a client whose clock began earlier', 100, 10, 'DEADLINE_EXCEEDED'],
  ['11 ms before', 100, 11, 'CLIENT_GONE'],
  ['1 % before a long deadline, by a client that rounded it up', 30_000, 300, 'DEADLINE_EXCEEDED'],
  ['5 % before a long deadline', 30_000, 1500, 'CLIENT_GONE'],
] as const) {
  test(`Rpc that ends unanswered ${title} ended by ${wanted}`, () => {
    const rpc = rpcWith(timeoutMs);
    assert.equal(rpc.endedBy((rpc.deadlineAtMs ?? NaN) - leftMs), wanted);
  });
}

test('Rpc without a timeout has no deadline, and ends by its client', () => {
  const rpc = rpcWith(Infinity);
  assert.equal(rpc.deadlineAtMs, undefined);
  assert.equal(rpc.endedBy(Number.MAX_SAFE_INTEGER), 'CLIENT_GONE');
});

test('rpcOf finds the RPC by the metadata of a call, and fails loudly without', () => {
  const rpc = rpcWith(Infinity);
  const metadata = new Metadata();
  assert.throws(() => rpcOf({ metadata }), TypeError);
  bindRpc(metadata, rpc);
  assert.equal(rpcOf({ metadata }), rpc);
});
