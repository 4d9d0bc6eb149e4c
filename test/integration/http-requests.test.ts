import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_KINDS, JubakoError, type ErrorCode } from '#dist/errors.js';
import type { ApiCall } from '#dist/service/invoke.js';
import { Tensor, tensorOf } from '#dist/tensor/index.js';
import { RawClient, errorOf, gate, startHttp, type ErrorAnswer } from './http-harness.js';
import { contentOf } from '../support/api-input.js';

const JSON_HEADERS = { 'content-type': 'application/json' };
const BINARY_HEADERS = { 'content-type': 'application/octet-stream' };

async function refusal(response: Response): Promise<ErrorAnswer['error'] & { status: number }> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  const { error } = (await response.json()) as ErrorAnswer;
  assert.equal(error.requestId, response.headers.get('x-request-id'));
  return { ...error, status: response.status };
}

void test('POST of JSON answers what the invoker gives, with the request id in and out', async (t) => {
  const calls: ApiCall[] = [];
  const { url, nextOutcome } = await startHttp(t, {
    callApi: (call) => {
      calls.push(call);
      call.timing.batchRows = 3;
      return Promise.resolve({ got: contentOf(call.input) });
    },
  });
  const response = await fetch(url('/echo?ignored=1'), {
    method: 'POST',
    headers: { ...JSON_HEADERS, 'x-request-id': 'abc-1' },
    body: '{"text":"é"}',
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('x-request-id'), 'abc-1');
  assert.deepEqual(await response.json(), { got: { text: 'é' } });
  const [call] = calls;
  assert.equal(call?.api, 'echo');
  assert.equal(call.input.form, 'json');
  assert.equal(call.requestId, 'abc-1');
  assert.equal(call.deadlineAtMs, undefined);
  const outcome = await nextOutcome();
  assert.ok(outcome.durationMs >= 0);
  assert.equal(outcome.timing?.batchRows, 3);
  assert.deepEqual(
    { ...outcome, durationMs: 0, timing: undefined },
    {
      protocol: 'http',
      route: '/echo',
      status: 200,
      outcome: 'ok',
      requestId: 'abc-1',
      durationMs: 0,
      timing: undefined,
    },
  );
});

void test('an unsafe request id is replaced', async (t) => {
  const { url } = await startHttp(t);
  const response = await fetch(url('/livez'), { headers: { 'x-request-id': 'a b<script>' } });
  assert.match(response.headers.get('x-request-id') ?? '', /^[0-9a-f]+$/);
});

void test('JSON is read from every type that means it', async (t) => {
  const { url } = await startHttp(t);
  for (const type of [
    'application/json; charset=UTF-8',
    'text/plain',
    'application/vnd.api+json',
    'APPLICATION/JSON',
    'application/x-www-form-urlencoded', // curl --data
    'application/octet-stream',
  ]) {
    const response = await fetch(url('/echo'), { method: 'POST', headers: { 'content-type': type }, body: '[1]' });
    assert.equal(response.status, 200, type);
    assert.deepEqual(await response.json(), [1]);
  }
  const typeless = await fetch(url('/echo'), { method: 'POST', body: Buffer.from('[2]') });
  assert.deepEqual(await typeless.json(), [2]);
});

void test('an output of undefined is answered as null', async (t) => {
  const { url } = await startHttp(t, { callApi: () => Promise.resolve(undefined) });
  const response = await fetch(url('/echo'), { method: 'POST', body: '1' });
  assert.equal(await response.text(), 'null');
});

void test('a raw tensor comes and goes as bytes with dtype and shape beside them', async (t) => {
  const calls: ApiCall[] = [];
  const { url } = await startHttp(t, {
    callApi: (call) => {
      calls.push(call);
      return Promise.resolve(contentOf(call.input));
    },
  });
  const values = new Float32Array([1, 2, 3, 4]);
  const response = await fetch(url('/v1/double'), {
    method: 'POST',
    headers: {
      ...BINARY_HEADERS,
      'tensor-dtype': 'float32',
      'tensor-shape': '2, 2',
      accept: 'application/octet-stream',
    },
    body: values,
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/octet-stream');
  assert.equal(response.headers.get('tensor-dtype'), 'float32');
  assert.equal(response.headers.get('tensor-shape'), '2,2');
  assert.deepEqual(new Float32Array(await response.arrayBuffer()), values);
  assert.equal(calls[0]?.input.form, 'value');
  assert.ok(contentOf(calls[0].input) instanceof Tensor);
  assert.deepEqual((contentOf(calls[0].input) as Tensor).shape, [2, 2]);
});

void test('the shape of a raw tensor is inferred where one size is open', async (t) => {
  const { url } = await startHttp(t, { callApi: (call) => Promise.resolve((contentOf(call.input) as Tensor).shape) });
  const post = async (path: string, bytes: number, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(url(path), { method: 'POST', headers: { ...BINARY_HEADERS, ...headers }, body: Buffer.alloc(bytes) });
  assert.deepEqual(await (await post('/fixed', 8)).json(), [2, 2]);
  assert.deepEqual(await (await post('/fixed', 12, { 'tensor-shape': '-1,3' })).json(), [2, 3]);
  const odd = await refusal(await post('/v1/double', 12));
  assert.equal(odd.code, 'INVALID_INPUT');
  assert.match(odd.message, /\[-1, 2\] of float32: 12 bytes are no multiple of 8/);
  for (const [headers, pattern] of [
    [{ 'tensor-shape': '-1,-1' }, /give all sizes in header tensor-shape/],
    [{ 'tensor-shape': '-1,0' }, /give all sizes/],
    [{ 'tensor-shape': '2,x' }, /header tensor-shape "2,x"/],
    [{ 'tensor-shape': '1e9,1' }, /header tensor-shape/],
    [{ 'tensor-shape': '99999999999,99999999999' }, /more than/],
    [{ 'tensor-shape': '3,2' }, /needs 12 bytes, got 8/],
    [{ 'tensor-dtype': 'float99' }, /header tensor-dtype "float99": the dtypes are/],
    [{ 'tensor-dtype': 'string' }, /send JSON/],
  ] as const) {
    const refused = await refusal(await post('/fixed', 8, headers));
    assert.equal(refused.status, 400);
    assert.match(refused.message, pattern);
  }
});

void test('a tensor is answered as JSON unless the client lists the binary type', async (t) => {
  const { url } = await startHttp(t, { callApi: () => Promise.resolve(tensorOf('float32', [1, 2], [1, 2])) });
  for (const [accept, type] of [
    ['*/*', 'application/json'],
    ['application/json', 'application/json'],
    ['application/octet-stream;q=0, */*', 'application/json'],
    ['text/html, application/octet-stream;q=0.5', 'application/octet-stream'],
  ] as const) {
    const response = await fetch(url('/v1/double'), {
      method: 'POST',
      headers: { ...JSON_HEADERS, accept },
      body: '[[1,2]]',
    });
    assert.equal(response.headers.get('content-type')?.split(';')[0], type, accept);
  }
});

void test('a body of another type is refused with the types that are accepted', async (t) => {
  const { url } = await startHttp(t);
  const post = async (
    path: string,
    headers: Record<string, string>,
  ): Promise<ErrorAnswer['error'] & { status: number }> =>
    refusal(await fetch(url(path), { method: 'POST', headers, body: 'a=1' }));
  const form = await post('/v1/double', { 'content-type': 'application/x-www-form-urlencoded' });
  assert.equal(form.status, 415);
  assert.equal(form.code, 'UNSUPPORTED_MEDIA');
  assert.match(
    form.message,
    /"application\/x-www-form-urlencoded": this API accepts application\/json or application\/octet-stream/,
  );
  assert.equal((await post('/echo', { 'content-type': 'multipart/form-data; boundary=b' })).status, 415);
  assert.equal((await post('/words', BINARY_HEADERS)).status, 415);
  assert.equal((await post('/echo', { 'content-type': 'application/json; charset=latin1' })).status, 415);
  assert.equal((await post('/echo', { 'content-type': 'nonsense' })).status, 415);
  const zipped = await post('/echo', { ...JSON_HEADERS, 'content-encoding': 'zstd' });
  assert.equal(zipped.status, 415);
  assert.match(zipped.message, /Content-Encoding "zstd": wanted gzip, deflate, br or none/);
  assert.equal(
    (await fetch(url('/echo'), { method: 'POST', headers: { 'content-encoding': 'identity' }, body: '1' })).status,
    200,
  );
});

void test('JSON that could harm or cannot be read is INVALID_INPUT, and the server lives on', async (t) => {
  const { url, nextOutcome } = await startHttp(t);
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  for (const [body, pattern] of [
    [deep, /nested/],
    [Buffer.from([0x22, 0xff, 0xfe, 0x22]), /UTF-8/],
    ['{"__proto__":{"a":1}}', /__proto__/],
    ['', /empty/],
    ['{"a":', /JSON/],
  ] as const) {
    const refused = await refusal(await fetch(url('/echo'), { method: 'POST', headers: JSON_HEADERS, body }));
    assert.equal(refused.status, 400);
    assert.match(refused.message, pattern);
    assert.equal((await nextOutcome()).outcome, 'INVALID_INPUT');
  }
  assert.equal((await fetch(url('/livez'))).status, 200);
});

void test('every failure of the catalogue is answered with its status, its code and when to come again', async (t) => {
  const { url, logged, nextOutcome } = await startHttp(t, {
    callApi: (call) =>
      Promise.reject(
        new JubakoError(contentOf(call.input) as ErrorCode, 'the inside', {
          details: [1],
          cause: new Error('deep down'),
        }),
      ),
  });
  for (const code of Object.keys(ERROR_KINDS) as ErrorCode[]) {
    const kind = ERROR_KINDS[code];
    const response = await fetch(url('/echo'), { method: 'POST', body: JSON.stringify(code) });
    assert.equal(response.headers.get('retry-after'), kind.retryAfterSeconds?.toString() ?? null, code);
    const refused = await refusal(response);
    assert.equal(refused.status, kind.http);
    assert.equal(refused.code, code);
    const outcome = await nextOutcome();
    assert.equal(outcome.status, kind.http);
    assert.equal(outcome.outcome, code);
    const line = logged.find((entry) => entry['requestId'] === refused.requestId);
    if (kind.internal === true) {
      assert.doesNotMatch(refused.message, /the inside/);
      assert.equal(refused.details, undefined);
      assert.match(JSON.stringify(line), /the inside.*deep down/s);
      assert.equal(line?.['route'], '/echo');
    } else {
      assert.equal(refused.message, 'the inside');
      assert.deepEqual(refused.details, [1]);
      assert.equal(line, undefined);
    }
  }
});

void test('what is no JubakoError becomes INTERNAL, also when the invoker throws at once', async (t) => {
  const { url, nextOutcome } = await startHttp(t, {
    callApi: () => {
      throw new TypeError('oops');
    },
  });
  const refused = await refusal(await fetch(url('/echo'), { method: 'POST', body: '1' }));
  assert.equal(refused.status, 500);
  assert.equal(refused.code, 'INTERNAL');
  assert.equal((await nextOutcome()).outcome, 'INTERNAL');
});

void test('an output or details that JSON cannot hold do not break the answer', async (t) => {
  const { url } = await startHttp(t, {
    callApi: (call) =>
      contentOf(call.input) === 1
        ? Promise.resolve(10n)
        : Promise.reject(new JubakoError('INVALID_INPUT', 'no', { details: 10n })),
  });
  const output = await refusal(await fetch(url('/echo'), { method: 'POST', body: '1' }));
  assert.equal(output.code, 'USER_CODE');
  const details = await refusal(await fetch(url('/echo'), { method: 'POST', body: '2' }));
  assert.deepEqual([details.code, details.message, details.details], ['INVALID_INPUT', 'no', undefined]);
});

void test('an unknown path is NOT_FOUND and names the API routes, before its body is read', async (t) => {
  const { port, nextOutcome } = await startHttp(t);
  const client = await RawClient.open(t, port);
  client.write('POST /ecko?x HTTP/1.1\r\nHost: x\r\nContent-Type: (\r\nContent-Length: 900000000\r\n\r\n');
  const answer = await client.answer();
  assert.equal(answer.status, 404);
  assert.match(errorOf(answer).message, /^Cannot find POST \/ecko: the APIs are POST \/echo, POST \/v1\/double,/);
  const outcome = await nextOutcome();
  assert.deepEqual([outcome.route, outcome.status, outcome.outcome], ['(unknown)', 404, 'NOT_FOUND']);
});

void test('a known path with another method is METHOD_NOT_ALLOWED with Allow', async (t) => {
  const { url, nextOutcome } = await startHttp(t);
  const get = await fetch(url('/echo'));
  assert.equal(get.status, 405);
  assert.equal(get.headers.get('allow'), 'POST');
  assert.equal((await refusal(get)).code, 'METHOD_NOT_ALLOWED');
  assert.equal((await nextOutcome()).route, '/echo');
  const post = await fetch(url('/livez'), { method: 'POST', body: 'x' });
  assert.equal(post.status, 405);
  assert.equal(post.headers.get('allow'), 'GET, HEAD');
  assert.equal((await fetch(url('/echo'), { method: 'PROPFIND' })).status, 405);
});

void test('a malformed path is INVALID_INPUT', async (t) => {
  const { url, nextOutcome } = await startHttp(t);
  const refused = await refusal(await fetch(url('/%zz')));
  assert.equal(refused.status, 400);
  assert.equal((await nextOutcome()).route, '(unknown)');
});

void test('a request without Host is INVALID_INPUT in HTTP/1.1 and fine in HTTP/1.0', async (t) => {
  const { port, nextOutcome } = await startHttp(t);
  const client = await RawClient.open(t, port);
  client.write('GET /livez HTTP/1.1\r\n\r\n');
  const answer = await client.answer();
  assert.equal(answer.status, 400);
  assert.match(errorOf(answer).message, /without the header Host/);
  assert.equal((await nextOutcome()).route, '(unknown)');
  client.write('GET /livez HTTP/1.0\r\n\r\n');
  assert.equal((await client.answer()).status, 200);
});

void test('a body over the limit is TOO_LARGE whether announced or not, and the server lives on', async (t) => {
  const { url, port, nextOutcome } = await startHttp(t);
  const announced = await refusal(
    await fetch(url('/echo'), { method: 'POST', headers: JSON_HEADERS, body: Buffer.alloc(50_000_000) }),
  );
  assert.equal(announced.status, 413);
  assert.match(announced.message, /1000000 bytes \(maxBodyBytes\)/);
  assert.equal((await nextOutcome()).outcome, 'TOO_LARGE');

  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 0x20), Buffer.from('\r\n')]);
  for (const [path, type] of [
    ['/echo', 'application/json'],
    ['/v1/double', 'application/octet-stream'],
  ] as const) {
    const client = await RawClient.open(t, port);
    client.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let i = 0; i < 32; i += 1) client.write(chunk);
    const answer = await client.answer();
    assert.equal(answer.status, 413, type);
    assert.match(answer.body, /1000000 bytes \(maxBodyBytes\)/);
    assert.equal((await nextOutcome()).outcome, 'TOO_LARGE');
    client.write('0\r\n\r\n');
    client.post('/echo', '[1]');
    assert.equal((await client.answer()).body, '[1]'); // the rest was read and thrown away, the connection is sound
    await nextOutcome();
  }
});

