import { execFile } from 'node:child_process';
import { JubakoError } from '../errors.js';

// CPU affinity by the program `taskset` of util-linux: Node has no call for it, and a native add-on for one syscall is
// too much to install.

/**
 * Binds all threads that a process has to CPUs; threads that these start inherit it.
 * @param cpus - as `taskset -c` takes them: `0-3,8`.
 * @throws {JubakoError} CONFIG_INVALID - taskset is missing, or the system refuses.
 */
export async function pinProcess(pid: number, cpus: string): Promise<void> {
  await taskset(['-a', '-p', '-c', cpus, `${pid}`], `pin a process to CPUs ${cpus}`);
}

/** Before anything is forked. @throws {JubakoError} CONFIG_INVALID - taskset is missing. */
export async function checkPinning(runner: string): Promise<void> {
  await taskset(['--version'], `pin runner "${runner}" to CPUs`);
}

function taskset(args: readonly string[], what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('taskset', args, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new JubakoError('CONFIG_INVALID', `Cannot ${what}: ${reasonOf(error, stderr)}`, { cause: error }));
    });
  });
}

function reasonOf(error: Error & { readonly code?: unknown }, stderr: string): string {
  if (error.code === 'ENOENT') return 'the program taskset is not installed; it comes with the package util-linux';
  return stderr.trim() === '' ? error.message : stderr.trim();
}
