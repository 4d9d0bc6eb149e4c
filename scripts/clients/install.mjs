// The virtual environments of the clients: made when they are first asked for, kept in a cache folder.
// C1 An environment is named after what it holds, and appears under its name only when it is whole: two installations at the
//    same time, and one that is cut off, leave nothing that is half.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findPython } from './python.mjs';

const REQUIREMENTS = fileURLToPath(new URL('../../test/clients/requirements/', import.meta.url));
/** Some 100 MB to download. */
const INSTALL_WITHIN_MS = 900_000;

const run = promisify(execFile);

/** Names of all environments. */
export const CLIENT_SETS = readdirSync(REQUIREMENTS).map((file) => basename(file, '.txt'));

/**
 * @param {string} name - one of CLIENT_SETS.
 * @param {(line: string) => void} tell - is told what takes long.
 * @returns {Promise<{ python: string } | { missing: string }>} the interpreter, or which Python would be needed.
 * @throws what pip said.
 */
export async function installClients(name, tell) {
  const file = join(REQUIREMENTS, `${name}.txt`);
  const requirements = readFileSync(file, 'utf8');
  const [, from = '', below = ''] = /^# python >=(\S+) <(\S+)$/m.exec(requirements) ?? [];
  const python = await findPython({ from, below });
  if (python === undefined) return { missing: `Python >=${from} <${below} that can make virtual environments` };

  const hash = createHash('sha256').update(requirements).digest('hex').slice(0, 12);
  const folder = process.env.JUBAKO_CLIENTS_DIR ?? join(homedir(), '.cache', 'jubako-clients');
  const home = join(folder, `${name}-${hash}`);
  const installed = join(home, 'bin', 'python');
  if (!(await runs(installed))) {
    rmSync(home, { recursive: true, force: true }); // what it was made from may be gone
    tell(`${name}: installing into ${home}`);
    await build(python, file, home);
    tell(`${name}: installed`);
  }
  return { python: installed };
}

async function runs(python) {
  try {
    await run(python, ['-c', '']);
    return true;
  } catch {
    return false;
  }
}

/** C1 */
async function build(python, file, home) {
  const unfinished = `${home}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const limit = { timeout: INSTALL_WITHIN_MS, maxBuffer: 64 * 1024 * 1024 };
  try {
    await run(python, ['-m', 'venv', unfinished], limit);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', file];
    await run(join(unfinished, 'bin', 'python'), pip, limit);
    renameSync(unfinished, home);
  } catch (error) {
    if (!(await runs(join(home, 'bin', 'python')))) throw error; // else somebody else was faster
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}
