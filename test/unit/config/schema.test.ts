import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'node:test';
import { loadConfig } from '#dist/config/load-config.js';
import { COMMAND_NAMES, convictSchema, defaultFor, SETTINGS } from '#dist/config/schema.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

test('SETTINGS name flags and variables after the setting', () => {
  const spellings = new Map(SETTINGS.map(({ name, flag, env }) => [name, `--${flag} ${env}`]));
  assert.equal(spellings.get('sslCertReqs'), '--ssl-cert-reqs JUBAKO_SSL_CERT_REQS');
  assert.equal(spellings.get('apiWorkers'), '--api-workers JUBAKO_API_WORKERS');
});

test('SETTINGS have a doc sentence, a command and defaults that their own format takes', () => {
  for (const setting of SETTINGS) {
    assert.match(setting.doc, /^[A-Z].*\.$/, setting.name);
    assert.notEqual(setting.commands.length, 0, setting.name);
    for (const command of COMMAND_NAMES) {
      const value = defaultFor(setting, command);
      assert.deepEqual(setting.format.read(value, '/'), value, setting.name);
    }
  }
});

test('SETTINGS mark every secret', () => {
  const secrets = SETTINGS.filter(({ sensitive }) => sensitive === true).map(({ name }) => name);
  assert.deepEqual(secrets, ['apiKeys', 'sslKeyfilePassword', 'linkToken']);
});

test('convictSchema has a row with doc, variable and flag for every setting', () => {
  for (const command of COMMAND_NAMES) {
    const rows = Object.entries<unknown>({ ...convictSchema(command) });
    assert.equal(rows.length, SETTINGS.length);
    for (const [name, row] of rows) {
      const keys = new Set(Object.keys(row as object));
      for (const key of ['doc', 'default', 'format', 'env', 'arg', 'sensitive'])
        assert.ok(keys.has(key), `${name} ${key}`);
    }
  }
});

test('config/default.yaml names every setting and changes nothing', async () => {
  const bare = await loadConfig({ command: 'serve', env: {} });
  const loaded = await loadConfig({ command: 'serve', env: {}, cwd: ROOT, file: 'config/default.yaml' });
  assert.deepEqual(loaded.config, bare.config);
  for (const { name } of SETTINGS) assert.equal(loaded.origins[name], `file config/default.yaml:${name}`);
});

test('config/default.yaml and the tables in the documents are what scripts/write-docs.mjs writes', async () => {
  await promisify(execFile)(process.execPath, ['scripts/write-docs.mjs', '--check'], { cwd: ROOT });
});

test('config/production.yaml and config/development.yaml load for every command', async () => {
  for (const command of COMMAND_NAMES) {
    for (const name of ['production', 'development']) {
      const options = command === 'start-runner-server' ? { runnerName: 'digits' } : {};
      await loadConfig({ command, options, env: {}, cwd: ROOT, file: `config/${name}.yaml` });
    }
  }
});
