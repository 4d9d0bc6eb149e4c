import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupMemoryLimitBytes, parseMemoryLimit } from '#dist/config/memory-limit.js';
import type { ReadText } from '#dist/config/read-text.js';

const MIB = 2 ** 20;
const MACHINE = 8 * 2 ** 30;

function files(content: Readonly<Record<string, string>>): ReadText {
  return (path) => content[path];
}

test('cgroupMemoryLimitBytes takes the tightest limit of version 2 between its own cgroup and the mount', () => {
  const read = files({
    '/proc/self/cgroup': '0::/system.slice/jubako.service\n',
    '/sys/fs/cgroup/system.slice/memory.max': `${512 * MIB}\n`,
    '/sys/fs/cgroup/system.slice/jubako.service/memory.max': 'max\n',
  });
  assert.equal(cgroupMemoryLimitBytes(read, MACHINE), 512 * MIB);
});

test('cgroupMemoryLimitBytes counts the limit above which version 2 slows the cgroup down', () => {
  const read = files({
    '/proc/self/cgroup': '0::/\n',
    '/sys/fs/cgroup/memory.max': `${1024 * MIB}\n`,
    '/sys/fs/cgroup/memory.high': `${768 * MIB}\n`,
  });
  assert.equal(cgroupMemoryLimitBytes(read, MACHINE), 768 * MIB);
});

test('cgroupMemoryLimitBytes reads version 1 beside an empty version 2', () => {
  const read = files({
    '/proc/self/cgroup': '4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n',
    '/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': `${256 * MIB}\n`,
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  });
  assert.equal(cgroupMemoryLimitBytes(read, MACHINE), 256 * MIB);
});

test('cgroupMemoryLimitBytes is Infinity without a cgroup, and for a limit that is no less than the machine', () => {
  assert.equal(cgroupMemoryLimitBytes(files({}), MACHINE), Number.POSITIVE_INFINITY);
  const read = files({
    '/proc/self/cgroup': '4:memory:/\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  });
  assert.equal(cgroupMemoryLimitBytes(read, MACHINE), Number.POSITIVE_INFINITY);
});

test('parseMemoryLimit takes what sets no limit, or makes no sense, as none', () => {
  for (const text of [undefined, '', 'max', 'x', '-1', '0']) {
    assert.equal(parseMemoryLimit(text), Number.POSITIVE_INFINITY, text);
  }
  assert.equal(parseMemoryLimit('4096\n'), 4096);
});
