import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { bytes, defineService, file, json, multipart, tensor, text } from '#dist/service/index.js';
import { decodeValue, encodeValue, isTensor, tensorOf } from '#dist/tensor/index.js';
import { RawClient, errorOf, type ErrorAnswer } from './http-harness.js';
import { startService } from './http-service.js';

const VALUE = 'application/vnd.jubako.value';

const service = defineService({
  name: 'forms',
  apis: {
    echo: { input: json(), output: json(), handler: (value) => value },
    shout: { input: text(), output: text(), handler: (value) => value.toUpperCase() },
    copy: { input: file(), output: file(), handler: (value) => ({ ...value, name: `copy of ${value.name}` }) },
    length: { input: bytes({ maxBytes: 1_000 }), output: json<number>(), handler: (value) => value.byteLength },
    double: {
      input: tensor('float32', [-1, 2]),
      output: tensor('float32', [-1, 2]),
      handler: (value) =>
        tensorOf(
          'float32',
          value.shape,
          value.data.map((each) => each * 2),
        ),
    },
    form: {
      input: multipart(
        { note: text(), numbers: tensor('float32', [-1, 2]), picture: file() },
        { optional: ['picture'] },
      ),
      output: multipart({ note: text(), sum: json<number>(), picture: file() }, { optional: ['picture'] }),
      handler: ({ note, numbers, picture }) => ({
        note: `${note}!`,
        sum: numbers.data.reduce((sum, each) => sum + each, 0),
        ...(picture !== undefined && { picture }),
      }),
    },
  },
});

interface Sent {
  readonly type?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function send(url: string, body: string | Buffer | FormData, { type, accept, headers }: Sent = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    body,
    headers: {
      ...(type !== undefined && { 'content-type': type }),
      ...(accept !== undefined && { accept }),
      ...headers,
    },
  });
}

async function refusal(response: Response): Promise<[number, string, string]> {
  const { error } = (await response.json()) as ErrorAnswer;
  return [response.status, error.code, error.message];
}

void test('a text goes in and out as text, and as JSON where that is asked for', async (t) => {
  const { url } = await startService(t, service);
  const plain = await send(url('/shout'), 'größe', { type: 'text/plain; charset=utf-8' });
  assert.equal(plain.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(await plain.text(), 'GRÖSSE');
  assert.equal(await (await send(url('/shout'), Buffer.from('a'))).text(), 'A');
  assert.equal(await (await send(url('/shout'), 'a', { type: 'application/x-www-form-urlencoded' })).text(), 'A');
  const asJson = await send(url('/shout'), '"a"', { type: 'application/json', accept: 'application/json' });
  assert.match(asJson.headers.get('content-type') ?? '', /^application\/json/);
  assert.equal(await asJson.text(), '"A"');
});

void test('a file comes and goes with its type and its name, as JSON too', async (t) => {
  const { url } = await startService(t, service);
  const headers = { 'content-disposition': `attachment; filename*=UTF-8''na%C3%AFve.pdf` };
  const answer = await send(url('/copy'), Buffer.from('%PDF'), { type: 'application/pdf', headers });
  assert.equal(answer.headers.get('content-type'), 'application/pdf');
  const disposition = `attachment; filename="copy of nave.pdf"; filename*=UTF-8''copy%20of%20na%C3%AFve.pdf`;
  assert.equal(answer.headers.get('content-disposition'), disposition);
  assert.equal(await answer.text(), '%PDF');
  const asJson = await send(url('/copy'), '%PDF', { type: 'application/pdf', accept: 'application/json' });
  assert.deepEqual(await asJson.json(), {
    name: 'copy of file',
    mediaType: 'application/pdf',
    data: Buffer.from('%PDF').toString('base64'),
  });
  assert.equal((await send(url('/copy'), 'x', { type: 'application/pdf', accept: 'application/pdf' })).status, 200);
});

void test('a value of a descriptor that is too large is TOO_LARGE', async (t) => {
  const { url } = await startService(t, service);
  const refused = await refusal(await send(url('/length'), Buffer.alloc(1_001)));
  assert.deepEqual(refused.slice(0, 2), [413, 'TOO_LARGE']);
  assert.equal(await (await send(url('/length'), Buffer.alloc(1_000))).json(), 1_000);
});

void test('any API takes and gives application/vnd.jubako.value', async (t) => {
  const { url } = await startService(t, service);
  const post = async (path: string, value: unknown): Promise<unknown> => {
    const { head, parts } = encodeValue(value);
    const answer = await send(url(path), Buffer.concat([head, ...parts]), { type: VALUE, accept: VALUE });
    assert.equal(answer.headers.get('content-type'), VALUE);
    return decodeValue(Buffer.from(await answer.arrayBuffer()));
  };
  assert.deepEqual(await post('/echo', { a: [1] }), { a: [1] });
  assert.equal(await post('/shout', 'a'), 'A');
  assert.deepEqual(await post('/double', tensorOf('float32', [1, 2], [1, 2])), tensorOf('float32', [1, 2], [2, 4]));
  const large = tensorOf('float32', [10_000, 2], new Float32Array(20_000).fill(1));
  const doubled = await post('/double', large);
  assert.ok(isTensor(doubled));
  assert.deepEqual(doubled.data, new Float32Array(20_000).fill(2));
  const numbers = tensorOf('float32', [1, 2], [1, 2]);
  assert.deepEqual(await post('/form', { note: 'a', numbers }), { note: 'a!', sum: 3 });
  const bad = await send(url('/echo'), Buffer.of(9), { type: VALUE });
  assert.deepEqual((await refusal(bad)).slice(0, 2), [400, 'INVALID_INPUT']);
});

function formData(fields: Readonly<Record<string, string | Blob>>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, value, `${name}.bin`);
  }
  return form;
}

