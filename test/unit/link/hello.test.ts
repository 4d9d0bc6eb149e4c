import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINK_VERSION, parseClientHello, parseServerHello } from '#dist/link/hello.js';
import { isProtocolError } from './errors.js';

const HELLO = {
  version: LINK_VERSION,
  runner: 'digits',
  worker: 'runner-digits-0',
  workersHere: 1,
  methods: [{ name: 'predict', idempotent: true, streams: false }],
  maxFrameBytes: 65_536,
  maxInFlight: 8,
  maxInFlightBytes: 1_000_000,
  ready: true,
};

function bytes(hello: unknown): Buffer {
  return Buffer.from(JSON.stringify(hello));
}

test('parseServerHello gives what the runner worker says, and nothing else', () => {
  assert.deepEqual(parseServerHello(bytes({ ...HELLO, later: 1 })), HELLO);
});

for (const [field, value] of [
  ['version', LINK_VERSION - 1],
  ['version', LINK_VERSION + 1],
  ['version', String(LINK_VERSION)],
  ['runner', 7],
  ['worker', null],
  ['workersHere', 0],
  ['workersHere', 5000],
  ['methods', {}],
  ['methods', [{ name: 'predict', idempotent: true }]],
  ['methods', [null]],
  ['maxFrameBytes', 2 ** 31],
  ['maxInFlight', 1.5],
  ['maxInFlightBytes', 0],
  ['maxInFlightBytes', undefined],
  ['ready', false],
] as const) {
  test(`parseServerHello refuses ${field} ${JSON.stringify(value)} and names it`, () => {
    const parse = (): unknown => parseServerHello(bytes({ ...HELLO, [field]: value }));
    assert.throws(parse, (thrown) => isProtocolError(thrown) && (thrown as Error).message.includes(`"${field}"`));
  });
}

test('parseClientHello refuses another version and names both', () => {
  assert.deepEqual(parseClientHello(bytes({ version: LINK_VERSION, peer: 'http-0' })), {
    version: LINK_VERSION,
    peer: 'http-0',
  });
  assert.throws(
    () => parseClientHello(bytes({ version: 1, peer: 'http-0' })),
    (thrown) => isProtocolError(thrown) && /"version" is 1, wanted 2/.test((thrown as Error).message),
  );
  for (const hello of ['', 'null', '{}', '{"version":2}']) {
    assert.throws(() => parseClientHello(Buffer.from(hello)), isProtocolError);
  }
});
