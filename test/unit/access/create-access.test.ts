import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccess, createTokenBuckets, type TokenSource } from '#dist/access/create-access.js';
import { JubakoError } from '#dist/errors.js';
import { OPEN_ACCESS, type Caller } from '#dist/service/access.js';

const KEYS = ['0123456789abcdef', 'ABCDEFGHIJKLMNOP'];
const OPEN = { apiKeys: [], rateLimit: 0, rateLimitBurst: null, trustedProxies: [] };

function callerOf(more: Partial<Caller> = {}): Caller {
  return { address: '203.0.113.7', forwardedFor: undefined, authorization: undefined, apiKey: undefined, ...more };
}

/** Notes who is asked about. */
function noting(): { readonly source: TokenSource; readonly clients: string[] } {
  const clients: string[] = [];
  const take: TokenSource['take'] = (client) => {
    clients.push(client);
    return Promise.resolve({ granted: 1, waitMs: 1000 });
  };
  return { source: { take }, clients };
}

test('createAccess is open without keys and limits', () => {
  assert.equal(createAccess(OPEN, noting().source), OPEN_ACCESS);
  assert.equal(createAccess({ ...OPEN, trustedProxies: ['10.0.0.0/8'] }, noting().source).isOpen, true);
});

test('createAccess with keys lets their owners in at once, and nobody else', () => {
  const access = createAccess({ ...OPEN, apiKeys: KEYS }, noting().source);
  assert.equal(access.isOpen, false);
  assert.equal(access.admit(callerOf({ apiKey: KEYS[1] })), undefined);
  assert.throws(
    () => access.admit(callerOf({ apiKey: 'of somebody else' })),
    (thrown) => thrown instanceof JubakoError && thrown.code === 'UNAUTHENTICATED',
  );
});

test('createAccess limits each key, and without keys each address', async () => {
  const byKey = noting();
  const withKeys = createAccess({ ...OPEN, apiKeys: KEYS, rateLimit: 5 }, byKey.source);
  await withKeys.admit(callerOf({ apiKey: KEYS[0] }));
  await withKeys.admit(callerOf({ authorization: `Bearer ${KEYS[1]}`, address: '198.51.100.1' }));
  assert.throws(() => withKeys.admit(callerOf()));
  assert.deepEqual(byKey.clients, ['key 0', 'key 1'], 'who has no key costs no question');

  const byAddress = noting();
  const trustedProxies = ['203.0.113.0/24'];
  const withoutKeys = createAccess({ ...OPEN, rateLimit: 5, trustedProxies }, byAddress.source);
  await withoutKeys.admit(callerOf({ apiKey: 'whatever' }));
  await withoutKeys.admit(callerOf({ forwardedFor: '198.51.100.2' }));
  assert.deepEqual(byAddress.clients, ['203.0.113.7', '198.51.100.2']);
});

test('createTokenBuckets take the burst from the rate where it is not given', () => {
  const burstOf = (rateLimit: number, rateLimitBurst: number | null = null): number | undefined => {
    const buckets = createTokenBuckets({ rateLimit, rateLimitBurst });
    if (buckets === undefined) return undefined;
    let burst = 0;
    while (buckets.take('a', 1, 'w0', 0).granted === 1) burst += 1;
    return burst;
  };
  assert.deepEqual([burstOf(0), burstOf(0.1), burstOf(2.9), burstOf(50), burstOf(50, 3)], [undefined, 1, 2, 50, 3]);
});
