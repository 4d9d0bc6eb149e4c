import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = [];

/** A new folder that is removed at the end of this process. */
export function temporaryFolder() {
  if (folders.length === 0) process.on('exit', removeAll);
  const folder = mkdtempSync(join(tmpdir(), 'jubako-bench-'));
  folders.push(folder);
  return folder;
}

function removeAll() {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
