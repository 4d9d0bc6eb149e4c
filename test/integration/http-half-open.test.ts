import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeBytes } from '../conformance/wire.js';
import { RawClient, errorOf, gate, startHttp } from './http-harness.js';

// Clients that end their half of the connection when they have sent what they want: `nc -N`, and everything that pipes a request
// into a socket. They wait for the answer, and look like clients that have gone.

void test('a client that has ended its half is answered, however long that takes', async (t) => {
  const work = gate<unknown>();
  const { port, nextOutcome } = await startHttp(t, { callApi: () => work.promise });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  client.socket.end();

  assert.equal((await client.answer()).status, 100); // the server has seen the end, and asks whether anybody is left
  work.open({ late: true });
  const answer = await client.answer();
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['connection'], 'close');
  assert.equal(answer.body, '{"late":true}');
  await client.ended();
  assert.equal((await nextOutcome()).outcome, 'ok');
});

void test('so is every request that it sent one behind the other', async (t) => {
  const gates = [gate<unknown>(), gate<unknown>(), gate<unknown>()];
  let begun = 0;
  const { port, outcomes } = await startHttp(t, { callApi: () => gates[begun++]?.promise ?? Promise.resolve() });
  const client = await RawClient.open(t, port);
  for (const body of ['0', '1', '2']) client.post('/echo', body);
  client.socket.end();

  for (const [number, { open }] of gates.entries()) {
    assert.equal((await client.answer()).status, 100);
    open(number);
    let answer = await client.answer();
    while (answer.status === 100) answer = await client.answer();
    assert.deepEqual([answer.status, answer.body], [200, String(number)]);
  }
  await client.ended();
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['ok', 'ok', 'ok'],
  );
});

void test('a client of HTTP/1.0 gets its answer alone: it knows no interim ones', async (t) => {
  const work = gate<unknown>();
  const begun = gate();
  const { port } = await startHttp(t, {
    callApi: () => {
      begun.open();
      return work.promise;
    },
  });
  const client = await RawClient.open(t, port);
  client.socket.end('POST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\n1');
  await begun.promise;
  const other = await RawClient.open(t, port);
  other.get('/livez');
  await other.answer(); // the loop has turned, so that the end is known
  work.open(null);
  assert.equal((await client.answer()).status, 200);
  await client.ended();
});

void test('noise behind a request is answered after it, also where the client has ended its half', async (t) => {
  const work = gate<unknown>();
  const { port, nextOutcome } = await startHttp(t, { callApi: () => work.promise });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  client.socket.end('noise\r\n\r\n');

  assert.equal((await client.answer()).status, 100);
  work.open(1);
  assert.equal((await client.answer()).status, 200);
  const refusal = await client.answer();
  assert.deepEqual([refusal.status, errorOf(refusal).code], [400, 'INVALID_INPUT']);
  await client.ended();
  assert.deepEqual([(await nextOutcome()).outcome, (await nextOutcome()).outcome].sort(), ['INVALID_INPUT', 'ok']);
});

void test('what comes behind a request that was the last by its own word is no request', async (t) => {
  const work = gate<unknown>();
  const { port, outcomes } = await startHttp(t, { callApi: () => work.promise });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1', 'Connection: close\r\n');
  client.post('/echo', '2');
  const other = await RawClient.open(t, port);
  other.get('/livez');
  await other.answer();
  work.open(1);
  assert.equal((await client.answer()).status, 200);
  await client.ended();
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['ok', 'ok'],
  );
});

void test('a body that breaks off is refused as the Open Inference Protocol refuses, on its paths', async (t) => {
  const { port } = await startHttp(t);
  const client = await RawClient.open(t, port);
  client.socket.end('POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{');
  const refusal = await client.answer();
  assert.deepEqual([refusal.status, refusal.headers['x-error-code']], [400, 'INVALID_INPUT']);
  assert.match(String((JSON.parse(refusal.body) as { readonly error: unknown }).error), /ended in the middle/);
});

void test('a HEAD whose body breaks off is refused without one', async (t) => {
  const { port } = await startHttp(t);
  const answer = await exchangeBytes(port, 'HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{', {
    ends: true,
  });
  // Refused at once as any HEAD here, or for its body: the end of either is the end of its head.
  assert.match(answer.toString('latin1'), /^HTTP\/1\.1 40[05] [^]*\r\n\r\n$/);
});
