import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RawClient, errorOf, startHttp } from './http-harness.js';

// Requests that Node's parser lets through, and that are none.

interface Odd {
  readonly line?: string;
  readonly headers?: string;
  readonly body?: string;
  readonly message: RegExp;
}

const GET = 'GET /livez HTTP/1.1';
const HOST = 'Host: x\r\n';
const CHUNKS = '1\r\n1\r\n0\r\n\r\n';

const REFUSED: Readonly<Record<string, Odd>> = {
  'a version that is older than the parser': { line: 'GET /livez HTTP/0.9', message: /HTTP\/0\.9/ },
  'a version that is not spoken here': { line: 'GET /livez HTTP/2.0', message: /HTTP\/2\.0/ },
  'an asterisk for a resource': { line: 'GET * HTTP/1.1', message: /"\*"/ },
  'two hosts': { headers: `${HOST}hOSt: y\r\n`, message: /2 headers Host/ },
  'a host that is none': { headers: 'Host: a b/c@d\r\n', message: /Host "a b\/c@d"/ },
  // Who leaves the other coding aside and who undoes it see two bodies.
  'a transfer coding besides chunked': {
    line: 'POST /echo HTTP/1.1',
    headers: `${HOST}Transfer-Encoding: gzip, chunked\r\n`,
    body: CHUNKS,
    message: /"gzip, chunked"/,
  },
  // RFC 9112, section 6.1: its framing is faulty.
  'chunks in HTTP/1.0': {
    line: 'POST /echo HTTP/1.0',
    headers: 'Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n',
    body: CHUNKS,
    message: /HTTP\/1\.0/,
  },
};

describe('a request', () => {
  for (const [what, { line = GET, headers = HOST, body = '', message }] of Object.entries(REFUSED)) {
    test(`with ${what} is refused`, async (t) => {
      const { port, outcomes } = await startHttp(t);
      const client = await RawClient.open(t, port);
      client.write(`${line}\r\n${headers}\r\n${body}`);
      const refusal = await client.answer();
      assert.deepEqual([refusal.status, errorOf(refusal).code], [400, 'INVALID_INPUT']);
      assert.match(errorOf(refusal).message, message);
      assert.equal(outcomes.length, 1);
      if (line.endsWith('1.0')) await client.ended();
    });
  }

  test('may have more headers than anybody counts: none of them is left out', async (t) => {
    const { port } = await startHttp(t);
    const client = await RawClient.open(t, port);
    client.post('/echo', '1', `${'a:\r\n'.repeat(2500)}Content-Type: multipart/mixed\r\n`);
    assert.equal((await client.answer()).status, 415);
  });
});
