// Which core a process runs on, where a case says that two things share one or have one each. By taskset of util-linux.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The first two cores that this process may use. @throws where there is one only. */
export function twoCores() {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))[1];
  const cores = list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  if (cores.length < 2)
    throw new Error(`Cannot give each side a core of its own: this process may use core ${list} only`);
  return cores.slice(0, 2);
}

/** A command that runs another one on that core: put it before the other one. */
export function onCore(core) {
  return ['taskset', '--cpu-list', `${core}`];
}

/** All threads of the processes. */
export function moveToCore(core, pids) {
  for (const pid of pids) execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', `${core}`, `${pid}`]);
}
