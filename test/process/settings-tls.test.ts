import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { connect, type ConnectionOptions } from 'node:tls';
import { once } from 'node:events';
import { credentials } from '@grpc/grpc-js';
import { makeCertificates, pem } from '../support/certificates.js';
import { DIGITS } from '../support/digits.js';
import { connectGrpc } from '../support/grpc-client.js';
import { get, post } from '../support/http-client.js';
import {
  LIMIT,
  fixture,
  startPrimary,
  type Addresses,
  type Cleanup,
  type RunningProcess,
} from '../support/start-primary.js';

const EX_CONFIG = 78;
const certificates = makeCertificates({ after });
const { cert, key, ca, clientCert, clientKey, strangerCert, strangerKey, encryptedKey, password } = certificates;
const PAIR = ['--ssl-certfile', cert, '--ssl-keyfile', key];
const CA = pem(ca);
const CLIENT = { cert: pem(clientCert), key: pem(clientKey) };
const STRANGER = { cert: pem(strangerCert), key: pem(strangerKey) };

function startTls(t: Cleanup, args: readonly string[], env: Record<string, string> = {}): RunningProcess {
  return startPrimary(t, ['serve', fixture('work'), '--grpc', ...args], { env });
}

/** The ports of both protocols: what is said about TLS holds for each of them. */
function portsOf({ http, grpc }: Addresses): readonly number[] {
  return [Number(new URL(http).port), Number(grpc.split(':').at(-1))];
}

/** Version and cipher that both sides agree on; rejects where they don't. */
async function handshake(
  port: number,
  options: ConnectionOptions,
): Promise<{ protocol: string | null; cipher: string }> {
  const socket = connect({
    host: '127.0.0.1',
    servername: 'localhost',
    port,
    ca: CA,
    ALPNProtocols: ['h2', 'http/1.1'],
    ...options,
  });
  try {
    await once(socket, 'secureConnect');
    return { protocol: socket.getProtocol(), cipher: socket.getCipher().name };
  } finally {
    socket.destroy();
  }
}

async function callGrpc(t: Cleanup, address: string, client?: { cert: Buffer; key: Buffer }): Promise<unknown> {
  const secret = credentials.createSsl(CA, client?.key, client?.cert);
  return connectGrpc(t, address, { credentials: secret }).inferJson('model.work', { id: 'tls' });
}

