// The virtual environments of the peers: made when they are first asked for, kept in a cache folder, made anew when what they
// should hold has changed.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const PEERS_FOLDER = fileURLToPath(new URL('peers/', import.meta.url));
/** Downloads some hundred MB the first time. */
const INSTALL_WITHIN_MS = 600_000;
/** Last written: where it is missing, an installation was cut off. */
const MARK = 'requirements-installed.txt';

const run = promisify(execFile);

/** @param peer - name of its requirements file. @returns the folder with its programs. @throws what pip said. */
export async function installPeer(peer) {
  const file = join(PEERS_FOLDER, `${peer}.txt`);
  const wanted = readFileSync(file, 'utf8');
  const venv = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'jubako-bench', peer);
  const programs = join(venv, 'bin');
  if (readMark(venv) === wanted) return programs;
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(venv, { recursive: true });
  const options = { timeout: INSTALL_WITHIN_MS };
  await run(process.env.BENCH_PYTHON ?? 'python3', ['-m', 'venv', venv], options);
  await run(join(programs, 'pip'), ['install', '--quiet', '--disable-pip-version-check', '-r', file], options);
  writeFileSync(join(venv, MARK), wanted);
  return programs;
}

function readMark(venv) {
  try {
    return readFileSync(join(venv, MARK), 'utf8');
  } catch {
    return undefined;
  }
}
