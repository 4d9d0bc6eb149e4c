import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseModelConfig, readModelConfig } from '#dist/target/model-config.js';
import { tempFolder } from '../../support/start-primary.js';

const LATEST = { kind: 'latest', count: 1 };

describe('parseModelConfig', () => {
  test('gives the defaults for a file that says nothing', () => {
    assert.deepEqual(parseModelConfig(null, 'config.yaml'), { versionPolicy: LATEST, runner: {} });
    assert.deepEqual(parseModelConfig({}, 'config.yaml'), { versionPolicy: LATEST, runner: {} });
  });

  test('turns every key into what it sets', () => {
    const config = parseModelConfig(
      {
        batching: { maxSize: 8, maxLatencyMs: 20.5, maxQueueSize: 100 },
        instances: 2,
        threads: 3,
        versionPolicy: { specific: [1, 3] },
        warmup: false,
        allowNonFinite: true,
        cpus: 4,
        devices: [0, '1', 'GPU-abc'],
      },
      'config.yaml',
    );
    assert.deepEqual(config, {
      versionPolicy: { kind: 'specific', versions: [1, 3] },
      runner: {
        batch: { maxSize: 8, maxLatencyMs: 20.5, maxQueueSize: 100 },
        workers: 2,
        threads: 3,
        warmup: false,
        allowNonFinite: true,
        resources: { cpus: 4, devices: ['0', '1', 'GPU-abc'] },
      },
    });
    assert.deepEqual(parseModelConfig({ batching: false }, 'f').runner, { batch: false });
    assert.deepEqual(parseModelConfig({ batching: {} }, 'f').runner, { batch: {} });
    assert.deepEqual(parseModelConfig({ versionPolicy: 'all' }, 'f').versionPolicy, { kind: 'all' });
    assert.deepEqual(parseModelConfig({ versionPolicy: { latest: 2 } }, 'f').versionPolicy, {
      kind: 'latest',
      count: 2,
    });
  });

  const refusals: readonly { readonly content: unknown; readonly says: RegExp }[] = [
    {
      content: { instnces: 2 },
      says: /^Cannot use config\.yaml: unknown key "instnces"; did you mean "instances"\? \(the keys are batching, instances, threads, versionPolicy, warmup, allowNonFinite, cpus, devices\)$/,
    },
    { content: { zzzzzzzz: 2 }, says: /unknown key "zzzzzzzz" \(the keys are/ },
    {
      content: { batching: { maxsize: 2 } },
      says: /unknown key "batching\.maxsize"; did you mean "maxSize"\? \(the keys are maxSize, maxLatencyMs, maxQueueSize\)/,
    },
    { content: { constructor: 1 }, says: /unknown key "constructor"/ },
    { content: { versionPolicy: { latst: 1 } }, says: /unknown key "versionPolicy\.latst"; did you mean "latest"\?/ },
    { content: [1], says: /^Cannot use config\.yaml: the file is a list of 1; wanted settings as "key: value"$/ },
    { content: 'batching', says: /the file is "batching"; wanted settings/ },
    { content: { instances: 0 }, says: /instances is 0; wanted a whole number from 1$/ },
    { content: { threads: 1.5 }, says: /threads is 1\.5; wanted a whole number/ },
    { content: { cpus: '2' }, says: /cpus is "2"; wanted a whole number/ },
    { content: { warmup: 'yes' }, says: /warmup is "yes"; wanted true or false/ },
    { content: { batching: true }, says: /batching is true; wanted false, or maxSize, maxLatencyMs, maxQueueSize/ },
    {
      content: { batching: { maxLatencyMs: 0 } },
      says: /batching\.maxLatencyMs is 0; wanted a number of milliseconds/,
    },
    { content: { batching: { maxSize: -1 } }, says: /batching\.maxSize is -1; wanted/ },
    { content: { devices: 0 }, says: /devices is 0; wanted a list of devices/ },
    { content: { devices: [-1] }, says: /devices is a list of 1; wanted a list of devices/ },
    { content: { versionPolicy: 'latest' }, says: /versionPolicy is "latest"; wanted all, or \{ latest: N \}/ },
    { content: { versionPolicy: {} }, says: /versionPolicy is an object; wanted all/ },
    { content: { versionPolicy: { latest: 1, specific: [1] } }, says: /versionPolicy is an object; wanted all/ },
    { content: { versionPolicy: { specific: [] } }, says: /versionPolicy\.specific is a list of 0; wanted a list of/ },
    { content: { versionPolicy: { specific: [1, 'x'] } }, says: /versionPolicy\.specific\[1\] is "x"; wanted a whole/ },
  ];
  for (const { content, says } of refusals) {
    test(`refuses ${JSON.stringify(content)} and says what is wanted`, () => {
      assert.throws(() => parseModelConfig(content, 'config.yaml'), { code: 'CONFIG_INVALID', message: says });
    });
  }
});

describe('readModelConfig', () => {
  test('reads YAML, and names file and line where it is none', async (t) => {
    const file = join(tempFolder(t), 'config.yaml');
    writeFileSync(file, '# nothing set\n');
    assert.deepEqual((await readModelConfig(file)).runner, {});
    writeFileSync(file, 'batching: { maxSize: 4 }\nversionPolicy:\n  latest: 2\n');
    assert.deepEqual((await readModelConfig(file)).runner, { batch: { maxSize: 4 } });

    writeFileSync(file, 'threads: 1\nbatching: [\n');
    await assert.rejects(readModelConfig(file), { code: 'CONFIG_INVALID', message: /config\.yaml: .* line \d/ });
    writeFileSync(file, 'threads: *unknown\n');
    await assert.rejects(readModelConfig(file), { code: 'CONFIG_INVALID', message: /config\.yaml: .*unknown/ });
    await assert.rejects(readModelConfig(`${file}.gone`), { code: 'CONFIG_INVALID', message: /no such file/ });
  });
});
