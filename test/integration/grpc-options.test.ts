import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import {
  Client,
  credentials,
  getChannelzServiceDefinition,
  loadPackageDefinition,
  status,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { startGrpc, type Message } from './grpc-harness.js';

function floats(count: number): Message {
  const input = { name: 'input', datatype: 'FP32', shape: [count / 2, 2] };
  return { model_name: 'echo.float32', inputs: [input], raw_input_contents: [Buffer.alloc(count * 4)] };
}

/** The requests and answers of a service that the test has no .proto for: bytes. */
const bytes = (value: Buffer): Buffer => value;

describe('maxMessageLength', () => {
  test('refuses a larger request with RESOURCE_EXHAUSTED, and keeps the connection', async (t) => {
    const grpc = await startGrpc(t, { config: { maxMessageLength: 1000 } });
    const client = grpc.connect();
    await client.infer(floats(100));
    await assert.rejects(client.infer(floats(1000)), { code: status.RESOURCE_EXHAUSTED });
    await client.infer(floats(100));
    assert.equal(grpc.server.connections, 1);
    assert.deepEqual(
      grpc.records.map((record) => record.outcome),
      ['ok', 'TOO_LARGE', 'ok'],
    );
  });

  test('refuses a larger answer with RESOURCE_EXHAUSTED', async (t) => {
    const answer = { long: 'x'.repeat(2000) };
    const grpc = await startGrpc(t, { config: { maxMessageLength: 1000 }, callRunner: () => Promise.resolve(answer) });
    const contents = { bytes_contents: [Buffer.from('1')] };
    const input = { name: 'input', datatype: 'BYTES', shape: [1], contents };
    const request = { model_name: 'words', inputs: [input] };
    await assert.rejects(grpc.connect().infer(request), { code: status.RESOURCE_EXHAUSTED });
    assert.equal((await grpc.record(1)).outcome, 'TOO_LARGE');
  });

  test('of -1 lets messages through that are larger than the 4 MiB of gRPC', async (t) => {
    const grpc = await startGrpc(t, { config: { maxMessageLength: -1 } });
    const client = grpc.connect({ channel: { 'grpc.max_receive_message_length': -1 } });
    const { response } = await client.infer(floats(2 ** 21));
    const [raw] = response['raw_output_contents'] as [Buffer];
    assert.equal(raw.length, 2 ** 23);
  });
});

describe('maxConcurrentStreams', () => {
  for (const [setting, seen] of [
    [3, 3],
    [0, 4096],
  ] as const) {
    test(`of ${setting} is told to clients as ${seen} streams`, async (t) => {
      const grpc = await startGrpc(t, { config: { maxConcurrentStreams: setting } });
      const session = http2.connect(`http://127.0.0.1:${grpc.port}`);
      const [settings] = (await once(session, 'remoteSettings')) as [http2.Settings];
      session.destroy();
      assert.equal(settings.maxConcurrentStreams, seen);
    });
  }
});

describe('reflection', () => {
  const ask = async (port: number, t: Parameters<typeof startGrpc>[0]): Promise<string> => {
    const client = new Client(`localhost:${port}`, credentials.createInsecure());
    t.after(() => {
      client.close();
    });
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(path, bytes, bytes);
    stream.write(Buffer.from([0x3a, 0])); // list_services
    const [answer] = (await once(stream, 'data')) as [Buffer];
    stream.end();
    return answer.toString('latin1');
  };

  test('lists the services when it is on', async (t) => {
    const grpc = await startGrpc(t, { config: { reflection: true } });
    const answer = await ask(grpc.port, t);
    assert.match(answer, /inference\.GRPCInferenceService/);
    assert.match(answer, /grpc\.health\.v1\.Health/);
    assert.equal((await grpc.record(1)).route, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo');
  });

  test('is not served when it is off', async (t) => {
    const grpc = await startGrpc(t);
    await assert.rejects(ask(grpc.port, t), { code: status.UNIMPLEMENTED });
  });
});

describe('channelz', () => {
  type Ask = (request: Message, done: (error: ServiceError | null, response: Message) => void) => void;
  const ask = (
    port: number,
    t: Parameters<typeof startGrpc>[0],
    method = 'GetServers',
    request: Message = { start_server_id: 0, max_results: 0 },
  ): Promise<Message> => {
    const packageDefinition = { 'grpc.channelz.v1.Channelz': getChannelzServiceDefinition() };
    const loaded = loadPackageDefinition(packageDefinition) as unknown as {
      readonly grpc: { readonly channelz: { readonly v1: { readonly Channelz: new (...given: unknown[]) => Client } } };
    };
    const client = new loaded.grpc.channelz.v1.Channelz(`localhost:${port}`, credentials.createInsecure());
    t.after(() => {
      client.close();
    });
    return new Promise((resolve, reject) => {
      const call = (client as unknown as Readonly<Record<string, Ask>>)[method] as Ask;
      call.call(client, request, (error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
  };

  test('counts calls, and knows the connections that were handed in, when it is on', async (t) => {
    const grpc = await startGrpc(t, { config: { channelz: true } });
    const client = grpc.connect();
    await client.call('ServerLive');
    await client.call('ServerLive');
    await assert.rejects(client.call('ModelReady', { name: 'nope' }));
    const { server: servers } = await ask(grpc.port, t);
    const [server] = servers as [{ readonly ref: Message; readonly data: Message }];
    assert.ok(Number(server.data['calls_started']) >= 4);
    assert.equal(Number(server.data['calls_succeeded']), 2);
    assert.equal(Number(server.data['calls_failed']), 1);

    const serverId = { server_id: server.ref['server_id'], start_socket_id: 0, max_results: 0 };
    const { socket_ref: sockets } = await ask(grpc.port, t, 'GetServerSockets', serverId);
    const streams = await Promise.all(
      (sockets as readonly Message[]).map(async ({ socket_id }) => {
        const { socket } = await ask(grpc.port, t, 'GetSocket', { socket_id });
        return Number((socket as { readonly data: Message }).data['streams_started']);
      }),
    );
    assert.ok(streams.includes(3), `calls on each connection: ${streams.join(', ')}`);
  });

  test('is not served when it is off', async (t) => {
    const grpc = await startGrpc(t);
    await assert.rejects(ask(grpc.port, t), { code: status.UNIMPLEMENTED });
  });
});

describe('TLS', () => {
  let folder: string;
  const file = (name: string): Buffer => readFileSync(join(folder, name));

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'jubako-grpc-'));
    const openssl = (...args: string[]): void => {
      execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=test ca');
    for (const name of ['localhost', 'client']) {
      openssl(
        'req',
        ...key,
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${name}`,
        '-addext',
        `subjectAltName=DNS:${name}`,
      );
      const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copyall'];
      openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.crt`, '-days', '2');
    }
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  const server = (more: tls.TlsOptions = {}): tls.TlsOptions => ({
    cert: file('localhost.crt'),
    key: file('localhost.key'),
    ...more,
  });
  const mutual = (): tls.TlsOptions => server({ ca: file('ca.crt'), requestCert: true, rejectUnauthorized: true });

  test('serves a client that trusts the certificate', async (t) => {
    const grpc = await startGrpc(t, { tls: server() });
    const client = grpc.connect({ credentials: credentials.createSsl(file('ca.crt')) });
    await client.infer(floats(2 ** 18));
    await grpc.server.drain(30_000);
    assert.equal(grpc.server.connections, 0);
  });

  test('with client certificates required serves one that has it and refuses one that has not', async (t) => {
    const grpc = await startGrpc(t, { tls: mutual() });
    const known = credentials.createSsl(file('ca.crt'), file('client.key'), file('client.crt'));
    await grpc.connect({ credentials: known }).call('ServerLive');
    const stranger = grpc.connect({ credentials: credentials.createSsl(file('ca.crt')) });
    await assert.rejects(stranger.call('ServerLive'), { code: status.UNAVAILABLE });
    await grpc.connect({ credentials: known }).call('ServerLive');
    assert.ok(grpc.logs.some((line) => line['event'] === 'handshake.failed' && line['level'] === 20));
  });

  test('closes a client without ALPN h2 with a word of explanation', async (t) => {
    const grpc = await startGrpc(t, { tls: server() });
    const socket = tls.connect({ port: grpc.port, host: '127.0.0.1', servername: 'localhost', ca: file('ca.crt') });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(socket, 'end');
    assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.0 426 .*gRPC/s);
    socket.destroy();
    const other = tls.connect({
      port: grpc.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: file('ca.crt'),
      ALPNProtocols: ['http/1.1'],
    });
    await once(other, 'error');
  });

  test('survives noise instead of a handshake', async (t) => {
    const grpc = await startGrpc(t, { tls: server() });
    const noise = connect(grpc.port, '127.0.0.1');
    noise.on('error', () => undefined);
    noise.resume().write('GET / HTTP/1.1\r\n\r\n');
    await once(noise, 'close');
    await grpc.connect({ credentials: credentials.createSsl(file('ca.crt')) }).call('ServerLive');
  });
});
