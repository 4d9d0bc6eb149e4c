import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { connectGrpc } from '../support/grpc-client.js';
import { LIMIT, fixture, startPrimary, tempFolder, type Cleanup } from '../support/start-primary.js';

const WORK = fixture('work');
const NOTHING = new Uint8Array();

/** Calls a method without its .proto, with an empty message. */
function callRaw(client: Client, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const same = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
    client.makeUnaryRequest(path, same, same, NOTHING, (error, answer) => {
      if (error === null) resolve(answer as Buffer);
      else reject(error);
    });
  });
}

/** The names of all services, by server reflection. */
function listServices(client: Client): Promise<string> {
  return new Promise((resolve, reject) => {
    const same = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
    const call = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', same, same);
    call.on('data', (bytes: Buffer) => {
      resolve(bytes.toString('latin1'));
    });
    call.on('error', reject);
    call.write(Buffer.from([0x3a, 0x01, 0x2a])); // list_services: "*"
    call.end();
  });
}

function rawClient(t: Cleanup, address: string): Client {
  const client = new Client(address, credentials.createInsecure());
  t.after(() => {
    client.close();
  });
  return client;
}

describe('settings of gRPC', { concurrency: 2 }, () => {
  const CHANNELZ = '/grpc.channelz.v1.Channelz/GetServers';

  test('reflection lists the services, and is not there by default', LIMIT, async (t) => {
    const [on, off] = [
      startPrimary(t, ['serve', WORK, '--grpc', '--reflection']),
      startPrimary(t, ['serve', WORK, '--grpc']),
    ];
    const names = await listServices(rawClient(t, (await on.ready()).grpc));
    assert.match(names, /inference\.GRPCInferenceService/);
    assert.match(names, /grpc\.health\.v1\.Health/);
    await assert.rejects(listServices(rawClient(t, (await off.ready()).grpc)), { code: 12 });
  });

  test('channelz answers, and is not there by default', LIMIT, async (t) => {
    const [on, off] = [
      startPrimary(t, ['serve', WORK, '--grpc', '--channelz']),
      startPrimary(t, ['serve', WORK, '--grpc']),
    ];
    await callRaw(rawClient(t, (await on.ready()).grpc), CHANNELZ);
    await assert.rejects(callRaw(rawClient(t, (await off.ready()).grpc), CHANNELZ), { code: 12 });
  });

  test('maxConcurrentStreams is announced, and a client keeps to it', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--max-concurrent-streams', '1']);
    const { grpc } = await primary.ready();
    const client = connectGrpc(t, grpc);
    const release = join(tempFolder(t), 'release');
    await client.call('ServerLive'); // the settings of the server have arrived
    const held = client.inferJson('model.work', { id: 'held', until: release });
    await primary.nextLog({ event: 'model.started', id: 'held' });
    let isAnswered = false;
    const waiting = client.call('ServerLive').then(() => {
      isAnswered = true;
    });
    await connectGrpc(t, grpc).call('ServerLive'); // on its own connection, after the one that waits
    assert.equal(isAnswered, false);
    writeFileSync(release, '');
    await Promise.all([held, waiting]);
  });

  test('maxConnectionAge tells a client to go, and closes when its calls are answered', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--max-connection-age', '1']);
    const session = connectHttp2(`http://${(await primary.ready()).grpc}`);
    t.after(() => {
      session.destroy();
    });
    await Promise.all([once(session, 'goaway'), once(session, 'close')]);
  });

  test('maxConnectionAgeGrace cuts the calls that are left then', LIMIT, async (t) => {
    const age = ['--max-connection-age', '1', '--max-connection-age-grace', '1'];
    const primary = startPrimary(t, ['serve', WORK, '--grpc', ...age]);
    const client = connectGrpc(t, (await primary.ready()).grpc);
    const release = join(tempFolder(t), 'release');
    const cut = assert.rejects(client.inferJson('model.work', { id: 'held', until: release }), { code: 14 });
    await primary.nextLog({ event: 'model.started', id: 'held' });
    await cut;
    const line = await primary.nextLog({
      event: 'request.finished',
      route: '/inference.GRPCInferenceService/ModelInfer',
    });
    assert.equal(line['outcome'], 'DRAINING');
    writeFileSync(release, '');
  });

  test('maxMessageLength refuses a larger request', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--max-message-length', '1000']);
    const client = connectGrpc(t, (await primary.ready()).grpc);
    assert.deepEqual(await client.inferRow('model.double', [1, 2]), [2, 4]);
    await assert.rejects(client.inferJson('model.work', { id: 'x'.repeat(1000) }), { code: 8 });
  });

  test('maxMessageLength refuses a larger answer', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc', '--max-message-length', '1000']);
    const client = connectGrpc(t, (await primary.ready()).grpc);
    await assert.rejects(client.inferJson('model.repeat', { id: 'x'.repeat(500) }), { code: 8 });
  });

  test('without maxMessageLength a message of 5 MB passes both ways', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', WORK, '--grpc']);
    const channel = { 'grpc.max_receive_message_length': -1 };
    const client = connectGrpc(t, (await primary.ready()).grpc, { channel });
    const id = 'x'.repeat(5_000_000);
    assert.equal(((await client.inferJson('model.once', { id })) as { id: string }).id.length, id.length);
  });
});
