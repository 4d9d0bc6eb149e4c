import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { LIMIT } from '../support/start-primary.js';
import { BAD_RPCS, GOOD_MESSAGES, ODD_STREAMS } from './bad-grpc.js';
import { CATALOGUE, INSIDE } from './catalogue.js';
import { ConformanceServer } from './conformance-server.js';
import type { Told } from './door.js';
import { callStream, prefixed } from './http2-call.js';
import { seededBytes } from './wire.js';

/** What a message of any bytes may be answered: by what it says, or that it says nothing; never that the server failed. */
const CLIENTS_FAULT = ['ok', 'INVALID_INPUT', 'NOT_FOUND'];

function isNotOurFault({ code, seen }: Told, what: string): void {
  assert.ok(CLIENTS_FAULT.includes(code), `${what}: ${seen}`);
}

describe('bad input over gRPC', () => {
  let server: ConformanceServer;
  before(async () => {
    server = await ConformanceServer.start();
  }, LIMIT);

  for (const { title, ask, code, message } of BAD_RPCS) {
    test(`RPC is refused with ${code}: ${title}`, LIMIT, async () => {
      const told = await ask(server.clients);
      assert.equal(told.status, status[CATALOGUE[code].grpc], told.seen);
      assert.equal(told.code, code, told.seen);
      assert.match(told.message, message);
      assert.ok(told.message.length < 1100, `a message of ${told.message.length} characters`);
      assert.doesNotMatch(told.message, INSIDE);
      assert.match(told.requestId, /^[0-9a-f]{24}$/);
    });
  }

  for (const [path, bytes] of GOOD_MESSAGES) {
    test(`message that is cut at any byte is never the server's fault: ${path}`, LIMIT, async () => {
      assert.equal((await server.clients.wire(path, bytes)).code, 'ok');
      const cuts = Array.from(bytes, (_, end) => end);
      const told = await Promise.all(cuts.map((end) => server.clients.wire(path, bytes.subarray(0, end))));
      for (const [end, each] of told.entries()) isNotOurFault(each, `cut after ${end} bytes`);
    });

    test(`message with any byte changed is never the server's fault: ${path}`, LIMIT, async () => {
      const noise = seededBytes(bytes.length, bytes.length);
      const told = await Promise.all(
        Array.from(bytes, (byte, at) => server.clients.wire(path, bytes.with(at, byte ^ ((noise[at] ?? 0) | 1)))),
      );
      for (const [at, each] of told.entries()) isNotOurFault(each, `byte ${at} changed`);
    });

    test(`message of noise is never the server's fault: ${path}`, LIMIT, async () => {
      const seeds = Array.from({ length: 100 }, (_, seed) => seed);
      const told = await Promise.all(seeds.map((seed) => server.clients.wire(path, seededBytes(seed, 1 + seed * 20))));
      for (const [seed, each] of told.entries()) isNotOurFault(each, `seed ${seed}`);
    });
  }

  for (const { title, headers, bytes, wanted } of ODD_STREAMS) {
    test(`stream is ended with status ${wanted}: ${title}`, LIMIT, async () => {
      const end = await callStream(server.grpcPort, headers, bytes);
      assert.equal(end.grpcStatus, wanted, end.message);
      assert.doesNotMatch(end.message, INSIDE);
    });
  }

  test('stream with another content type is refused, and counted UNSUPPORTED_MEDIA', LIMIT, async () => {
    const headers = { 'content-type': 'text/plain', 'x-request-id': 'plain-text' };
    const end = await callStream(server.grpcPort, headers, prefixed(new Uint8Array()));
    assert.equal(end.httpStatus, 415);
    const line = await server.primary.nextLog({ event: 'request.finished', requestId: 'plain-text' });
    assert.equal(line['outcome'], 'UNSUPPORTED_MEDIA');
  });

  test('request id that is not safe to log is replaced', LIMIT, async () => {
    for (const requestId of ['two words', 'x'.repeat(129), '{"a":1}', '<b>']) {
      const told = await server.clients.infer({ model_name: 'nope' }, { requestId });
      assert.match(told.requestId, /^[0-9a-f]{24}$/);
    }
  });

  test('every worker lives and serves after all that', LIMIT, async () => {
    const { value } = await server.door('Bento Call').ask({ api: 'polluted' }, null);
    assert.equal(value, null);
    await server.isUnharmed();
  });
});
