import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folderWith, load, problemsOf } from './load-harness.js';

test('loadConfig reads API keys from a file, a line each', async (t) => {
  const folder = await folderWith(t, {
    keys: '0123456789abcdef\n\nABCDEFGHIJKLMNOP\r\n',
    short: 'too-short\n',
    empty: '\n',
  });
  const { config } = await load({ cwd: folder, args: ['--api-keys-file', 'keys'] });
  assert.deepEqual(config.apiKeys, ['0123456789abcdef', 'ABCDEFGHIJKLMNOP']);
  assert.deepEqual(await problemsOf({ cwd: folder, args: ['--api-keys-file', 'short'] }), [
    'apiKeys ******** (flag --api-keys-file): wanted keys of 16 to 512 letters, digits or . _ ~ + / = : -',
  ]);
  assert.deepEqual(await problemsOf({ cwd: folder, args: ['--api-keys-file', 'empty'] }), [
    'apiKeys ******** (flag --api-keys-file): it holds no key; to let everybody call, leave it out',
  ]);
  assert.deepEqual((await load({ options: { apiKeys: [] } })).config.apiKeys, []);
});

test('loadConfig refuses settings for clients that would not do what they seem to', async () => {
  assert.deepEqual(await problemsOf({ args: ['--rate-limit-burst', '5'] }), [
    'rateLimit is missing: rateLimitBurst is 5, which limits nothing alone',
  ]);
  assert.deepEqual(await problemsOf({ args: ['--rate-limit-burst', '5', '--rate-limit', 'x'] }), [
    'rateLimit "x" (flag --rate-limit): wanted requests per second as a number from 0 to 1000000',
  ]);
  assert.deepEqual(await problemsOf({ args: ['--cors-origins', '*,https://a.example'] }), [
    'corsOrigins names origins beside *, which lets every page call: wanted one or the other',
  ]);
  await load({ options: { corsOrigins: ['*'], apiKeys: ['0123456789abcdef'] } }); // no cookies: a page must know a key
  await load({ args: ['--grpc', '--max-connection-age-grace', '5'] });
});
