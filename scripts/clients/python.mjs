// Finds a Python on the PATH that can make virtual environments.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

const TELL_VERSION = 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])';

/**
 * @param {{ from: string, below: string }} range - of versions: `3.9`, `3.13`.
 * @returns its command; undefined: there is none. What `python3` means comes first, then the newest.
 */
export async function findPython({ from, below }) {
  const names = ['python3'];
  for (let minor = minorOf(below) - 1; minor >= minorOf(from); minor -= 1) names.push(`python3.${minor}`);
  for (const name of [...names, 'python']) {
    const minor = minorOf(await versionOf(name));
    if (minor >= minorOf(from) && minor < minorOf(below)) return name;
  }
  return undefined;
}

/** Empty: there is no such command, or it can make no environment. */
async function versionOf(command) {
  try {
    const { stdout } = await run(command, ['-c', TELL_VERSION]);
    return stdout.trim();
  } catch {
    return '';
  }
}

/** Of Python 3; NaN: it is none. */
function minorOf(version) {
  return Number(/^3\.(\d+)$/.exec(version)?.[1]);
}
