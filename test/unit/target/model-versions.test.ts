import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chooseVersions, parseVersion, type VersionPolicy } from '#dist/target/model-versions.js';

describe('parseVersion', () => {
  test('takes whole numbers from 1 without leading zeros and nothing else', () => {
    assert.equal(parseVersion('1'), 1);
    assert.equal(parseVersion('20261124'), 20261124);
    for (const folder of ['0', '01', '-1', '1.0', 'v1', '1 ', '', '1e3', '12345678901234567'])
      assert.equal(parseVersion(folder), undefined, folder);
  });
});

describe('chooseVersions', () => {
  const available = fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { maxLength: 10 });

  test('latest takes the highest, as many as asked for', () => {
    const three: VersionPolicy = { kind: 'latest', count: 3 };
    assert.deepEqual(chooseVersions(three, [2, 10, 9, 1]), { served: [10, 9, 2], missing: [] });
    fc.assert(
      fc.property(available, fc.integer({ min: 1, max: 12 }), (versions, count) => {
        const { served } = chooseVersions({ kind: 'latest', count }, versions);
        assert.equal(served.length, Math.min(count, versions.length));
        const left = versions.filter((version) => !served.includes(version));
        for (const version of left) for (const one of served) assert.ok(one > version);
      }),
    );
  });

  test('all takes each once, the highest first', () => {
    assert.deepEqual(chooseVersions({ kind: 'all' }, [1, 3, 3, 2]), { served: [3, 2, 1], missing: [] });
  });

  test('specific takes those that are there and names those that are not', () => {
    const policy: VersionPolicy = { kind: 'specific', versions: [7, 1, 4, 7] };
    assert.deepEqual(chooseVersions(policy, [1, 2, 4]), { served: [4, 1], missing: [7] });
  });
});