void test('Expect: 100-continue is answered by 100 where the body is wanted, by the refusal where it is not', async (t) => {
  const { port } = await startHttp(t);
  const wanted = await RawClient.open(t, port);
  wanted.write('POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
  assert.equal((await wanted.answer()).status, 100);
  wanted.write('[3]');
  assert.equal((await wanted.answer()).body, '[3]');
  const refused = await RawClient.open(t, port);
  refused.write('POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n');
  assert.equal((await refused.answer()).status, 413);
});

void test('beyond maxConcurrency is QUEUE_FULL before the body is read, while health still answers', async (t) => {
  const { url, port, metrics, nextOutcome } = await startHttp(t, { config: { maxConcurrency: 1 } });
  const first = await RawClient.open(t, port);
  first.write('POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
  assert.equal((await first.answer()).status, 100); // it has its place
  const inProgress = 'jubako_requests_in_progress{protocol="http"}';
  assert.equal(metrics.takeDelta().gauges[inProgress], 1);

  const second = await RawClient.open(t, port);
  second.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n');
  const refused = await second.answer();
  assert.equal(refused.status, 503);
  assert.equal(refused.headers['retry-after'], '1');
  assert.equal(errorOf(refused).code, 'QUEUE_FULL');
  assert.equal((await nextOutcome()).outcome, 'QUEUE_FULL');
  for (const path of ['/livez', '/readyz', '/healthz', '/metrics', '/docs.json']) {
    assert.equal((await fetch(url(path))).status, 200, path);
    await nextOutcome();
  }

  first.write('[1]');
  assert.equal((await first.answer()).body, '[1]');
  assert.equal((await nextOutcome()).outcome, 'ok');
  assert.equal(metrics.takeDelta().gauges[inProgress], 0);
  assert.equal((await fetch(url('/echo'), { method: 'POST', body: '1' })).status, 200);
});

void test('a client that hangs up keeps its place until its call has settled', async (t) => {
  const called = gate<ApiCall>();
  const settled = gate();
  const { url, port, nextOutcome } = await startHttp(t, {
    config: { maxConcurrency: 1 },
    callApi: (call) => {
      called.open(call);
      return settled.promise;
    },
  });
  const client = await RawClient.open(t, port);
  client.post('/echo', '1');
  await called.promise;
  client.socket.destroy();
  assert.equal((await nextOutcome()).outcome, 'CLIENT_GONE');
  const post = async (): Promise<number> => (await fetch(url('/echo'), { method: 'POST', body: '1' })).status;
  assert.equal(await post(), 503);
  settled.open();
  assert.equal(await post(), 200);
});
