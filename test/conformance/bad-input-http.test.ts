import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { errorOf, get, post, send } from '../support/http-client.js';
import { LIMIT } from '../support/start-primary.js';
import { BAD_REQUESTS, LARGE_AND_CLOSE } from './bad-http.js';
import { CATALOGUE, INSIDE } from './catalogue.js';
import { ConformanceServer } from './conformance-server.js';
import { exchangeBytes, parseAnswer, type WireOptions } from './wire.js';

interface ErrorAnswer {
  readonly error?: { readonly code: string; readonly message: string; readonly requestId: string };
}

describe('bad input over HTTP', () => {
  let server: ConformanceServer;
  before(async () => {
    server = await ConformanceServer.start();
  }, LIMIT);

  for (const { title, bytes, code, message = /./, ...rest } of BAD_REQUESTS) {
    test(`request is refused with ${code}: ${title}`, LIMIT, async () => {
      const options: WireOptions = rest;
      const { status, head, body, json } = parseAnswer(await exchangeBytes(server.httpPort, bytes, options));
      assert.equal(status, CATALOGUE[code].http, head + body);
      const { error } = json as ErrorAnswer;
      assert.equal(error?.code, code, body);
      assert.match(error.message, message);
      assert.ok(error.message.length < 1000, `a message of ${error.message.length} characters`);
      assert.doesNotMatch(error.message, INSIDE);
      assert.match(head.toLowerCase(), new RegExp(`\r\nx-request-id: ${error.requestId}(\r\n|$)`));
    });
  }

  test('refusal of 50 MB reaches a client that asked to close the connection, every time', LIMIT, async () => {
    for (let i = 0; i < 15; i += 1) {
      const { status } = parseAnswer(await exchangeBytes(server.httpPort, LARGE_AND_CLOSE));
      assert.equal(status, 413, `request ${i} got no answer`);
    }
  });

  test('HEAD of an API is refused without a body', LIMIT, async () => {
    const { status, text } = await get(`${server.http}/echo`, { method: 'HEAD' });
    assert.deepEqual([status, text], [405, '']);
  });

  test('keys of every object are values like others, and change nothing in the worker', LIMIT, async () => {
    const odd = { constructor: { prototype: { polluted: 1 } }, toString: 1, hasOwnProperty: null, valueOf: [] };
    assert.deepEqual((await post(`${server.http}/echo`, odd)).json, odd);
    assert.equal((await post(`${server.http}/polluted`, null)).json, null);
  });

  for (const id of ['', ' ', 'two words', 'x'.repeat(129), 'a\u00e9b', '{"a":1}', '$(id)', '<b>']) {
    test(`x-request-id that is not safe to log is replaced: ${JSON.stringify(id).slice(0, 20)}`, LIMIT, async () => {
      const answer = await send(`${server.http}/nope`, '1', { headers: { 'x-request-id': id } });
      assert.match(errorOf(answer).requestId, /^[0-9a-f]{24}$/);
      assert.equal(answer.headers['x-request-id'], errorOf(answer).requestId);
    });
  }

  test('every worker lives and serves after all that', LIMIT, async () => {
    await server.isUnharmed();
  });
});
