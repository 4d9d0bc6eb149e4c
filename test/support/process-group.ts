import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

const HAS_PROC = existsSync('/proc/self/stat');

/** Ends every process of the group that `pid` leads. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nobody is left in it
  }
}

/** Pids of the group's processes that are alive; one that has ended and was not waited for does not count. */
export function membersOf(group: number): number[] {
  return HAS_PROC ? membersByProc(group) : membersByPs(group);
}

function membersByProc(group: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isAliveIn(group, name))
    .map(Number);
}

/** State and group stand after the name, which is in parentheses and may hold anything. */
function isAliveIn(group: number, pid: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(processGroup) === group && state !== 'Z';
  } catch {
    return false; // it ended meanwhile
  }
}

function membersByPs(group: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,pgid=,state='], { encoding: 'utf8' }).trim().split('\n');
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, processGroup, state = '']) => Number(processGroup) === group && !state.startsWith('Z'))
    .map(([pid]) => Number(pid));
}
