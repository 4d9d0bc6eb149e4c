import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Client, credentials, status, type ClientDuplexStream, type StatusObject } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { defineService, type ServiceDefinition } from '#dist/service/define.js';
import { startGrpc, type Harness } from './grpc-harness.js';

const bytes = (value: Buffer): Buffer => value;
const V1 = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

function open(t: TestContext, grpc: Harness): ClientDuplexStream<Buffer, Buffer> {
  const client = new Client(`localhost:${grpc.port}`, credentials.createInsecure());
  t.after(() => {
    client.close();
  });
  const stream = client.makeBidiStreamRequest(V1, bytes, bytes);
  stream.on('error', () => undefined); // "status" says the same; a drain ends it
  return stream;
}

/** A ServerReflectionRequest with one text: 4 asks for the file of a symbol, 7 for the services. */
function question(field: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]);
}

async function ask(stream: ClientDuplexStream<Buffer, Buffer>, field: number, text: string): Promise<string> {
  stream.write(question(field, text));
  const [answer] = (await once(stream, 'data')) as [Buffer];
  return answer.toString('latin1');
}

test('reflection is no faster than its client reads', async (t) => {
  const grpc = await startGrpc(t, { config: { reflection: true } });
  const stream = open(t, grpc);
  await ask(stream, 7, '');
  stream.pause();
  const wanted = 5000; // some 100 MB of answers
  let sent = 0;
  const write = (): void => {
    stream.write(question(4, 'inference.ModelInferRequest'), () => {
      sent += 1;
      if (sent < wanted) write();
    });
  };
  write();
  const before = process.memoryUsage().rss;
  for (let turn = 0, last = -1; turn < 100; turn += 1) {
    if (sent !== last) turn = 0;
    last = sent;
    await setImmediate();
  }
  const grownBytes = process.memoryUsage().rss - before;
  assert.ok(grownBytes < 60_000_000, `${grownBytes} bytes for a client that does not read`);
  stream.cancel();
});

test('a question to reflection that cannot be decoded is the fault of the client', async (t) => {
  const grpc = await startGrpc(t, { config: { reflection: true } });
  const stream = open(t, grpc);
  stream.resume();
  stream.write(Buffer.of(0x80));
  const { code } = await new Promise<StatusObject>((resolve) => {
    stream.on('status', resolve);
  });
  assert.equal(code, status.INVALID_ARGUMENT);
});

test('a drain ends a reflection stream that its client keeps open', async (t) => {
  const grpc = await startGrpc(t, { config: { reflection: true } });
  const stream = open(t, grpc);
  await ask(stream, 7, '');
  const ended = new Promise<StatusObject>((resolve) => {
    stream.on('status', resolve);
  });
  stream.resume();
  await grpc.server.drain(30_000);
  assert.equal((await ended).code, status.UNAVAILABLE);
});

test('a service from generated code, which has no descriptors, is listed beside those that are described', async (t) => {
  const method = {
    path: '/generated.Thing/Do',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  const service = {
    ...defineService({ name: 'sample', apis: {} }),
    grpc: { services: [{ definition: { Do: method }, implementation: () => ({}) }] },
  } as ServiceDefinition;
  const stream = open(t, await startGrpc(t, { service, config: { reflection: true } }));
  const list = await ask(stream, 7, '');
  assert.match(list, /generated\.Thing/);
  assert.match(list, /inference\.GRPCInferenceService/);
  assert.match(await ask(stream, 4, 'generated.Thing'), /not found/i);
  stream.end();
});

test('every file that reflection tells of names the files that its types come from', async (t) => {
  const stream = open(t, await startGrpc(t, { config: { reflection: true, channelz: true } }));
  const descriptors = loadSync('google/protobuf/descriptor.proto');
  type File = Readonly<Record<'name' | 'dependency', unknown>>;
  const codec = descriptors['google.protobuf.FileDescriptorSet'] as MessageTypeDefinition<
    object,
    { readonly file: File[] }
  >;
  const filesOf = async (symbol: string): Promise<File[]> => {
    stream.write(question(4, symbol));
    const [answer] = (await once(stream, 'data')) as [Buffer];
    // The field file_descriptor_response of the answer is a FileDescriptorSet but for its name.
    const at = answer.indexOf(Buffer.of(0x22), 2 + symbol.length + 2);
    let length = 0;
    let end = at + 1;
    for (let shift = 0; ; shift += 7, end += 1) {
      length |= ((answer[end] ?? 0) & 0x7f) << shift;
      if (((answer[end] ?? 0) & 0x80) === 0) break;
    }
    return codec.deserialize(answer.subarray(end + 1, end + 1 + length)).file;
  };
  for (const symbol of ['jubako.v1.Jubako', 'google.rpc.Status', 'grpc.channelz.v1.Channelz']) {
    const files = await filesOf(symbol);
    const names = new Set(files.map(({ name }) => name));
    for (const { name, dependency } of files) {
      for (const needed of (dependency ?? []) as string[])
        assert.ok(names.has(needed), `${String(name)} needs ${needed}`);
    }
  }
  assert.deepEqual((await filesOf('jubako.v1.Jubako'))[0]?.dependency, ['bentoml_grpc_v1.proto']);
  stream.end();
});
