import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupQuotaCpus, cpuCount, parseCpuMax, parseCfsQuota, resolveWorkers } from '#dist/config/cpu-count.js';
import type { ReadText } from '#dist/config/read-text.js';

function files(content: Readonly<Record<string, string>>): ReadText {
  return (path) => content[path];
}

const v2 = (cpuMax: string): ReadText =>
  files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': `${cpuMax}\n` });

test('cpuCount rounds the quota of cgroup v2 up and never beyond the machine', () => {
  assert.equal(cpuCount(v2('25000 100000'), 8), 1);
  assert.equal(cpuCount(v2('125000 100000'), 8), 2);
  assert.equal(cpuCount(v2('400000 100000'), 8), 4);
  assert.equal(cpuCount(v2('1600000 100000'), 8), 8);
  assert.equal(cpuCount(v2('max 100000'), 8), 8);
});

test('cpuCount is that of the machine where no cgroup can be read, and at least 1', () => {
  assert.equal(cpuCount(files({}), 8), 8);
  assert.equal(cpuCount(files({}), 0), 1);
});

test('cgroupQuotaCpus takes the tightest quota between its own v2 cgroup and the mount', () => {
  const read = files({
    '/proc/self/cgroup': '0::/system.slice/jubako.service\n',
    '/sys/fs/cgroup/system.slice/cpu.max': '150000 100000',
    '/sys/fs/cgroup/system.slice/jubako.service/cpu.max': '300000 100000',
  });
  assert.equal(cgroupQuotaCpus(read), 1.5);
});

test('cgroupQuotaCpus falls back to the mount where the path is outside of the container', () => {
  const read = files({ '/proc/self/cgroup': '0::/../../kubepods/pod1\n', '/sys/fs/cgroup/cpu.max': '50000 100000' });
  assert.equal(cgroupQuotaCpus(read), 0.5);
});

test('cgroupQuotaCpus reads the quota of cgroup v1, under either name of the mount', () => {
  const cgroup = '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n';
  const at = (folder: string): ReadText =>
    files({
      '/proc/self/cgroup': cgroup,
      [`${folder}/cpu.cfs_quota_us`]: '25000\n',
      [`${folder}/cpu.cfs_period_us`]: '100000\n',
    });
  assert.equal(cgroupQuotaCpus(at('/sys/fs/cgroup/cpu')), 0.25);
  assert.equal(cgroupQuotaCpus(at('/sys/fs/cgroup/cpu,cpuacct/docker/abc')), 0.25);
  assert.equal(cgroupQuotaCpus(at('/sys/fs/cgroup/memory')), Number.POSITIVE_INFINITY);
});

test('parseCpuMax and parseCfsQuota take what sets no quota, or makes no sense, as none', () => {
  for (const text of [undefined, '', 'max', 'max 100000', 'x y', '0 100000', '100000 0x']) {
    assert.equal(parseCpuMax(text), Number.POSITIVE_INFINITY, text);
  }
  assert.equal(parseCfsQuota('-1', '100000'), Number.POSITIVE_INFINITY);
  assert.equal(parseCfsQuota('125000', '100000'), 1.25);
});

test('resolveWorkers fills in the CPUs, and for gRPC what HTTP has', () => {
  assert.deepEqual(resolveWorkers({ apiWorkers: null, grpcWorkers: null }, 3), { apiWorkers: 3, grpcWorkers: 3 });
  assert.deepEqual(resolveWorkers({ apiWorkers: 2, grpcWorkers: null }, 3), { apiWorkers: 2, grpcWorkers: 2 });
  assert.deepEqual(resolveWorkers({ apiWorkers: 2, grpcWorkers: 5 }, 3), { apiWorkers: 2, grpcWorkers: 5 });
});
