import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tempFolder, type Cleanup } from './start-primary.js';

/** Writes `path → content` into a new folder; `digits/1/model.onnx` and the like. */
export function writeRepository(t: Cleanup, files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = join(tempFolder(t), 'shelf');
  mkdirSync(folder);
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  return folder;
}
