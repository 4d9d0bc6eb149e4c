import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ApiCall } from '#dist/service/invoke.js';
import { RawClient, errorOf, gate, startHttp, type Answer } from './http-harness.js';

// A few KB can become `maxBodyBytes`, in each of many requests: what they have become altogether is limited.

const MAX_BODY_BYTES = 100_000;
/** As many bodies of the largest size as fit. */
const ROOM = 8;

const BODY = gzipSync(`"${'a'.repeat(MAX_BODY_BYTES - 2)}"`);
const BOMB = gzipSync('1'.repeat(MAX_BODY_BYTES + 1));

function postGzip(client: RawClient, bytes: Buffer): Promise<Answer> {
  const head = `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`;
  client.write(Buffer.concat([Buffer.from(head), bytes]));
  return client.answer();
}

void test('bodies that are compressed are refused while others fill the room for them, and no longer', async (t) => {
  const work = gate();
  const begun = Array.from({ length: ROOM }, () => gate());
  let calls = 0;
  const { port } = await startHttp(t, {
    config: { maxBodyBytes: MAX_BODY_BYTES },
    callApi: async (call: ApiCall) => {
      if (call.input.form === 'json' && typeof call.input.json === 'number') return call.input.json;
      begun[calls++]?.open();
      await work.promise;
      return null;
    },
  });
  const first = await Promise.all(begun.map(() => RawClient.open(t, port)));
  const answers = first.map((client) => postGzip(client, BODY));
  await Promise.all(begun.map(({ promise }) => promise));

  const other = await RawClient.open(t, port);
  const refusal = await postGzip(other, BODY);
  assert.deepEqual([refusal.status, errorOf(refusal).code], [503, 'QUEUE_FULL']);
  assert.equal(refusal.headers['retry-after'], '1');
  other.post('/echo', '1'); // what came as it is takes nothing of that room
  assert.equal((await other.answer()).status, 200);

  work.open();
  for (const answer of answers) assert.equal((await answer).status, 200);
  for (let round = 0; round <= 2 * ROOM; round += 1) assert.equal((await postGzip(other, BOMB)).status, 413);
  assert.equal((await postGzip(other, BODY)).status, 200);
});

void test('a client that leaves gives back the room that its body took', async (t) => {
  const { port, nextOutcome } = await startHttp(t, {
    config: { maxBodyBytes: MAX_BODY_BYTES },
    callApi: () => Promise.resolve(null),
  });
  for (let round = 0; round <= 2 * ROOM; round += 1) {
    const client = await RawClient.open(t, port);
    const head = `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${BODY.length}\r\n\r\n`;
    client.write(Buffer.concat([Buffer.from(head), BODY.subarray(0, -1)]));
    client.socket.end();
    await client.answer();
    assert.equal((await nextOutcome()).outcome, 'INVALID_INPUT');
  }
  assert.equal((await postGzip(await RawClient.open(t, port), BODY)).status, 200);
});