describe('ssl settings', { concurrency: 2 }, () => {
  test('sslCertfile and sslKeyfile turn TLS on for HTTP and gRPC', LIMIT, async (t) => {
    const primary = startTls(t, PAIR);
    const addresses = await primary.ready();
    assert.match(addresses.http, /^https:/);
    assert.equal((await post(`${addresses.http}/work`, { id: 'tls' }, { ca: CA })).status, 200);
    assert.equal(((await callGrpc(t, addresses.grpc)) as { id: string }).id, 'tls');
    for (const port of portsOf(addresses)) assert.equal((await handshake(port, {})).protocol, 'TLSv1.3');

    await assert.rejects(get(`${addresses.http}/livez`), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    await assert.rejects(get(addresses.http.replace('https:', 'http:')), 'plain HTTP is not answered');
    assert.equal((await get(`${addresses.http}/livez`, { ca: CA })).status, 200);
  });

  test('sslKeyfilePassword opens an encrypted key, and is in no log', LIMIT, async (t) => {
    const args = ['--ssl-certfile', cert, '--ssl-keyfile', encryptedKey, '--log-level', 'trace'];
    const primary = startTls(t, args, { JUBAKO_SSL_KEYFILE_PASSWORD: password });
    const { http, grpc } = await primary.ready();
    assert.equal((await get(`${http}/livez`, { ca: CA })).status, 200);
    await callGrpc(t, grpc);
    assert.equal(await primary.stop(), 0);
    assert.ok(!`${primary.stdout}${primary.stderr}`.includes(password));
  });

  test('sslVersion TLSv1.3 refuses a client of TLS 1.2, which the default accepts', LIMIT, async (t) => {
    const [strict, usual] = [startTls(t, [...PAIR, '--ssl-version', 'TLSv1.3']), startTls(t, PAIR)];
    const maxVersion = 'TLSv1.2';
    for (const port of portsOf(await strict.ready())) {
      await assert.rejects(handshake(port, { maxVersion }), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
      assert.equal((await handshake(port, {})).protocol, 'TLSv1.3');
    }
    for (const port of portsOf(await usual.ready())) {
      assert.equal((await handshake(port, { maxVersion })).protocol, 'TLSv1.2');
      await assert.rejects(
        handshake(port, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }),
      );
    }
  });

  test(
    'sslCertReqs required with sslCaCerts lets in only clients with a certificate of these authorities',
    LIMIT,
    async (t) => {
      const primary = startTls(t, [...PAIR, '--ssl-cert-reqs', 'required', '--ssl-ca-certs', ca]);
      const { http, grpc } = await primary.ready();
      assert.equal((await get(`${http}/livez`, { ca: CA, ...CLIENT })).status, 200);
      await callGrpc(t, grpc, CLIENT);
      for (const client of [undefined, STRANGER]) {
        await assert.rejects(get(`${http}/livez`, { ca: CA, ...client }));
        await assert.rejects(callGrpc(t, grpc, client), { code: 14 });
      }
    },
  );

  test('sslCertReqs optional asks for a certificate and serves clients without one', LIMIT, async (t) => {
    const primary = startTls(t, [...PAIR, '--ssl-cert-reqs', 'optional', '--ssl-ca-certs', ca]);
    const { http, grpc } = await primary.ready();
    for (const client of [undefined, CLIENT]) {
      assert.equal((await get(`${http}/livez`, { ca: CA, ...client })).status, 200);
      await callGrpc(t, grpc, client);
    }
  });

  test('sslCertReqs optional refuses a certificate of an unknown authority', LIMIT, async (t) => {
    const primary = startTls(t, [...PAIR, '--ssl-cert-reqs', 'optional', '--ssl-ca-certs', ca]);
    const { http, grpc } = await primary.ready();
    await assert.rejects(get(`${http}/livez`, { ca: CA, ...STRANGER }));
    await assert.rejects(callGrpc(t, grpc, STRANGER), { code: 14 });
  });

  test('sslCertReqs none asks for no certificate', LIMIT, async (t) => {
    const primary = startTls(t, [...PAIR, '--ssl-cert-reqs', 'none']);
    const { http, grpc } = await primary.ready();
    assert.equal((await get(`${http}/livez`, { ca: CA, ...STRANGER })).status, 200);
    await callGrpc(t, grpc, STRANGER);
  });

  test('sslCiphers limits what TLS 1.2 clients may use', LIMIT, async (t) => {
    const cipher = 'ECDHE-ECDSA-AES256-GCM-SHA384';
    const primary = startTls(t, [...PAIR, '--ssl-ciphers', cipher]);
    for (const port of portsOf(await primary.ready())) {
      assert.deepEqual(await handshake(port, { maxVersion: 'TLSv1.2' }), { protocol: 'TLSv1.2', cipher });
      const ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256';
      await assert.rejects(handshake(port, { maxVersion: 'TLSv1.2', ciphers }), /handshake failure/);
    }
  });

  test('start-runner-server with a certificate speaks TLS on its port', LIMIT, async (t) => {
    const args = ['start-runner-server', fixture('work'), '--runner-name', 'model', ...PAIR];
    const { runner } = await startPrimary(t, args).ready();
    assert.match(runner, /^tls:\/\//);
    const port = Number(runner.split(':').at(-1));
    assert.equal((await handshake(port, { ALPNProtocols: ['http/1.1'] })).protocol, 'TLSv1.3');
    assert.equal((await get(`https://127.0.0.1:${port}/readyz`, { ca: CA })).status, 200);
  });

  test('API tier reaches a runner behind TLS that asks for its certificate, and no other', LIMIT, async (t) => {
    const asking = ['--ssl-cert-reqs', 'required', '--ssl-ca-certs', ca];
    const runnerServer = ['start-runner-server', DIGITS, '--runner-name', 'digits', '--host', '0.0.0.0', ...PAIR];
    const { runner } = await startPrimary(t, [...runnerServer, ...asking]).ready(); // beyond this machine, without a token
    const remote = ['--remote-runner', `digits=${runner.replace(/localhost|0\.0\.0\.0/, '127.0.0.1')}`];

    const known = startPrimary(t, ['start-http-server', DIGITS, ...remote, ...PAIR, '--ssl-ca-certs', ca]);
    const { http } = await known.ready();
    const body = { pixels: Array.from({ length: 64 }, () => 0) };
    assert.equal((await post(`${http}/classify`, body, { ca: CA })).status, 200);

    const stranger = startPrimary(t, ['start-http-server', DIGITS, ...remote, '--ssl-ca-certs', ca]);
    await stranger.nextLog({ event: 'link.lost' });
    await stranger.stop();
    const doubter = startPrimary(t, ['start-http-server', DIGITS, ...remote, ...PAIR]);
    assert.match(String((await doubter.nextLog({ event: 'link.lost' }))['msg']), /certificate/);
  });

  const refusals = [
    {
      what: 'a key of another certificate',
      args: ['--ssl-certfile', cert, '--ssl-keyfile', clientKey],
      says: /sslCertfile ".*server\.pem".*sslKeyfile ".*client\.key".*does not belong/,
    },
    { what: 'a certificate without its key', args: ['--ssl-certfile', cert], says: /sslKeyfile is missing/ },
    { what: 'a key without its certificate', args: ['--ssl-keyfile', key], says: /sslCertfile is missing/ },
    {
      what: 'a missing file',
      args: ['--ssl-certfile', '/no/such.pem', '--ssl-keyfile', key],
      says: /sslCertfile "\/no\/such\.pem"/,
    },
    {
      what: 'a file that is no PEM',
      args: ['--ssl-certfile', fixture('tsconfig.json'), '--ssl-keyfile', key],
      says: /sslCertfile ".*tsconfig\.json"/,
    },
    {
      what: 'an encrypted key without its password',
      args: ['--ssl-certfile', cert, '--ssl-keyfile', encryptedKey],
      says: /encrypted\.key/,
    },
    {
      what: 'ciphers that OpenSSL does not know',
      args: [...PAIR, '--ssl-ciphers', 'NO-SUCH-CIPHER'],
      says: /sslCiphers/,
    },
    {
      what: 'a version that is insecure',
      args: [...PAIR, '--ssl-version', 'TLSv1.1'],
      says: /sslVersion|--ssl-version/,
    },
    {
      what: 'client certificates without authorities',
      args: [...PAIR, '--ssl-cert-reqs', 'required'],
      says: /sslCaCerts is missing/,
    },
    {
      what: 'client certificates without TLS',
      args: ['--ssl-cert-reqs', 'required', '--ssl-ca-certs', ca],
      says: /sslCertfile is missing/,
    },
    {
      what: 'a CA file that holds no certificate',
      args: [...PAIR, '--ssl-cert-reqs', 'required', '--ssl-ca-certs', fixture('tsconfig.json')],
      says: /sslCaCerts/,
    },
    {
      what: 'a password on the command line',
      args: [...PAIR, '--ssl-keyfile-password', password],
      says: /must not stand on a command line/,
      exit: 64,
    },
  ];
  for (const { what, args, says, exit = EX_CONFIG } of refusals) {
    test(`start is refused for ${what}`, LIMIT, async (t) => {
      const primary = startTls(t, args);
      assert.equal((await primary.refused()).code, exit, primary.stderr);
      assert.match(primary.stderr, says);
      assert.ok(!primary.stderr.includes(password));
      await primary.vanished();
    });
  }

  test('start is refused for a wrong password, which is not told', LIMIT, async (t) => {
    const args = ['--ssl-certfile', cert, '--ssl-keyfile', encryptedKey];
    const primary = startTls(t, args, { JUBAKO_SSL_KEYFILE_PASSWORD: 'wrong battery' });
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(primary.stderr, /encrypted\.key/);
    assert.doesNotMatch(primary.stderr, /wrong battery/);
  });
});
