import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { test, type TestContext } from 'node:test';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { Table, bytes, defineService, image, json, table, tensor } from '#dist/service/index.js';
import { tensorOf } from '#dist/tensor/index.js';
import type { StartedServer } from './http-harness.js';
import { startService } from './http-service.js';

// The form of an answer by `Accept`, and its coding by `Accept-Encoding`.

const NOISE = randomBytes(5_000);

const service = defineService({
  name: 'answers',
  apis: {
    noise: { input: json(), output: bytes({ mediaType: 'text/plain' }), handler: () => NOISE },
    echo: { input: json(), output: json(), handler: (value) => value },
    picture: {
      input: json(),
      output: image({ mediaType: 'image/png' }),
      handler: () => tensorOf('uint8', [2, 3, 3], new Uint8Array(18).fill(200)),
    },
    long: {
      input: json(),
      output: image({ mediaType: 'image/webp' }),
      handler: () => tensorOf('uint8', [1, 20_000, 3], new Uint8Array(60_000)),
    },
    rows: {
      input: json(),
      output: table({ columns: { a: 'int32', b: 'string' } }),
      handler: () => new Table({ a: 'int32', b: 'string' }, { a: Int32Array.of(1, 2), b: ['x', 'y'] }),
    },
    sound: { input: json(), output: bytes({ mediaType: 'audio/wav' }), handler: () => Buffer.alloc(5_000) },
    numbers: {
      input: json(),
      output: tensor('float32', [-1]),
      handler: () => tensorOf('float32', [5_000], new Float32Array(5_000)),
    },
  },
});

interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** `fetch` would decompress, and would not say that it did. */
function post(server: StartedServer, path: string, body: string, headers: Record<string, string>): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const call = request(server.url(path), { method: 'POST', headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    call.on('error', reject).end(body);
  });
}

function start(t: TestContext, compression: boolean): Promise<StartedServer> {
  return startService(t, service, { config: { compression } });
}

void test('an image is answered in the format that the client likes best', async (t) => {
  const server = await start(t, false);
  for (const [accept, type, magic] of [
    ['*/*', 'image/png', '89504e47'],
    ['image/*', 'image/png', '89504e47'],
    ['image/jpeg', 'image/jpeg', 'ffd8ff'],
    ['image/png;q=0.5, image/jpeg;q=0.9', 'image/jpeg', 'ffd8ff'],
    ['text/html', 'image/png', '89504e47'],
  ] as const) {
    const answer = await post(server, '/picture', '1', { accept });
    assert.equal(answer.headers['content-type'], type, accept);
    assert.ok(answer.body.toString('hex').startsWith(magic), accept);
  }
  const asJson = await post(server, '/picture', '1', { accept: 'application/json' });
  assert.match(String(asJson.headers['content-type']), /^application\/json/);
});

void test('an image that is too long for the format that was asked for is answered as PNG', async (t) => {
  const server = await start(t, false);
  const answer = await post(server, '/long', '1', { accept: 'image/webp' });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'image/png');
});

void test('a table is answered as JSON, CSV or Arrow', async (t) => {
  const server = await start(t, false);
  const plain = await post(server, '/rows', '1', { accept: '*/*' });
  assert.match(String(plain.headers['content-type']), /^application\/json/);
  const csv = await post(server, '/rows', '1', { accept: 'text/csv' });
  assert.match(String(csv.headers['content-type']), /^text\/csv/);
  assert.equal(csv.body.toString().replaceAll('\r', ''), 'a,b\n1,x\n2,y\n');
  const arrow = await post(server, '/rows', '1', { accept: 'application/vnd.apache.arrow.stream' });
  assert.equal(arrow.headers['content-type'], 'application/vnd.apache.arrow.stream');
});

const LONG = JSON.stringify(Array.from({ length: 3_000 }, (_, i) => i));
const DECODERS = { gzip: gunzipSync, deflate: inflateSync, br: brotliDecompressSync };

void test('an answer is compressed as the client likes best, on the spot or by threads', async (t) => {
  const server = await start(t, true);
  const short = LONG.slice(0, LONG.indexOf(',', 2_000)) + ']';
  for (const text of [short, LONG, JSON.stringify('日本語'.repeat(500))]) {
    for (const [header, coding] of [
      ['gzip', 'gzip'],
      ['deflate', 'deflate'],
      ['gzip, deflate, br', 'br'],
      ['br;q=0.1, gzip', 'gzip'],
    ] as const) {
      const answer = await post(server, '/echo', text, { 'accept-encoding': header });
      assert.equal(answer.headers['content-encoding'], coding);
      assert.equal(answer.headers['vary'], 'Accept-Encoding');
      assert.equal(Number(answer.headers['content-length']), answer.body.byteLength);
      assert.ok(answer.body.byteLength < Buffer.byteLength(text));
      assert.equal(DECODERS[coding](answer.body).toString(), text);
    }
  }
});

void test('an answer is left as it is where that is wanted, short, compressed already, or the elements of a tensor', async (t) => {
  const server = await start(t, true);
  for (const [path, text, headers, varies] of [
    ['/echo', LONG, {}, true],
    ['/echo', LONG, { 'accept-encoding': 'identity' }, true],
    ['/echo', LONG, { 'accept-encoding': 'gzip;q=0' }, true],
    ['/echo', '[1]', { 'accept-encoding': 'gzip' }, false],
    ['/sound', '1', { 'accept-encoding': 'gzip' }, false],
    ['/numbers', '1', { 'accept-encoding': 'gzip', accept: 'application/octet-stream' }, false],
    ['/numbers', '1', { 'accept-encoding': 'gzip', accept: 'application/vnd.jubako.value' }, false],
  ] as const) {
    const answer = await post(server, path, text, headers);
    assert.equal(answer.headers['content-encoding'], undefined, path);
    assert.equal(answer.headers['vary'], varies ? 'Accept-Encoding' : undefined, path);
  }
});

void test('an answer that compression would make longer is left as it is', async (t) => {
  const server = await start(t, true);
  const answer = await post(server, '/noise', '1', { 'accept-encoding': 'gzip' });
  assert.equal(answer.headers['content-encoding'], undefined);
  assert.deepEqual(answer.body, NOISE);
});

void test('without the setting nothing is compressed', async (t) => {
  const server = await start(t, false);
  const answer = await post(server, '/echo', LONG, { 'accept-encoding': 'gzip' });
  assert.equal(answer.headers['content-encoding'], undefined);
  assert.equal(answer.headers['vary'], undefined);
  assert.equal(answer.body.toString(), LONG);
});
