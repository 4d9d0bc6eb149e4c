import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test, type TestContext } from 'node:test';
import { gunzipSync, inflateSync } from 'node:zlib';
import { Client, compressionAlgorithms, credentials, status } from '@grpc/grpc-js';
import { serverStreaming, unary } from '#dist/grpc/rpc.js';
import { BROKEN, pathOf, startBare, toBytes, toText, type BareMethod } from './grpc-bare-harness.js';

/** `n` → a text of n characters; `broken` → one that cannot be encoded. */
const answer = (request: string): string => (request === BROKEN ? BROKEN : 'x'.repeat(Number(request)));
const Give: BareMethod = { handler: (refuse) => unary(answer, refuse) };
const Many: BareMethod = {
  responseStream: true,
  handler: (refuse) =>
    serverStreaming(async function* (request: string) {
      for (let i = 0; i < 10; i += 1) yield await Promise.resolve(`${i}${answer(request)}`);
    }, refuse),
};

interface Raw {
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly messages: readonly { readonly flag: number; readonly content: Buffer }[];
}

async function ask(
  t: TestContext,
  port: number,
  name: string,
  text: string,
  headers: http2.OutgoingHttpHeaders,
): Promise<Raw> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => {
    session.destroy();
  });
  const stream = session.request({
    ':method': 'POST',
    ':path': pathOf(name),
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const request = Buffer.alloc(5 + text.length);
  request.writeUInt32BE(text.length, 1);
  request.write(text, 5);
  stream.end(request);
  let said: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on('response', (given) => {
    said = given;
  });
  stream.on('trailers', (given: http2.IncomingHttpHeaders) => {
    trailers = given;
  });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'close');
  const bytes = Buffer.concat(chunks);
  const messages: { flag: number; content: Buffer }[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push({ flag: bytes[at] ?? NaN, content: bytes.subarray(at + 5, end) });
    at = end;
  }
  return { headers: said, trailers, messages };
}

const DECODERS = { gzip: gunzipSync, deflate: inflateSync } as const;

describe('an answer', () => {
  for (const encoding of ['gzip', 'deflate'] as const) {
    test(`is compressed by ${encoding} where the request was`, async (t) => {
      const { port } = await startBare(t, { Give });
      const { headers, messages, trailers } = await ask(t, port, 'Give', '100000', {
        'grpc-encoding': encoding,
        'grpc-accept-encoding': `identity, ${encoding}`,
      });
      assert.equal(headers['grpc-encoding'], encoding);
      const [message, ...others] = messages;
      assert.deepEqual(others, []);
      assert.equal(message?.flag, 1);
      assert.ok(message.content.length < 1000, `${message.content.length} bytes`);
      assert.equal(DECODERS[encoding](message.content).toString(), 'x'.repeat(100_000));
      assert.equal(trailers['grpc-status'], String(status.OK));
    });
  }

  for (const [title, headers] of [
    ['the request was not, though the client could read it', { 'grpc-accept-encoding': 'identity,deflate,gzip' }],
    ['the client does not accept its own compression', { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'identity' }],
    ['the client says nothing of what it accepts', { 'grpc-encoding': 'gzip' }],
  ] as const) {
    test(`is not compressed where ${title}`, async (t) => {
      const { port } = await startBare(t, { Give });
      const { headers: said, messages } = await ask(t, port, 'Give', '100000', headers);
      assert.equal(said['grpc-encoding'], 'identity');
      assert.deepEqual([messages[0]?.flag, messages[0]?.content.length], [0, 100_000]);
    });
  }

  test('that is short stays as it is', async (t) => {
    const { port } = await startBare(t, { Give });
    const accepts = { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' };
    const { messages } = await ask(t, port, 'Give', '1023', accepts);
    assert.deepEqual([messages[0]?.flag, messages[0]?.content.length], [0, 1023]);
  });

  test('of a stream keeps its order', async (t) => {
    const { port } = await startBare(t, { Many });
    const accepts = { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' };
    const { messages, trailers } = await ask(t, port, 'Many', '5000', accepts);
    assert.deepEqual(
      messages.map(({ flag, content }) => [flag, gunzipSync(content).toString().slice(0, 2)]),
      Array.from({ length: 10 }, (_, i) => [1, `${i}x`]),
    );
    assert.equal(trailers['grpc-status'], String(status.OK));
  });

  test('that cannot be encoded is INTERNAL, compressed or not', async (t) => {
    const bare = await startBare(t, { Give: { handler: (refuse) => unary(() => BROKEN, refuse) } });
    const accepts = { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' };
    const { trailers } = await ask(t, bare.port, 'Give', '1', accepts);
    assert.equal(trailers['grpc-status'], String(status.INTERNAL));
    assert.equal((await bare.record(1)).outcome, 'INTERNAL');
  });
});

test('a grpc-js client that compresses by a channel option is answered the same way', async (t) => {
  const { port } = await startBare(t, { Give, Many });
  const client = new Client(`localhost:${port}`, credentials.createInsecure(), {
    'grpc.default_compression_algorithm': compressionAlgorithms.gzip,
  });
  t.after(() => {
    client.close();
  });
  const text = await new Promise((resolve, reject) => {
    client.makeUnaryRequest(pathOf('Give'), toBytes, toText, '200000', (error, given) => {
      if (error === null) resolve(given);
      else reject(error);
    });
  });
  assert.equal(text, 'x'.repeat(200_000));
  const lengths: number[] = [];
  for await (const one of client.makeServerStreamRequest(pathOf('Many'), toBytes, toText, '3000'))
    lengths.push((one as string).length);
  assert.deepEqual(lengths, new Array<number>(10).fill(3001));
});
