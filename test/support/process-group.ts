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
  const rows = HAS_PROC ? rowsByProc() : rowsByPs();
  return rows.flatMap((row) => (row.group === group && row.isAlive ? [row.pid] : []));
}

/** Pids of the processes that `pid` has started and that are alive, with the command lines that they were started with. */
export function childrenOf(pid: number): ReadonlyMap<number, string> {
  const rows = HAS_PROC ? rowsByProc() : rowsByPs();
  const children = rows.filter((row) => row.parent === pid && row.isAlive);
  return new Map(children.map(({ pid: child }) => [child, commandOf(child)]));
}

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly isAlive: boolean;
}

/** State, parent and group stand after the name, which is in parentheses and may hold anything. */
function rowsByProc(): ProcessRow[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return [{ pid: Number(name), parent: Number(parent), group: Number(group), isAlive: state !== 'Z' }];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

function rowsByPs(): ProcessRow[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state='], { encoding: 'utf8' }).trim().split('\n');
  return rows.map((row) => {
    const [pid, parent, group, state = ''] = row.trim().split(/\s+/);
    return { pid: Number(pid), parent: Number(parent), group: Number(group), isAlive: !state.startsWith('Z') };
  });
}

function commandOf(pid: number): string {
  if (!HAS_PROC) return execFileSync('ps', ['-o', 'args=', '-p', `${pid}`], { encoding: 'utf8' });
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // it ended meanwhile
  }
}