void test('a form goes in as fetch writes it, and comes out as fetch reads it', async (t) => {
  const { url } = await startService(t, service);
  const picture = new Blob([Buffer.from([0, 255, 254, 13, 10])], { type: 'image/png' });
  const answer = await send(url('/form'), formData({ note: 'größe', numbers: '[[1,2],[3,4]]', picture }));
  assert.match(answer.headers.get('content-type') ?? '', /^multipart\/form-data; boundary=/);
  const form = await answer.formData();
  assert.equal(form.get('note'), 'größe!');
  assert.equal(form.get('sum'), '10');
  const back = form.get('picture') as File;
  assert.deepEqual([back.name, back.type], ['picture.bin', 'image/png']);
  assert.deepEqual(Buffer.from(await back.arrayBuffer()), Buffer.from([0, 255, 254, 13, 10]));
});

void test('a form may be JSON both ways, and its parts may be raw', async (t) => {
  const { url } = await startService(t, service);
  const asJson = { type: 'application/json', accept: 'application/json, */*' };
  const answer = await send(url('/form'), JSON.stringify({ note: 'a', numbers: [[1, 2]] }), asJson);
  assert.deepEqual(await answer.json(), { note: 'a!', sum: 3 });
  const numbers = new Blob([Float32Array.of(1, 2, 3, 4)], { type: 'application/octet-stream; shape="2,2"' });
  const raw = await send(url('/form'), formData({ note: 'a', numbers }), { accept: 'application/json' });
  assert.deepEqual(await raw.json(), { note: 'a!', sum: 10 });
});

void test('a form that does not fit is refused by the name of its part', async (t) => {
  const { url } = await startService(t, service);
  for (const [fields, status, message] of [
    [{ note: 'a' }, 400, /"numbers" is missing/],
    [{ note: 'a', numbers: '[[1,2]]', more: '1' }, 400, /the part "more"/],
    [{ note: 'a', numbers: '[[1,2' }, 400, /^Part "numbers": /],
    [{ note: 'a', numbers: '[[1,2,3]]' }, 400, /^Part "numbers": /],
    [{ note: new Blob(['x'], { type: 'image/png' }), numbers: '[[1,2]]' }, 415, /^Part "note": .*"image\/png"/],
  ] as const) {
    const [got, , text] = await refusal(await send(url('/form'), formData(fields)));
    assert.equal(got, status, text);
    assert.match(text, message);
  }
  const boundless = await refusal(await send(url('/form'), 'x', { type: 'multipart/form-data' }));
  assert.deepEqual(boundless.slice(0, 2), [400, 'INVALID_INPUT']);
});

