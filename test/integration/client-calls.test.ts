import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, Tensor, tensorOf } from '#dist/client/index.js';
import type { DescriptorSpec } from '#dist/descriptor/descriptor.js';
import { decodeValue } from '#dist/tensor/index.js';
import {
  answerBytes,
  answerJson,
  JSON_SPEC,
  LIMIT,
  startServer,
  TENSOR_SPEC,
  type HandmadeApi,
} from './client-harness.js';

/** Takes a kind of value and answers 1. */
function taking(input: DescriptorSpec): HandmadeApi {
  return { input, output: JSON_SPEC, answer: (response) => answerJson(response, 1) };
}

const TEXT_SPEC: DescriptorSpec = { kind: 'text', mediaType: 'text/plain', maxLength: null };
const BYTES_SPEC: DescriptorSpec = { kind: 'bytes', mediaType: 'application/octet-stream', maxBytes: null };
const FILE_SPEC: DescriptorSpec = { kind: 'file', mediaTypes: [], maxBytes: null };

test('each kind of value travels as its own kind of body', LIMIT, async (t) => {
  const server = await startServer(t, {
    json: taking(JSON_SPEC),
    tensor: taking(TENSOR_SPEC),
    words: taking({ kind: 'tensor', dtype: 'string', shape: [-1], allowNonFinite: false }),
    tensors: taking({ kind: 'tensors', fields: {} }),
    text: taking(TEXT_SPEC),
    bytes: taking(BYTES_SPEC),
    file: taking(FILE_SPEC),
    future: taking({ kind: 'hologram' } as unknown as DescriptorSpec),
  });
  const client = server.client();
  const tensor = tensorOf('float32', [1, 2], [1, 2]);
  const words = new Tensor('string', [1], ['a']);
  await client.json({ a: 'ä' });
  await client.tensor(tensor);
  await client.tensor([[1, 2]]);
  await client.words(words);
  await client.tensors({ tensor });
  await client.text('ä');
  await client.bytes(new Blob(['ab'], { type: 'text/html' }));
  await client.file(new File(['ab'], "a'ä.txt", { type: 'text/html' }));
  await client.future({ tensor, n: 1 });
  const sent = server.calls().map(({ headers, body }) => {
    const type = headers['content-type'] ?? '';
    return [type, type === 'application/vnd.jubako.value' ? decodeValue(body) : body.toString('latin1')];
  });
  assert.deepEqual(sent, [
    ['application/json', '{"a":"\u00c3\u00a4"}'],
    ['application/octet-stream', '\0\0\x80\x3f\0\0\0\x40'],
    ['application/json', '[[1,2]]'],
    ['application/vnd.jubako.value', words],
    ['application/vnd.jubako.value', { tensor }],
    ['text/plain; charset=utf-8', '\u00c3\u00a4'],
    ['application/octet-stream', 'ab'],
    ['text/html', 'ab'],
    ['application/vnd.jubako.value', { tensor, n: 1 }],
  ]);
  const [, tensorCall, , , , , , fileCall] = server.calls();
  assert.equal(tensorCall?.headers['tensor-dtype'], 'float32');
  assert.equal(tensorCall?.headers['tensor-shape'], '1,2');
  assert.equal(fileCall?.headers['content-disposition'], "attachment; filename*=UTF-8''a%27%C3%A4.txt");
});

test('a call sends the id, the key and the headers of its client and its own', LIMIT, async (t) => {
  const server = await startServer(t, { go: taking(JSON_SPEC) });
  const client = server.client({ apiKey: 'secret', headers: { 'x-team': 'one', 'x-other': 'two' } });
  await client.go(1, { requestId: 'r9', headers: { 'X-Team': 'three', 'Content-Type': 'text/html' } });
  assert.equal(server.asked.length, 2);
  for (const { headers } of server.asked) {
    const { authorization, 'x-team': team, 'x-other': other, 'x-request-id': id } = headers;
    assert.deepEqual([authorization, team, other, id], ['Bearer secret', 'three', 'two', 'r9']);
  }
  assert.equal(server.calls()[0]?.headers['content-type'], 'application/json', 'the content type is not theirs to say');
});

test('tensors are asked for in binary and are views of the body', LIMIT, async (t) => {
  const server = await startServer(t, {
    tensor: {
      input: JSON_SPEC,
      output: TENSOR_SPEC,
      answer: (response) => {
        const headers = { 'Tensor-Dtype': 'float32', 'Tensor-Shape': '' };
        answerBytes(response, 'application/octet-stream', Buffer.from(new Float32Array([7]).buffer), headers);
      },
    },
  });
  assert.deepEqual(await server.client().tensor(1), tensorOf('float32', [], [7]));
  assert.equal(server.calls()[0]?.headers.accept, 'application/octet-stream');
});

test('fetch can be replaced', LIMIT, async (t) => {
  const server = await startServer(t, { go: taking(JSON_SPEC) });
  const urls: unknown[] = [];
  const client = server.client({
    fetch: (input, init) => {
      urls.push(input);
      return fetch(input, init);
    },
  });
  await client.go(1);
  assert.deepEqual(urls, [`${server.url}/docs.json`, `${server.url}/go`]);
});

test('a client is no promise, and can be printed', () => {
  const client = createClient('http://127.0.0.1:1') as unknown as Record<string, unknown>;
  assert.equal(client['then'], undefined);
  assert.equal(JSON.stringify(client), '{}');
  assert.equal(Object.prototype.toString.call(client), '[object Object]');
  assert.equal(typeof client['toString'], 'function');
  assert.equal(`${client as unknown as string}`, '[object Object]');
  assert.equal(client['anything'], client['anything'], 'a method is always the same');
  assert.throws(() => {
    client['anything'] = 1;
  }, TypeError);
});
