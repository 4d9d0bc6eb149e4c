import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Readiness } from '#dist/service/protocol-server.js';
import { RawClient, startHttp, type ErrorAnswer } from './http-harness.js';

void test('/livez and /healthz answer 200 whatever the readiness is', async (t) => {
  const { url } = await startHttp(t, { readiness: () => ({ ready: false, reason: 'no' }) });
  for (const path of ['/livez', '/healthz']) {
    const response = await fetch(url(path));
    assert.equal(response.status, 200);
    assert.equal(await response.text(), 'ok\n');
  }
});

void test('/readyz answers 200, or 503 with the reason', async (t) => {
  let readiness: Readiness = { ready: false, reason: 'runner "digits" is not connected' };
  const { url, nextOutcome } = await startHttp(t, { readiness: () => readiness });
  const red = await fetch(url('/readyz'));
  assert.equal(red.status, 503);
  const { error } = (await red.json()) as ErrorAnswer;
  assert.equal(error.code, 'NOT_READY');
  assert.match(error.message, /runner "digits" is not connected/);
  assert.deepEqual([(await nextOutcome()).route], ['/readyz']);
  readiness = { ready: true };
  assert.equal((await fetch(url('/readyz'))).status, 200);
});

void test('/metrics answers the text of all processes, 404 where metrics are off, 500 where the text fails', async (t) => {
  const on = await startHttp(t, { metricsText: () => Promise.resolve('a 1\n') });
  const text = await fetch(on.url('/metrics'));
  assert.equal(text.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(await text.text(), 'a 1\n');
  const off = await startHttp(t, { config: { metrics: false } });
  assert.equal((await fetch(off.url('/metrics'))).status, 404);
  const failing = await startHttp(t, { metricsText: () => Promise.reject(new Error('the primary is silent')) });
  assert.equal((await fetch(failing.url('/metrics'))).status, 500);
  assert.match(JSON.stringify(failing.logged), /the primary is silent/);
});

void test('a readiness that throws is a 500, not the end', async (t) => {
  const { url } = await startHttp(t, {
    readiness: () => {
      throw new Error('broken');
    },
  });
  assert.equal((await fetch(url('/readyz'))).status, 500);
  assert.equal((await fetch(url('/livez'))).status, 200);
});

void test('HEAD answers the head of GET', async (t) => {
  const { port } = await startHttp(t);
  const client = await RawClient.open(t, port);
  client.write('HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  client.socket.end();
  const head = await once(client);
  assert.match(head, /^HTTP\/1\.1 200 /);
  assert.match(head, /\r\nContent-Length: 3\r\n/);
  assert.ok(head.endsWith('\r\n\r\n'));
});

void test('/docs.json is the OpenAPI document of the service', async (t) => {
  const { url } = await startHttp(t);
  const response = await fetch(url('/docs.json'));
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  const document = (await response.json()) as { openapi: string; info: unknown; paths: Record<string, unknown> };
  assert.equal(document.openapi, '3.1.0');
  assert.deepEqual(document.info, { title: 'sample', version: '7' });
  assert.ok('/v1/double' in document.paths && '/metrics' in document.paths);
});

void test('/ is a page that needs no other host, and every file it names is served with its type', async (t) => {
  const { url, nextOutcome } = await startHttp(t);
  const response = await fetch(url('/'));
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:/);
  const page = await response.text();
  assert.doesNotMatch(page, /https?:\/\//);
  assert.doesNotMatch(page, /<script>|<script(?![^>]*src=)/);
  await nextOutcome();
  const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file ?? '');
  assert.ok(files.length >= 6);
  for (const file of files) {
    const asset = await fetch(new URL(file, url('/')));
    assert.equal(asset.status, 200, file);
    const type = asset.headers.get('content-type') ?? '';
    const wanted = file.endsWith('.js')
      ? /^text\/javascript/
      : file.endsWith('.css')
        ? /^text\/css/
        : /^(?:image\/png|application\/json)/;
    assert.match(type, wanted);
    const bytes = await asset.arrayBuffer();
    assert.equal(bytes.byteLength, Number(asset.headers.get('content-length')));
    assert.ok(bytes.byteLength > 100);
    assert.equal((await nextOutcome()).outcome, 'ok');
  }
});

void test('only the named files of Swagger UI are served', async (t) => {
  const { port } = await startHttp(t);
  for (const path of [
    '/jubako/docs/package.json',
    '/jubako/docs/../../package.json',
    '/jubako/docs/..%2fpackage.json',
    '/jubako/docs/',
  ]) {
    const client = await RawClient.open(t, port);
    client.get(path);
    assert.equal((await client.answer()).status, 404, path);
  }
});

/** All that a connection brings until it ends. */
async function once(client: RawClient): Promise<string> {
  let text = '';
  try {
    await client.ended();
  } catch (thrown) {
    text = (thrown as Error).message.replace('Unread before the end: ', '');
  }
  return text;
}
