import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { FRAME, FRAME_HEADER_BYTES, frameBytes } from '#dist/link/frame.js';
import { REQUEST_META_BYTES } from '#dist/link/frame-meta.js';
import { LINK_PROTOCOL_NAME, LINK_VERSION } from '#dist/link/hello.js';
import { LIMIT } from '../support/start-primary.js';
import { ConformanceServer } from './conformance-server.js';
import { exchangeBytes, httpBytes, seededBytes } from './wire.js';

// Noise ends the connection that it came by and nothing else. The seeds are fixed: what fails, fails again.

const SEEDS = Array.from({ length: 12 }, (_, seed) => seed);
const NOISE_BYTES = 6000;

const UPGRADE = Buffer.from(
  `GET /jubako/link HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL_NAME}\r\n\r\n`,
);
const HELLO = frame(
  FRAME.hello,
  0,
  Buffer.alloc(0),
  Buffer.from(JSON.stringify({ version: LINK_VERSION, peer: 'test' })),
);
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = '000000040000000000';
/** Its type and flags, and its stream, which is that of the connection. */
const GOAWAY = Buffer.from('070000000000', 'hex');
/** HTTP/2 frames that start as they should and go on as noise. */
const HTTP2_HEADS: Readonly<Record<string, string>> = {
  'no frame': '',
  HEADERS: `${SETTINGS}001000010400000001`,
  DATA: `${SETTINGS}001000000100000001`,
  CONTINUATION: `${SETTINGS}001000090400000001`,
  'PUSH_PROMISE, which clients never send': `${SETTINGS}001000050400000001`,
  'SETTINGS of a wrong length': `${SETTINGS}000007040000000000`,
  'WINDOW_UPDATE of a wrong length': `${SETTINGS}000003080000000000`,
  'PING of a wrong length': `${SETTINGS}000009060000000000`,
  'a frame that is too long': `${SETTINGS}ffffff000000000001`,
};

const BROKEN_HTTP2 = Buffer.concat([
  PREFACE,
  Buffer.from(HTTP2_HEADS['DATA'] ?? '', 'hex'),
  seededBytes(1, NOISE_BYTES),
]);

function frame(kind: number, id: number, meta: Uint8Array, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(frameBytes(meta.length, body.length));
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(id, 4);
  bytes[8] = kind;
  bytes.writeUInt16LE(meta.length, 10);
  bytes.writeUInt32LE(body.length, 12);
  bytes.set(meta, FRAME_HEADER_BYTES);
  bytes.set(body, bytes.length - ((body.length + 7) & ~7));
  return bytes;
}

/** A request whose frame is right and whose value is noise. */
function noisyRequest(id: number, seed: number): Buffer {
  const meta = Buffer.alloc(REQUEST_META_BYTES);
  meta.writeUInt16LE(seed % 4, 0);
  return frame(FRAME.request, id, meta, seededBytes(seed, 8 + seed * 5));
}

describe('garbage', () => {
  let server: ConformanceServer;
  before(async () => {
    server = await ConformanceServer.start();
  }, LIMIT);

  const closes = async (where: number | string, bytes: Uint8Array): Promise<string> =>
    (await exchangeBytes(where, bytes)).toString('latin1');

  test('HTTP port closes connections that send noise, and serves the others', LIMIT, async () => {
    await Promise.all(SEEDS.map((seed) => closes(server.httpPort, seededBytes(seed, NOISE_BYTES))));
    await server.isUnharmed();
  });

  test('HTTP port closes a connection that sends noise after a good request, which is answered', LIMIT, async () => {
    const good = httpBytes('POST', '/echo', ['Content-Length: 1'], '7');
    for (const seed of SEEDS) {
      const bytes = Buffer.concat([good, Buffer.of(0), seededBytes(seed, NOISE_BYTES)]);
      assert.match(await closes(server.httpPort, bytes), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n7HTTP\/1\.1 400 /);
    }
    await server.isUnharmed();
  });

  test('gRPC port closes connections that send noise, and serves the others', LIMIT, async () => {
    await Promise.all(SEEDS.map((seed) => closes(server.grpcPort, seededBytes(seed, NOISE_BYTES))));
    await closes(server.grpcPort, httpBytes('POST', '/echo', ['Content-Length: 1'], '1'));
    await server.isUnharmed();
  });

  for (const [what, head] of Object.entries(HTTP2_HEADS)) {
    test(`gRPC port says goodbye to connections that send noise in ${what}, and serves the others`, LIMIT, async () => {
      const start = Buffer.concat([PREFACE, Buffer.from(head, 'hex')]);
      const said = await Promise.all(
        SEEDS.map((seed) =>
          exchangeBytes(server.grpcPort, Buffer.concat([start, seededBytes(seed, NOISE_BYTES)]), { until: GOAWAY }),
        ),
      );
      for (const bytes of said) assert.ok(bytes.includes(GOAWAY), bytes.toString('hex'));
      await server.isUnharmed();
    });
  }

  // RFC 9113, section 5.4.1: an endpoint that has sent GOAWAY for an error must close the connection.
  test(
    'gRPC worker lets go of connections on which HTTP/2 was broken, whether their clients close or wait',
    LIMIT,
    async () => {
      const waits = exchangeBytes(server.grpcPort, BROKEN_HTTP2); // resolves when the server closes
      await Promise.all(SEEDS.map(() => exchangeBytes(server.grpcPort, BROKEN_HTTP2, { until: GOAWAY })));
      const said = await waits;
      assert.ok(said.includes(GOAWAY), said.toString('hex'));
      await server.isUnharmed(); // connects both of the channels that are left
      await server.clients.wire('/not/there', new Uint8Array());
      // Gauges are as old as the counters beside them: where this one is counted, the noise before it is known.
      const marker = 'jubako_requests_total{protocol="grpc",route="(unknown)",outcome="NOT_FOUND"} 1';
      await server.sees(marker, 'jubako_connections{protocol="grpc"} 2');
    },
  );

  test('runner socket closes connections that send noise, and serves the others', LIMIT, async () => {
    const path = server.runnerSocket('model');
    await Promise.all(SEEDS.map((seed) => closes(path, seededBytes(seed, NOISE_BYTES))));
    await server.isUnharmed();
  });

  for (const [when, start] of [
    ['the upgrade', UPGRADE],
    ['the hello', Buffer.concat([UPGRADE, HELLO])],
  ] as const) {
    test(`runner socket closes connections that send noise after ${when}, with a logged cause`, LIMIT, async () => {
      const path = server.runnerSocket('model');
      const said = await Promise.all(
        SEEDS.map((seed) => closes(path, Buffer.concat([start, seededBytes(seed, NOISE_BYTES)]))),
      );
      for (const text of said) {
        assert.match(text, /^HTTP\/1\.1 101 /);
        assert.match(text, /LINK_PROTOCOL/);
      }
      await server.isUnharmed();
      await Promise.all(SEEDS.map(() => server.primary.nextLog({ event: 'link.closed' })));
    });
  }

  test('runner answers calls whose values are noise one by one, and lives', LIMIT, async () => {
    const path = server.runnerSocket('model');
    const calls = Array.from({ length: 200 }, (_, seed) => noisyRequest(seed + 1, seed));
    // A frame of no kind ends what would stay open, after all calls were read.
    const said = await closes(path, Buffer.concat([UPGRADE, HELLO, ...calls, Buffer.alloc(FRAME_HEADER_BYTES, 0xee)]));
    assert.match(said, /^HTTP\/1\.1 101 /);
    assert.match(said, /LINK_PROTOCOL/);
    await server.isUnharmed();
  });
});