void test('a form that comes byte by byte is the same, and one that stops is INVALID_INPUT', async (t) => {
  const { port, nextOutcome } = await startService(t, service);
  const body =
    '--b\r\nContent-Disposition: form-data; name="note"\r\n\r\na\r\n' +
    '--b\r\nContent-Disposition: form-data; name="numbers"\r\n\r\n[[1,2]]\r\n--b--\r\n';
  const head =
    'POST /form HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nContent-Type: multipart/form-data; boundary=b\r\n';
  const client = await RawClient.open(t, port);
  client.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
  for (const byte of body) client.write(`1\r\n${byte}\r\n`);
  client.write('0\r\n\r\n');
  assert.deepEqual(JSON.parse((await client.answer()).body), { note: 'a!', sum: 3 });
  await nextOutcome();
  client.write(`${head}Content-Length: ${body.length - 6}\r\n\r\n${body.slice(0, -6)}`);
  const cut = await client.answer();
  assert.deepEqual([cut.status, errorOf(cut).code], [400, 'INVALID_INPUT']);
  await nextOutcome();
  const slow = await RawClient.open(t, port);
  slow.write(`${head}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 30)}`);
  slow.socket.end();
  assert.equal((await nextOutcome()).outcome, 'INVALID_INPUT');
});

void test('a body in every coding is the same request, for every form', async (t) => {
  const { url } = await startService(t, service);
  for (const [coding, encode] of [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
  ] as const) {
    const post = (path: string, body: string | Buffer, type: string): Promise<Response> =>
      send(url(path), encode(body), { type, headers: { 'content-encoding': coding } });
    assert.deepEqual(await (await post('/echo', '{"a":1}', 'application/json')).json(), { a: 1 });
    assert.equal(await (await post('/shout', 'a', 'text/plain')).text(), 'A');
    const numbers = Buffer.from(Float32Array.of(1, 2).buffer);
    assert.deepEqual(await (await post('/double', numbers, 'application/octet-stream')).json(), [[2, 4]]);
  }
});

void test('a bomb is TOO_LARGE, a corrupt body INVALID_INPUT, an unknown coding UNSUPPORTED_MEDIA, and the connection lives on', async (t) => {
  const { port, url } = await startService(t, service);
  const bomb = gzipSync(Buffer.alloc(100_000_000, ' '));
  for (const [coding, body, status, code] of [
    ['gzip', bomb, 413, 'TOO_LARGE'],
    ['deflate', deflateSync(Buffer.alloc(2_000_000)), 413, 'TOO_LARGE'],
    ['gzip', Buffer.from('no gzip'), 400, 'INVALID_INPUT'],
    ['br', brotliCompressSync('[1]').subarray(0, -1), 400, 'INVALID_INPUT'],
    ['zstd', Buffer.from('x'), 415, 'UNSUPPORTED_MEDIA'],
    ['gzip, gzip', Buffer.from('x'), 415, 'UNSUPPORTED_MEDIA'],
  ] as const) {
    const client = await RawClient.open(t, port);
    client.write(
      `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.byteLength}\r\n\r\n`,
    );
    client.write(body);
    const answer = await client.answer();
    assert.deepEqual([answer.status, errorOf(answer).code], [status, code], coding);
    client.post('/echo', '[1]');
    assert.equal((await client.answer()).body, '[1]');
  }
  assert.equal((await fetch(url('/livez'))).status, 200);
});

void test('an unknown coding and a form without a boundary are refused before the body is asked for', async (t) => {
  const { port } = await startService(t, service);
  for (const header of ['Content-Encoding: zstd', 'Content-Type: image/png', 'Content-Type: multipart/form-data']) {
    const client = await RawClient.open(t, port);
    client.write(`POST /form HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n${header}\r\nContent-Length: 3\r\n\r\n`);
    assert.ok((await client.answer()).status >= 400, header);
  }
});
