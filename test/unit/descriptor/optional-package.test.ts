import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isInstalled, requireOptional } from '#dist/descriptor/optional-package.js';

test('requireOptional says how to install a package that is missing', () => {
  assert.equal(isInstalled('jubako-no-such-package'), false);
  assert.throws(() => requireOptional('jubako-no-such-package', 'image()'), {
    code: 'SERVICE_INVALID',
    message:
      'Cannot use image(): jubako-no-such-package is not installed; install it with `npm install jubako-no-such-package`',
  });
});

test('requireOptional finds a package in the working folder, and says why it cannot be loaded', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-'));
  const before = process.cwd();
  t.after(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  });
  for (const [name, code] of [
    ['jubako-sound', 'module.exports = 42;'],
    ['jubako-broken', 'throw new Error("wrong platform");'],
  ] as const) {
    mkdirSync(join(folder, 'node_modules', name), { recursive: true });
    writeFileSync(join(folder, 'node_modules', name, 'index.js'), code);
  }
  process.chdir(folder);
  assert.equal(isInstalled('jubako-sound'), true);
  assert.equal(requireOptional('jubako-sound', 'it'), 42);
  assert.throws(() => requireOptional('jubako-broken', 'image()'), {
    code: 'SERVICE_INVALID',
    message: 'Cannot load jubako-broken, which image() needs: wrong platform',
  });
});

test('a service is imported and its descriptors are made without the packages that they need later', () => {
  const script = `
    import { createRequire } from 'node:module';
    import { image, json, table } from '#dist/index.js';
    const require = createRequire(import.meta.url);
    const loaded = () => ['ajv', 'apache-arrow', 'csv-parse', 'csv-stringify', 'sharp'].filter((name) =>
      Object.keys(require.cache).some((file) => file.includes('/node_modules/' + name + '/')));
    const described = [json({ type: 'object' }), image(), table()];
    const before = loaded();
    for (const one of described) one.prepare();
    console.log(JSON.stringify([before, loaded()]));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  assert.deepEqual(JSON.parse(output), [[], ['ajv', 'apache-arrow', 'sharp']]);
});
