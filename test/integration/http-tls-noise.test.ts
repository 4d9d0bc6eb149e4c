import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, test, type TestContext } from 'node:test';
import { exchangeBytes, httpBytes, seededBytes } from '../conformance/wire.js';
import { makeCertificates } from '../support/certificates.js';
import { until } from '../support/start-primary.js';
import { RawClient, gate, startHttp, type StartOptions, type StartedServer } from './http-harness.js';

// What is no TLS, on a port that speaks it.

const CLIENT_HELLO = Buffer.from('16030100c8010000c40303', 'hex');
const SEEDS = Array.from({ length: 12 }, (_, seed) => seed);

interface TlsServer extends StartedServer {
  readonly open: () => Promise<RawClient>;
}

async function startTls(t: TestContext, options: StartOptions = {}): Promise<TlsServer> {
  const certificates = makeCertificates(t);
  const [cert, key, ca] = [certificates.cert, certificates.key, certificates.ca].map((path) => readFileSync(path));
  const started = await startHttp(t, { ...options, tls: { cert, key } });
  const open = (): Promise<RawClient> => {
    const where = { port: started.port, host: '127.0.0.1', servername: 'localhost', ca, allowHalfOpen: true };
    const socket: TLSSocket = connectTls(where);
    return RawClient.over(t, socket, 'secureConnect');
  };
  return { ...started, open };
}

describe('a port with TLS', () => {
  test('closes connections that send anything else, counts no request for them, and serves the others', async (t) => {
    const { port, open, outcomes, server } = await startTls(t);
    const good = httpBytes('GET', '/livez', [], '');
    const noises = [good, CLIENT_HELLO, Buffer.alloc(0), ...SEEDS.map((seed) => seededBytes(seed, 3000))];
    const heard = await Promise.all(noises.map((bytes) => exchangeBytes(port, bytes, { ends: true })));
    for (const bytes of heard) assert.doesNotMatch(bytes.toString('latin1'), /HTTP\/1\.1 200/);
    assert.deepEqual(outcomes, []);
    await until(() => server.connections === 0);
    const client = await open();
    client.get('/livez');
    assert.equal((await client.answer()).status, 200);
  });

  test('answers a client that has ended its half inside TLS', async (t) => {
    const work = gate<unknown>();
    const { open } = await startTls(t, { callApi: () => work.promise });
    const client = await open();
    client.post('/echo', '1');
    client.socket.end();
    assert.equal((await client.answer()).status, 100);
    work.open(1);
    let answer = await client.answer();
    while (answer.status === 100) answer = await client.answer();
    assert.deepEqual([answer.status, answer.body], [200, '1']);
    await client.ended();
  });
});
