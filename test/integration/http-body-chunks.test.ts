import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiCall } from '#dist/service/invoke.js';
import type { Tensor } from '#dist/tensor/index.js';
import { RawClient, startHttp } from './http-harness.js';
import { contentOf } from '../support/api-input.js';

void test('a raw tensor that comes in pieces is the same whatever the pieces', async (t) => {
  const calls: ApiCall[] = [];
  const { port } = await startHttp(t, {
    callApi: (call) => {
      calls.push(call);
      return Promise.resolve(null);
    },
  });
  const values = Float32Array.from({ length: 120_000 }, (_, i) => i / 7);
  const bytes = Buffer.from(values.buffer);
  const client = await RawClient.open(t, port);
  for (const [size, count] of [
    [1, 2_000],
    [65_533, bytes.length],
    [bytes.length, bytes.length],
  ] as const) {
    client.write(
      'POST /fixed HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n' +
        'Tensor-Dtype: float32\r\nTensor-Shape: -1\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    for (let at = 0; at < count; at += size) {
      const piece = bytes.subarray(at, Math.min(at + size, count));
      client.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
    }
    client.write('0\r\n\r\n');
    assert.equal((await client.answer()).status, 200);
    const { data } = contentOf((calls.at(-1) as ApiCall).input) as Tensor<'float32'>;
    assert.deepEqual(data, values.subarray(0, count / 4));
  }
});

void test('a body that breaks off is the same failure for JSON and for a raw tensor, and no call', async (t) => {
  const { port, nextOutcome } = await startHttp(t, { callApi: () => assert.fail('called') });
  for (const [path, type] of [
    ['/echo', 'application/json'],
    ['/v1/double', 'application/octet-stream'],
  ] as const) {
    const client = await RawClient.open(t, port);
    client.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 8\r\n\r\n1234`);
    client.socket.end();
    assert.equal((await nextOutcome()).outcome, 'INVALID_INPUT', type);
  }
});
