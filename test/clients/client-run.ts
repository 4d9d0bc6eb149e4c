import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { repositoryFile } from '../support/start-primary.js';

// Runs clients that others have written, in Python: each of their cases is a test of its own.
// scripts/clients/run.mjs installs them and says by the environment where; these tests run nowhere else.

/** What test/clients/python/report.py writes. */
interface CaseLine {
  readonly client: string;
  readonly case: string;
  readonly ok: boolean;
  readonly detail: string;
  /** Why the client fails whatever the server. */
  readonly bug?: string;
}

/** Stops a client that hangs; it claims no speed. */
export const LIMIT = { timeout: 110_000 };
const RUN_WITHIN_MS = 100_000;

/** The interpreter of one file of test/clients/requirements; undefined: there is no Python for it. */
export function pythonOf(requirements: string): string | undefined {
  return process.env[`CLIENTS_PYTHON_${requirements.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`];
}

/** Options of a test that needs it. */
export function needs(requirements: string): { readonly skip: string | false; readonly timeout: number } {
  return { ...LIMIT, skip: pythonOf(requirements) === undefined && `no Python for ${requirements}` };
}

/** Runs a script of test/clients/python; each line that it writes is a subtest. */
export async function runClient(
  t: TestContext,
  requirements: string,
  script: string,
  args: readonly string[],
): Promise<void> {
  const python = pythonOf(requirements) as string;
  const child = spawn(python, [repositoryFile(`test/clients/python/${script}.py`), ...args], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], PYTHONDONTWRITEBYTECODE: '1', PYTHONUTF8: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_WITHIN_MS,
    killSignal: 'SIGKILL',
  });
  t.after(() => child.kill('SIGKILL'));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
  });
  const ended = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => {
      resolve(String(code ?? signal));
    });
  });
  let count = 0;
  for await (const text of createInterface({ input: child.stdout })) {
    const line = parseLine(text);
    if (line === undefined) continue; // what libraries print
    count += 1;
    record(line);
    await t.test(line.bug === undefined ? line.case : `${line.case} (bug of the client: ${line.bug})`, () => {
      assert.ok(line.ok, line.detail);
    });
  }
  assert.equal(await ended, '0', errors);
  assert.ok(count > 0, `${script} has told of no case\n${errors}`);
}

function parseLine(text: string): CaseLine | undefined {
  try {
    return JSON.parse(text) as CaseLine;
  } catch {
    return undefined;
  }
}

/** For the page that scripts/conformance/write.mjs writes. */
function record(line: CaseLine): void {
  const file = process.env['CLIENTS_RECORD'];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
}
