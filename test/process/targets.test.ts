import assert from 'node:assert/strict';
import { cpSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { errorOf, get, post } from '../support/http-client.js';
import { LIMIT, fixture, repositoryFile, startPrimary, tempFolder } from '../support/start-primary.js';

const EX_CONFIG = 78;

interface Module {
  readonly target: string;
  readonly what: string;
}

const MODULES: readonly Module[] = [
  { target: 'targets/service.js', what: 'a .js module' },
  { target: 'targets/service.mjs', what: 'an .mjs module' },
  { target: 'targets/service.cjs', what: 'a .cjs module' },
  { target: 'targets/service.mts', what: 'an .mts module' },
  { target: 'targets/two-services.ts:second', what: 'a named export of a .ts module' },
  { target: 'targets/two-services.mjs:second', what: 'a named export of an .mjs module' },
  { target: 'targets/with-yaml', what: 'a folder whose jubako.yaml names the module and the export' },
  { target: 'targets/plain-folder', what: 'a folder with a service.ts' },
];

describe('targets', { concurrency: 2 }, () => {
  for (const { target, what } of MODULES) {
    test(`serve answers from ${what}`, LIMIT, async (t) => {
      const primary = startPrimary(t, ['serve', target], { cwd: fixture('') });
      const { http } = await primary.ready();

      const answer = await post(`${http}/who`, {});
      assert.deepEqual(answer.json, { service: target }, answer.text);
      assert.deepEqual((await post(`${http}/model`, { x: 1 })).json, { x: 1, model: target });
      assert.equal(await primary.stop(), 0);
    });
  }

  test('TypeScript service reaches its other files, JSON, packages and its own place', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('targets/typescript/service.ts')]);
    const { http } = await primary.ready();

    assert.deepEqual((await post(`${http}/imports`, {})).json, {
      byJsName: 'from by-js-name.ts',
      byTsName: 'from by-ts-name.ts',
      inFolder: 'from deeper/module.ts',
      lazy: 'from lazy.ts',
      json: { labels: ['zero', 'one'] },
      package: { parsed: 'by the package yaml' },
    });
    const folder = fixture('targets/typescript/');
    assert.deepEqual((await post(`${http}/places`, {})).json, {
      url: pathToFileURL(join(folder, 'service.ts')).href,
      dirname: folder.replace(/\/$/, ''),
      filename: join(folder, 'service.ts'),
      deeperUrl: pathToFileURL(join(folder, 'deeper/module.ts')).href,
      labels: '{ "labels": ["zero", "one"] }\n',
    });
  });

  test('stack of an error names the line of the .ts file, in handler and model', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('targets/typescript/service.ts')]);
    const { http } = await primary.ready();
    for (const where of ['handler', 'model']) {
      assert.equal(errorOf(await post(`${http}/throws`, where)).code, 'USER_CODE');
    }

    const inHandler = await primary.nextLog({ event: 'request.failed' });
    assert.match(JSON.stringify(inHandler['err']), /thrown in the handler.*targets\/typescript\/deeper\/module\.ts:9:/);
    const inModel = await primary.nextLog({ event: 'call.failed' });
    assert.match(String(inModel['stack']), /thrown in the model[^]*targets\/typescript\/deeper\/module\.ts:9:/);
  });

  test('TypeScript service outside of this package is served, with packages from where it lies', LIMIT, async (t) => {
    const folder = tempFolder(t);
    cpSync(fixture('targets/typescript'), folder, { recursive: true });
    symlinkSync(repositoryFile('node_modules'), join(folder, 'node_modules'));
    const before = readdirSync(folder);
    const primary = startPrimary(t, ['serve', '.'], { cwd: folder });
    const { http } = await primary.ready();

    const answer = await post(`${http}/imports`, {});
    assert.deepEqual((answer.json as { package: unknown }).package, { parsed: 'by the package yaml' });
    assert.equal(await primary.stop(), 0);
    assert.deepEqual(readdirSync(folder), before, 'nothing is written beside the service');
  });

  test('settings in the jubako.yaml of a folder are used, and flags win over them', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('targets/with-yaml')]);
    const { http } = await primary.ready();
    assert.equal((await get(`${http}/metrics`)).status, 404);
    assert.equal((await post(`${http}/who`, 'x'.repeat(2000))).status, 413);

    const flagged = startPrimary(t, ['serve', fixture('targets/with-yaml'), '--metrics', '--max-body-bytes', '4KiB']);
    const addresses = await flagged.ready();
    assert.equal((await get(`${addresses.http}/metrics`)).status, 200);
    assert.equal((await post(`${addresses.http}/who`, 'x'.repeat(2000))).status, 200);
  });

  test('target without a word is the current folder', LIMIT, async (t) => {
    const primary = startPrimary(t, [], { cwd: fixture('targets/plain-folder') });
    const { http } = await primary.ready();
    assert.equal((await post(`${http}/who`, {})).status, 200);
  });

  const refusals = [
    {
      target: 'nowhere/service.ts',
      what: 'is missing',
      says: /Cannot find the target "nowhere\/service\.ts".*nowhere\/service\.ts/,
    },
    { target: 'nowhere', what: 'is a missing folder', says: /Cannot find the target "nowhere"/ },
    {
      target: 'targets/typescript/data.json',
      what: 'has a wrong extension',
      says: /"targets\/typescript\/data\.json".*wanted a module.*"\.json"/,
    },
    {
      target: 'targets/typescript/deeper',
      what: 'is a folder without a service',
      says: /deeper.*neither a jubako\.yaml.*nor a service\.ts/,
    },
    {
      target: 'targets/two-services.ts',
      what: 'has two services and names none',
      says: /it exports several \(first, second\)/,
    },
    {
      target: 'targets/two-services.ts:third',
      what: 'names an export that is not there',
      says: /"third".*the exports are first, second/,
    },
    { target: 'broken/yaml', what: 'has a jubako.yaml that names a missing module', says: /missing-module\.ts/ },
  ];
  for (const { target, what, says } of refusals) {
    test(`serve ends with EX_CONFIG and says why when its target ${what}`, LIMIT, async (t) => {
      const primary = startPrimary(t, ['serve', target], { cwd: fixture('') });

      assert.equal((await primary.refused()).code, EX_CONFIG, primary.stderr);
      assert.match(primary.stderr, says);
      assert.doesNotMatch(primary.stderr, /^ {4}at /m);
      await primary.vanished();
    });
  }

  test('check describes a target in the words of its manifest', LIMIT, async (t) => {
    const folder = tempFolder(t);
    writeFileSync(join(folder, 'service.ts'), "export { default } from './elsewhere.js';\n");
    cpSync(fixture('targets/plain-folder/service.ts'), join(folder, 'elsewhere.ts'));
    const primary = startPrimary(t, ['check', folder]);

    assert.equal((await primary.exited).code, 0, primary.stderr);
    assert.match(primary.stdout, /who: POST \/who, JSON → JSON/);
    await primary.vanished();
  });
});
