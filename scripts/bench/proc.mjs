// What Linux tells about processes. Only readers of /proc live here.
import { readFileSync, readdirSync } from 'node:fs';

/** Length of a tick of utime and stime; USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** CPU time of all threads of the processes so far, user and system. Steps of 10 ms a process. */
export function cpuMsOf(pids) {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statOf(pid);
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MS;
}

/** Proportional set size: a page that n processes share counts 1/n in each of them. */
export function pssBytesOf(pid) {
  const match = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'));
  if (match === null) throw new TypeError(`Cannot read the PSS of process ${pid}: smaps_rollup has no such line`);
  return Number(match[1]) * 1024;
}

/** The process and all its descendants. */
export function treeOf(rootPid) {
  const childrenOf = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    let parentPid;
    try {
      parentPid = Number(statOf(entry)[1]);
    } catch {
      continue; // it has ended since
    }
    const siblings = childrenOf.get(parentPid) ?? [];
    childrenOf.set(parentPid, siblings);
    siblings.push(Number(entry));
  }
  const tree = [rootPid];
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []));
  return tree;
}

/** When the process started, in ticks since the boot: with its pid, one process for ever. Undefined where it has ended. */
export function startTickOf(pid) {
  try {
    const fields = statOf(pid);
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** A variable that the process was started with, '' if it was not. */
export function variableOf(pid, name) {
  const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}

/** Fields from the third on (proc(5)); the second is a name that may hold spaces and parentheses. */
function statOf(pid) {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return line.slice(line.lastIndexOf(')') + 2).split(' ');
}
