import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  loadConfig,
  type ConfigProblems,
  type LoadConfigOptions,
  type LoadedConfig,
} from '#dist/config/load-config.js';
import { JubakoError } from '#dist/errors.js';

// Calls loadConfig the way its tests do, and takes its refusals apart.

/** A folder with these files, gone after the test. */
export async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'jubako-config-'));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

export function load(from: Partial<LoadConfigOptions>): Promise<LoadedConfig> {
  return loadConfig({ command: 'serve', env: {}, cwd: '/nowhere', ...from });
}

export async function problemsOf(from: Partial<LoadConfigOptions>): Promise<readonly string[]> {
  return (await failureOf(from)).problems;
}

export async function failureOf(
  from: Partial<LoadConfigOptions>,
): Promise<ConfigProblems & { readonly message: string }> {
  try {
    await load(from);
  } catch (thrown) {
    assert.ok(thrown instanceof JubakoError);
    assert.equal(thrown.code, 'CONFIG_INVALID');
    return { ...(thrown.details as ConfigProblems), message: thrown.message };
  }
  throw new assert.AssertionError({ message: 'loadConfig took it' });
}
